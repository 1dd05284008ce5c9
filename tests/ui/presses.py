"""What people press, by the names that the buttons have."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

from secretsync_core.demo.ui import LOCATION

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from secretsync_core.demo.ui import WebUi

_MILLISECONDS = 120_000
_SOON = 5_000
_SECONDS = 90
_PRESS = """entries => {
  const entry = entries.find(each => !each.closest("[aria-disabled=true], :disabled"));
  entry?.click();
  return Boolean(entry);
}"""
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


def press_to_open(opener: Locator, opened: Locator) -> None:
    """Press what opens a menu or a dialog until that is there: where the page is drawn anew it may close at once."""
    deadline = time.monotonic() + _SECONDS
    while not opened.is_visible():
        try:
            opener.click(timeout=_SOON)
            expect(opened).to_be_visible(timeout=_SOON)
        except (PlaywrightTimeoutError, AssertionError):
            if time.monotonic() > deadline:
                raise


def press_in(opened_by: Locator, entry: Locator) -> None:
    """Open a menu or a dialog and press an entry of it, once; both again while the page is drawn anew in between.

    A click of the mouse waits until the entry holds still, and where it vanishes meanwhile, nobody knows whether it was
    pressed. Here it is looked for and pressed in one step of the browser, which tells.
    """
    seen = entry.locator("visible=true")
    deadline = time.monotonic() + _SECONDS
    press_to_open(opened_by, seen.first)
    while not seen.evaluate_all(_PRESS):
        assert time.monotonic() < deadline, f"{entry} cannot be pressed"
        time.sleep(0.1)
        press_to_open(opened_by, seen.first)


def open_table(page: Page, wanted: str, message: str = "") -> Locator:
    """Filter a run's events, and open the first that is too long to be shown whole; gives the dialog."""
    page.get_by_placeholder("Filter…").fill(wanted)
    page.keyboard.press("Escape")
    if message:
        expect(page.get_by_text(message).first).to_be_visible()
    # A menu that is just closing is a dialog too.
    dialog = page.locator('[role="dialog"][aria-modal="true"]')
    press_to_open(page.get_by_text("View full message").first, dialog)
    return dialog


def row_of(table: Locator, key: str) -> Locator:
    """A key's row; not the one of the table around it, which comes first."""
    return table.get_by_role("row").filter(has_text=key).last


def events(ui: WebUi, run: str) -> list[dict[str, str]]:
    """The events of a run, oldest first."""
    found: list[dict[str, str]] = ui.graphql(_EVENTS, run=run)["logsForRun"]["events"]
    return found
