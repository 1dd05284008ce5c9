"""What people press, by the names that the buttons have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from secretsync_core.demo.ui import LOCATION

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from secretsync_core.demo.ui import WebUi

_MILLISECONDS = 120_000
_RUN = re.compile(r"/runs/[0-9a-f-]{36}")
_EVENTS = """query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection {
  events { __typename ... on MessageEvent { stepKey timestamp message } } } } }"""


def reload_documents(page: Page) -> None:
    """Press Reload on the code location's page, and wait until that is done."""
    page.goto(f"/locations/{LOCATION}")
    expect(page.get_by_text("Loaded", exact=True).first).to_be_visible()
    with page.expect_response(lambda answer: "RELOAD" in (answer.request.post_data or "").upper()) as answered:
        page.get_by_role("button", name=re.compile("Reload$")).click()
    assert "errors" not in answered.value.json()


def open_launchpad(page: Page, job: str) -> None:
    """Go to a job's Launchpad, and wait until its config is known to be right."""
    page.goto(f"/locations/{LOCATION}/jobs/{job}/playground")
    page.get_by_text("No errors").wait_for()


def type_config(page: Page, config: str) -> None:
    """Replace what stands in the Launchpad."""
    page.locator(".CodeMirror").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.type(config)
    page.get_by_text("No errors").wait_for()


def launch(page: Page) -> str:
    """Press Launch Run: one press, no dialog, and the run's page comes. Gives the run's id."""
    page.get_by_role("button", name="Launch Run").click()
    return run_of(page)


def run_of(page: Page, *, other_than: str = "") -> str:
    """The id of the run whose page is shown, or is about to be."""
    page.wait_for_url(lambda address: bool(_RUN.search(address)) and (not other_than or other_than not in address))
    found = _RUN.search(page.url)
    assert found is not None
    return found.group().removeprefix("/runs/")


def see_end(page: Page, status: str) -> None:
    """Watch until the page says how the run ended."""
    expect(page.get_by_text(status, exact=True).first).to_be_visible(timeout=_MILLISECONDS)


def open_table(page: Page, wanted: str, message: str = "") -> Locator:
    """Filter a run's events, and open the first that is too long to be shown whole; gives the dialog."""
    page.get_by_placeholder("Filter…").fill(wanted)
    page.keyboard.press("Escape")
    if message:
        expect(page.get_by_text(message).first).to_be_visible()
    page.get_by_text("View full message").first.click()
    # A menu that is just closing is a dialog too.
    dialog = page.locator('[role="dialog"][aria-modal="true"]')
    expect(dialog).to_be_visible()
    return dialog


def row_of(table: Locator, key: str) -> Locator:
    """A key's row; not the one of the table around it, which comes first."""
    return table.get_by_role("row").filter(has_text=key).last


def events(ui: WebUi, run: str) -> list[dict[str, str]]:
    """The events of a run, oldest first."""
    found: list[dict[str, str]] = ui.graphql(_EVENTS, run=run)["logsForRun"]["events"]
    return found
