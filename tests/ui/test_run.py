"""Running a job from its page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from ui.presses import events, launch, open_launchpad, open_table, press_in, row_of, see_end, type_config
from ui.stage import ITEMS, PER_ITEM

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from secretsync_core.demo.ui import WebUi
    from ui.history import History
    from ui.stage import Stage

pytestmark = [pytest.mark.xdist_group("ui"), pytest.mark.timeout(300)]


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_verify_run_has_a_table_of_what_it_compared(page: Page, history: History) -> None:
    """With ``verify`` every value is compared: the item's step shows each key, unchanged, with both versions."""
    history.drift()
    open_launchpad(page, "drift")
    type_config(page, "{items: [team-a], verify: true}")
    launch(page)
    see_end(page, "Success")
    table = open_table(page, "step:transfer[team_a]")
    for text in ("key", "result", "versions"):
        expect(table.get_by_text(text, exact=True).first).to_be_visible()
    for number in range(PER_ITEM):
        expect(row_of(table, f"team-a/key-{number}")).to_contain_text("unchanged")


@pytest.mark.slow
def test_a_dry_run_shows_the_plan_and_writes_nothing(page: Page, stage: Stage) -> None:
    """dryRun in the Launchpad gives the plan as a table on the run's page, with every key and why."""
    open_launchpad(page, "dry")
    type_config(page, "dryRun: true")
    launch(page)
    see_end(page, "Success")
    table = open_table(page, "step:expand", 'Yielded output "manifest"')
    for text in ("key", "would", "would create"):
        expect(table.get_by_text(text, exact=True).first).to_be_visible()
    for item in ITEMS:
        for number in range(PER_ITEM):
            expect(row_of(table, f"{item}/key-{number}")).to_contain_text("create: not in the destination yet")
    assert stage.dest("dry") == {}


@pytest.mark.slow
def test_a_run_is_undone_after_its_plan_was_shown(page: Page, ui: WebUi, stage: Stage) -> None:
    """A run named in the Launchpad is planned to be undone, and with ``apply`` it is: what it created is gone."""
    wrong = ui.launch("undo")
    assert ui.wait_for(wrong) == "SUCCESS"
    open_launchpad(page, "undo")
    type_config(page, f"undo: {{run: {wrong}}}")
    launch(page)
    see_end(page, "Success")
    table = open_table(page, "step:expand", 'Yielded output "manifest"')
    for item in ITEMS:
        for number in range(PER_ITEM):
            expect(row_of(table, f"{item}/key-{number}")).to_contain_text("delete")
    assert len(stage.dest("undo")) == len(ITEMS) * PER_ITEM
    open_launchpad(page, "undo")
    type_config(page, f"undo: {{run: {wrong}, apply: true}}")
    launch(page)
    see_end(page, "Success")
    assert stage.dest("undo") == {}


@pytest.mark.slow
def test_terminate_ends_a_run_in_order(page: Page, ui: WebUi, stage: Stage) -> None:
    """A run that is terminated in the middle starts no further step, and what it left the next one completes."""
    open_launchpad(page, "stop")
    run = launch(page)
    deadline = time.monotonic() + 120
    while not stage.dest("stop") and time.monotonic() < deadline:
        time.sleep(0.1)
    press_in(page.get_by_role("button", name="Terminate"), page.get_by_role("button", name="Terminate 1 run"))
    see_end(page, "Canceled")
    assert ui.wait_for(run) == "CANCELED"
    assert 0 < len(stage.dest("stop")) < len(ITEMS) * PER_ITEM
    started = [event["stepKey"] for event in events(ui, run) if event["__typename"] == "ExecutionStepStartEvent"]
    assert started[0] == "expand"
    assert len(started) < 2 + len(ITEMS)
    assert ui.wait_for(ui.launch("stop")) == "SUCCESS"
    assert len(stage.dest("stop")) == len(ITEMS) * PER_ITEM
