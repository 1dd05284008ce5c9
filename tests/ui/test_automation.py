"""Schedules, the drift check, and broken documents."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from secretsync_core.demo.ui import LOCATION
from ui.presses import reload_documents
from ui.stage import BROKEN

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from secretsync_core.demo.ui import WebUi
    from ui.history import History
    from ui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(300)]

_SCHEDULE = """{ scheduleOrError(scheduleSelector: {repositoryLocationName: "secretsync",
  repositoryName: "__repository__", scheduleName: "clock_schedule"}) { ... on Schedule {
  scheduleState { status } } } }"""


def test_a_schedule_is_switched_off_and_on(page: Page, ui: WebUi) -> None:
    """The schedule of a document is on by itself, and the switch on its page stops and starts it."""

    def status() -> str:
        return str(ui.graphql(_SCHEDULE)["scheduleOrError"]["scheduleState"]["status"])

    assert status() == "RUNNING"
    for after in ("STOPPED", "RUNNING"):
        page.goto(f"/locations/{LOCATION}/schedules/clock_schedule")
        page.locator("label:has(input[type=checkbox])").first.click()
        deadline = time.monotonic() + 30
        while status() != after and time.monotonic() < deadline:
            time.sleep(0.2)
        assert status() == after


@pytest.mark.slow
def test_the_drift_check_turns_red_and_lists_the_keys(page: Page, stage: Stage, history: History) -> None:
    """After somebody edited one copy, Execute on the check's page turns it red and names the key."""
    history.drift()
    stage.tamper("drift", "team-b/key-1")
    page.goto("/assets/sync/drift?view=checks&checkDetail=drift")
    expect(page.get_by_text("Not evaluated").first).to_be_visible()
    page.get_by_role("button", name=re.compile("Execute$")).click()
    expect(page.get_by_text("team-b/key-1").first).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Failed").first).to_be_visible()


@pytest.mark.slow
def test_a_broken_document_is_shown_until_it_is_mended(page: Page, ui: WebUi, stage: Stage) -> None:
    """A document with an error stands among the jobs with what is wrong and where; mended and reloaded, it is a job."""
    broken = [name for name in ui.jobs() if name.startswith("BROKEN")]
    assert len(broken) == 1
    page.goto(f"/locations/{LOCATION}/jobs")
    page.get_by_text(broken[0]).first.click()
    expect(page.get_by_text("has errors").first).to_be_visible()
    expect(page.get_by_text("unknown field").first).to_be_visible()
    expect(page.get_by_text("broken.yaml:9").first).to_be_visible()

    path = stage.directory / "broken.yaml"
    path.write_text(path.read_text().replace("keyTransfrom: []", "keyTransform: []"))
    reload_documents(page)
    page.goto(f"/locations/{LOCATION}/jobs")
    expect(page.get_by_text("typed_in_a_hurry").first).to_be_visible()
    expect(page.get_by_text("BROKEN")).to_have_count(0)
    assert not [name for name in ui.jobs() if name.startswith("BROKEN")]
    # And the other way: the next slip is shown without taking anything else down.
    path.write_text(BROKEN)
    reload_documents(page)
    page.goto(f"/locations/{LOCATION}/jobs")
    expect(page.get_by_text(broken[0]).first).to_be_visible()
    assert "press" in ui.jobs()
