"""What a report says of a sync as a whole."""

from __future__ import annotations

import pytest

from secretsync_core import errors
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.report import NOT_DONE, ItemError, Outcome, Report, Result, may_heal


def _report(**results: Result) -> Report:
    """A report with one outcome for each item."""
    report = Report("run", "job", 0.0)
    for item, result in results.items():
        report.add(Outcome(Change(item, "dest", "key", Action.UPDATE, Reason.NEW), result))
    return report


@pytest.mark.parametrize("result", Result)
def test_an_item_is_out_of_sync_where_one_of_its_secrets_is(result: Result) -> None:
    """What is not done leaves its item out, and nothing else does; the report is not ok just then."""
    report = _report(a=result, b=Result.UNCHANGED)
    assert report.out_of_sync == ({"a"} if result in NOT_DONE else set())
    assert report.ok is (result not in NOT_DONE)
    assert result in NOT_DONE or result in (
        Result.CREATED, Result.UPDATED, Result.UNCHANGED, Result.SKIPPED, Result.DELETED,
    )  # fmt: skip


def test_errors_leave_their_items_out() -> None:
    """An item that could not be seen is out of sync; an error of no item is one of the job as a whole."""
    report = _report(a=Result.CREATED)
    report.errors = [ItemError("b", "unavailable", "away", "", 3), ItemError("", "lost", "lost", "", 3)]
    assert report.out_of_sync == {"b", ""}


def test_what_a_look_for_drift_could_not_see_is_told_apart() -> None:
    """Drifted keys count as failed, too; the others could not be looked at."""
    report = _report()
    for drift in Drift:
        change = Change("a", "dest", drift.value, Action.COMPARE, Reason.CANNOT_SEE, drift=drift)
        report.add(Outcome(change, Result.FAILED))
    assert [outcome.change.drift for outcome in report.unseen] == [Drift.NONE, Drift.UNKNOWN]


def test_what_may_heal_is_what_trying_again_helps() -> None:
    """Every error of a store that is retried at once may heal later too, and a refusal does not."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SecretSyncError)
    ]
    healing = {"unavailable", "rate-limited", "malformed-answer", "secret-fails", "lost", "conflict"}
    assert {kind.code for kind in kinds if may_heal(kind.code)} == healing
    assert all(may_heal(kind.code) for kind in kinds if kind.retryable)
