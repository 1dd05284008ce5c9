"""From "this key is wrong" to why: what a failed run says, what an item's page shows, and what finds a key."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from ui.presses import open_table, see_end
from ui.stage import PER_ITEM, TWICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(300)]

_MILLISECONDS = 120_000
_EVENTS = """query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events { __typename
  ... on MessageEvent { stepKey message level }
  ... on ExecutionStepFailureEvent { error { message stack } }
  ... on RunFailureEvent { error { message stack } } } } } }"""
_CHECKS = """{ assetNodes { assetKey { path } assetChecksOrError { ... on AssetChecks { checks {
  name executionForLatestMaterialization { evaluation { success severity description } } } } } } }"""


def _found(ui: WebUi, name: str) -> dict[str, dict[str, Any]]:
    """What a check last said, by the last part of the asset's key."""
    found = {}
    for node in ui.graphql(_CHECKS)["assetNodes"]:
        for check in node["assetChecksOrError"].get("checks", ()):
            latest = check["executionForLatestMaterialization"]
            if check["name"] == name and latest is not None:
                found[node["assetKey"]["path"][-1]] = latest["evaluation"]
    return found


def test_a_failed_run_says_which_key_and_why_and_its_items_page_too(page: Page, ui: WebUi, stage: Stage) -> None:
    """Nothing is masked, no stack is shown, and the step at the end does not read as if nothing had been audited. The
    item, green before, shows what failed on its page; another one shows its keys with the run that wrote each and when,
    and leads to what finds any."""
    stage.write("forged-broken/key-0", {"host": "broken.internal", "port": "1"})
    assert ui.wait_for(ui.launch("forged")) == "SUCCESS"
    stage.write("forged-broken/key-0", {"host": "broken.internal"})
    failed = ui.launch("forged")
    assert ui.wait_for(failed) == "FAILURE"
    events = ui.graphql(_EVENTS, run=failed)["logsForRun"]["events"]
    step, end = [event["error"] for event in events if event.get("error")]
    assert step["message"].startswith("Failed: 1 of 2 secrets of item forged-broken failed: forged-broken/key-0: ")
    assert not step["stack"]
    assert end == step
    assert "masked" not in json.dumps(events)
    left_out = [event for event in events if event["stepKey"] == "audit" and "is in the ledger" in event["message"]]
    assert [event["level"] for event in left_out] == ["INFO"]

    page.goto("/assets/sync/forged?view=partitions&partition=forged-broken")
    expect(page.get_by_text("failed secrets").first).to_be_visible()
    expect(page.get_by_text("'port' is undefined").first).to_be_visible()
    page.goto("/assets/sync/forged?view=partitions&partition=team-a")
    expect(page.get_by_text("keys held").first).to_be_visible()
    expect(page.get_by_text(f"team-a/key-{PER_ITEM - 1}", exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC, run [0-9a-f]{8}")).first).to_be_visible()
    page.get_by_text("FIND_key").first.click()
    page.wait_for_url("**/jobs/FIND_key*")


def test_a_key_that_fails_at_two_destinations_names_both(page: Page, ui: WebUi, stage: Stage) -> None:
    """Once, in the step's own line; the table has a row for each."""
    there = [stage.directory / dest / "team-a" / "key-0" for dest in TWICE]
    for directory in there:
        if directory.is_file():  # another test has run the job
            directory.unlink()
        directory.mkdir(parents=True)
    failed = ui.launch("twice")
    assert ui.wait_for(failed) == "FAILURE"
    events = ui.graphql(_EVENTS, run=failed)["logsForRun"]["events"]
    step, _ = [event["error"]["message"] for event in events if event.get("error")]
    assert step.startswith(
        f"Failed: 2 of {2 * PER_ITEM} secrets of item team-a failed: {' and '.join(TWICE)}: team-a/key-0: "
    )
    page.goto(f"/runs/{failed}")
    see_end(page, "Failure")
    table = open_table(page, "type:STEP_FAILURE")
    for dest in TWICE:
        expect(table.get_by_text(f"{dest}: team-a/key-0", exact=True).first).to_be_visible()
    for directory in there:
        directory.rmdir()
    assert ui.wait_for(ui.launch("twice")) == "SUCCESS"


def test_a_key_is_found(page: Page, ui: WebUi) -> None:
    """The run's page has a table with the key, its job and item, and the run that wrote it."""
    wrote = ui.launch("press")
    assert ui.wait_for(wrote) == "SUCCESS"
    run = ui.launch("FIND_key", key="A/key-1", syncJob="press")
    assert ui.wait_for(run) == "SUCCESS"
    page.goto(f"/runs/{run}")
    see_end(page, "Success")
    dialog = open_table(page, "type:STEP_OUTPUT")
    expect(dialog.get_by_text("press-dest: team-a/key-1 <- source: team-a/key-1").first).to_be_visible()


def test_the_ledger_and_the_stores_are_looked_at(ui: WebUi) -> None:
    """One run of the schedule's job looks at all: jobs that never ran are no error, and every store is green."""
    assert ui.wait_for(ui.launch("press")) == "SUCCESS"
    assert ui.wait_for(ui.launch("CHECK_ledger_and_stores")) == "SUCCESS"
    ledger, stores = _found(ui, "ledger_intact"), _found(ui, "reachable")
    assert ledger["press"]["success"]
    assert {each["severity"] for each in ledger.values() if not each["success"]} <= {"WARN"}
    assert stores["press_dest"]["success"]
    assert all(each["success"] for each in stores.values())


@contextlib.contextmanager
def _record_edited(stage: Stage, job: str) -> Iterator[None]:
    """Another version in a record of a job, as by somebody who may write the ledger's file and knows how it is kept."""
    (path,) = stage.directory.rglob("ledger.db")
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as file:
        at, kept = file.execute(
            "SELECT seq, dest_version FROM ledger WHERE job = ? AND event = 'done' ORDER BY seq LIMIT 1", (job,)
        ).fetchone()

        def write(version: str) -> None:
            guards = file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'")
            triggers = guards.fetchall()
            file.execute("BEGIN IMMEDIATE")
            for name, _ in triggers:
                file.execute(f"DROP TRIGGER {name}")
            file.execute("UPDATE ledger SET dest_version = ? WHERE job = ? AND seq = ?", (version, job, at))
            for _, sql in triggers:
                file.execute(sql)
            file.execute("COMMIT")

        write(kept[:-1] + ("0" if kept[-1] != "0" else "1"))
        try:
            yield
        finally:
            write(kept)


def test_a_ledger_that_somebody_edited_is_red(page: Page, ui: WebUi, stage: Stage) -> None:
    """The button says of which job, by which record, and what to do; the jobs beside it stay green."""
    for job in ("press", "twice"):
        assert ui.wait_for(ui.launch(job)) == "SUCCESS"
    page.goto("/assets/sync/twice?view=checks&checkDetail=ledger_intact")
    execute = page.get_by_role("button", name=re.compile("Execute$"))
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible()
    with _record_edited(stage, "twice"):
        execute.click()
        expect(page.get_by_text("Failed", exact=True).first).to_be_visible(timeout=_MILLISECONDS)
        expect(page.get_by_text("audit verify").first).to_be_visible()
        assert ui.wait_for(ui.launch("CHECK_ledger_and_stores")) == "SUCCESS"
        found = _found(ui, "ledger_intact")
        assert (found["twice"]["success"], found["twice"]["severity"]) == (False, "ERROR")
        assert "record" in found["twice"]["description"]
        assert found["press"]["success"]
    execute.click()
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible(timeout=_MILLISECONDS)


def test_a_store_that_is_away_says_what_to_do(page: Page, ui: WebUi, stage: Stage) -> None:
    """As the command line does: its check, which is executed by its button, and the step of a run that failed by it.
    Once the store is back, the button turns the check green."""
    here, away = stage.directory / "press-dest", stage.directory / "away"
    page.goto("/assets/store/press_dest?view=checks&checkDetail=reachable")
    execute = page.get_by_role("button", name=re.compile("Execute$"))
    here.rename(away)
    try:
        execute.click()
        expect(page.get_by_text("mount it, correct the path, or create it").first).to_be_visible(timeout=_MILLISECONDS)
        expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
        failed = ui.launch("press")
        assert ui.wait_for(failed) == "FAILURE"
    finally:
        away.rename(here)
    events = ui.graphql(_EVENTS, run=failed)["logsForRun"]["events"]
    step, end = [event["error"]["message"] for event in events if event.get("error")]
    assert step.startswith("Failed: the directory ")
    assert "hint: mount it, correct the path, or create it" in step
    assert end == step
    execute.click()
    expect(page.get_by_text("Succeeded", exact=True).first).to_be_visible(timeout=_MILLISECONDS)
    assert ui.wait_for(ui.launch("press")) == "SUCCESS"
