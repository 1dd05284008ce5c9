"""Running a job from its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from ui.presses import events, launch, open_launchpad, see_end, type_config
from ui.stage import ITEMS, PER_ITEM

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

pytestmark = [pytest.mark.xdist_group("ui"), pytest.mark.timeout(240)]


def test_one_press_runs_the_whole_job(page: Page, ui: WebUi, stage: Stage) -> None:
    """Launch Run asks no more; the run's page shows expand, a transfer an item, and the audit, and says Success."""
    open_launchpad(page, "press")
    run = launch(page)
    see_end(page, "Success")
    assert len(stage.dest("press")) == len(ITEMS) * PER_ITEM
    page.get_by_text("Succeeded (5)").click()  # the chart cuts names short where a bar is narrow; this list does not
    for step in ("expand", *(f"transfer[{item.replace('-', '_')}]" for item in ITEMS), "audit"):
        expect(page.get_by_text(step, exact=True).first).to_be_attached()
    seen = events(ui, run)
    first = next(float(event["timestamp"]) for event in seen if event["__typename"] == "ExecutionStepStartEvent")
    seconds = (first - float(seen[0]["timestamp"])) / 1000
    print(f"from the press to the first op: {seconds:.1f} s")
    assert seconds < 30


def test_the_table_of_keys_can_be_opened(page: Page) -> None:
    """A transfer step shows each key with what happened to it and both versions."""
    open_launchpad(page, "press")
    type_config(page, "{items: [team-b], verify: true}")
    launch(page)
    see_end(page, "Success")
    page.get_by_placeholder("Filter…").fill("step:transfer[team_b]")
    page.keyboard.press("Escape")
    page.get_by_text("View full message").first.click()
    dialog = page.get_by_role("dialog")
    for text in ("key", "result", "why", "source version", "destination version"):
        expect(dialog.get_by_text(text, exact=True).first).to_be_visible()
    expect(dialog.get_by_text("press-dest: team-b/key-0").first).to_be_visible()


def test_a_dry_run_shows_the_plan_and_writes_nothing(page: Page, stage: Stage) -> None:
    """dryRun in the Launchpad gives the plan as a table on the run's page."""
    open_launchpad(page, "dry")
    type_config(page, "dryRun: true")
    launch(page)
    see_end(page, "Success")
    page.get_by_placeholder("Filter…").fill("step:expand")
    page.keyboard.press("Escape")
    expect(page.get_by_text("dry-dest: team-a/key-0").first).to_be_attached()
    expect(page.get_by_text("would create").first).to_be_attached()
    assert stage.dest("dry") == {}
