"""An item that fails, and its retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from ui.presses import events, launch, open_launchpad, open_table, press_in, run_of, see_end

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(300)]


def test_a_failed_item_is_retried_from_failure(page: Page, ui: WebUi, stage: Stage) -> None:
    """The failed step says which secret and why; once it is mended, From failure runs that item and no other."""
    open_launchpad(page, "retry")
    failed = launch(page)
    see_end(page, "Failure")
    assert len(stage.dest("retry")) == 10  # all but the one
    table = open_table(page, "type:STEP_FAILURE", "1 of 2 secrets of item retry-broken failed")
    expect(table.get_by_text("retry-broken/key-0").first).to_be_visible()
    page.get_by_role("button", name="Done").click()

    stage.write("retry-broken/key-0", {"host": "broken.internal", "port": "2"})
    more = page.get_by_role("button", name="Re-execute all").locator("xpath=following::button[1]")
    press_in(more, page.get_by_text("From failure"))
    again = run_of(page, other_than=failed)
    see_end(page, "Success")
    assert len(stage.dest("retry")) == 11
    started = {event["stepKey"] for event in events(ui, again) if event["__typename"] == "ExecutionStepStartEvent"}
    assert started == {"transfer[retry_broken]", "audit"}
