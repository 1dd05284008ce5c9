"""A run whose step is tried again reports what the whole run did: each key once, by the last word on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from dagster_jobs.lab import evaluations, moved, rows
from secretsync_core.audit.record import Event
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_core.run import parts, steps, undo_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dagster as dg

    from dagster_jobs.lab import Lab

ALPHA = "- {name: alpha, query: {path: alpha}}"
AWAY = StoreUnavailable("not now", store="dst")


def _three(lab: Lab, **spec: str) -> None:
    lab.job(ALPHA, **spec)
    lab.fill("src", {f"alpha/{number}": {"x": str(number)} for number in (1, 2, 3)})


def _retried(result: dg.ExecuteInProcessResult) -> list[str | None]:
    return [event.step_key for event in result.all_events if event.is_step_up_for_retry]


def _told(lab: Lab, result: dg.ExecuteInProcessResult) -> Mapping[str, int]:
    """What the end of the run says in the ledger, which ``secretsync status`` shows."""
    last = lab.ledger.runs.summary("job").last_run
    assert last is not None
    assert last.run == result.run_id
    return last.counts


def _in_sync(result: dg.ExecuteInProcessResult, *names: str) -> tuple[Any, ...]:
    shown = evaluations(result)[-1].metadata
    return tuple(shown[name].value for name in names)


def _ends_badly(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    """Let the first attempt of a step die once all its work is done, before it can tell of it."""
    real, left = getattr(module, name), [AWAY]

    async def once(*args: Any, **options: Any) -> Any:
        done = await real(*args, **options)
        if left:
            raise left.pop()
        return done

    monkeypatch.setattr(module, name, once)


def test_copies_of_both_attempts_count(lab: Lab) -> None:
    """Two were copied at first and one by the retry: three copies for the item, the check and the ledger, by name."""
    _three(lab)
    lab.fault("dst").fail("write_if", AWAY, key="alpha/2", times=1)
    result = lab.run()
    assert _retried(result) == ["transfer[alpha]"]
    assert moved(result) == {"alpha": [3]}
    assert moved(result, "unchanged") == {"alpha": [0]}
    (event,) = [event for event in result.all_events if event.is_step_materialization]
    shown = event.step_materialization_data.materialization.metadata["secrets"].value
    assert sorted((row["key"], row["result"].partition(":")[0]) for row in rows(shown)) == [
        (f"alpha/{number}", "created") for number in (1, 2, 3)
    ]
    assert _in_sync(result, "copied", "unchanged") == (3, 0)
    assert _told(lab, result) == {"created": 3}


def test_drift_of_both_attempts_counts(lab: Lab) -> None:
    """What an attempt put right before it failed had drifted, too."""
    _three(lab)
    assert lab.run().success
    lab.fill("dst", {f"alpha/{number}": {"x": "theirs"} for number in (1, 2)})
    lab.take("dst", "alpha/3")
    lab.fault("dst").fail("write_if", AWAY, key="alpha/2", times=1)
    result = lab.run()
    assert _retried(result) == ["transfer[alpha]"]
    assert moved(result, "drifted") == {"alpha": [3]}
    assert _in_sync(result, "copied", "unchanged", "drifted") == (3, 0, 3)
    assert _told(lab, result) == {"created": 1, "updated": 2, "drifted": 3}


@pytest.mark.parametrize("name", ["transfer", "audit"])
def test_what_died_untold_is_told_by_the_next_attempt(lab: Lab, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A step has written, updated and deleted all there was to do, and was lost with its report: the retry finds
    nothing left to do, and tells all of it; what was unchanged all the time leaves no record."""
    lab.two_items(deletionPolicy="Delete", maxDelete="5")
    assert lab.run().success
    lab.fill("src", {"alpha/1": {"x": "new"}, "alpha/3": {"x": "3"}})
    lab.take("src", "beta/2")
    _ends_badly(monkeypatch, steps, name)
    result = lab.run()
    assert len(_retried(result)) == 1
    assert _told(lab, result) == {"created": 1, "updated": 1, "deleted": 1, "unchanged": 2}
    assert _in_sync(result, "copied", "deleted", "unchanged") == (2, 1, 2)
    records = [record.draft for record in lab.ledger.records(job="job", run=result.run_id)]
    assert {draft.key for draft in records if draft.key} == {"alpha/1", "alpha/3", "beta/2"}


def test_deletes_of_the_audit_count_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of an item that is gone from the document are deleted last: by an attempt of the audit that fails."""
    lab.two_items(deletionPolicy="Delete", maxDelete="5")
    assert lab.run().success
    lab.job(ALPHA, deletionPolicy="Delete", maxDelete="5")
    lab.fill("src", {"alpha/1": {"x": "new"}})
    _ends_badly(monkeypatch, steps, "audit")
    result = lab.run()
    assert _retried(result) == ["audit"]
    assert set(lab.held()) == {"alpha/1", "alpha/2"}
    assert _told(lab, result) == {"updated": 1, "deleted": 2, "unchanged": 1}


def test_a_step_that_fails_for_good_tells_all_it_did(lab: Lab) -> None:
    """Two copies at first, then a refusal: two copied and one failed, for Dagster and at the end in the ledger."""
    _three(lab)
    lab.fault("dst").fail("write_if", AWAY, key="alpha/2", times=1)
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/2")
    result = lab.run()
    assert _retried(result) == ["transfer[alpha]"]
    assert _in_sync(result, "copied", "failed", "unchanged") == (2, 1, 0)


def test_parts_of_an_item_tell_of_their_own_keys(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an item in parts one is tried again, after another has written: no key counts twice."""
    monkeypatch.setattr("secretsync_core.run.shards.PART_SIZE", 2)
    lab.job("- {name: all, query: {recursive: true}}", limits="{shards: 3}")
    lab.fill("src", {f"k{number}": {"x": str(number)} for number in range(6)})
    lab.fault("dst").fail("write_if", AWAY, key="k5", times=1)
    result = lab.run()
    assert len(_retried(result)) == 1
    assert _told(lab, result) == {"created": 6}


def test_nothing_is_read_back_where_nothing_was_tried_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without a retry asks the ledger for none of its records."""
    monkeypatch.setattr(parts, "written_so_far", None)
    lab.two_items()
    assert lab.run().success


def test_an_undo_that_is_tried_again_tells_all_it_undid(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both keys go, and the attempt that undid them is lost: the retry tells of both, and of the item they are of."""
    lab.job(ALPHA)
    lab.fill("src", {"alpha/1": {"x": "1"}, "alpha/2": {"x": "2"}})
    run = lab.run().run_id
    _ends_badly(monkeypatch, undo_steps, "undo")
    result = lab.run(undo={"run": run, "apply": True})
    assert _retried(result) == ["expand"]
    assert asyncio.run(lab.all("dst")) == {}
    assert _told(lab, result) == {"deleted": 2}
    assert _in_sync(result, "deleted") == (2,)
    ends = lab.ledger.records(job="job", run=result.run_id, events=[Event.RUN_FINISHED])
    assert [record.draft.counts for record in ends] == ["deleted=2", "deleted=2"]
