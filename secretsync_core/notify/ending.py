"""How a run ended, as far as a message tells it: from a report, or from what the ledger holds of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit.counts import results_of
from secretsync_core.audit.record import Event
from secretsync_core.model.change import Reason
from secretsync_core.model.report import Result
from secretsync_core.schema.notify import NotifyEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.audit.drift import Look
    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.errors import SecretSyncError
    from secretsync_core.model.report import Report

SHOWN = 20
"""How many failed and drifted keys a message names; beyond it there are only counts."""

_KEPT = 1000
_WRITES = {"create": Result.CREATED, "update": Result.UPDATED, "delete": Result.DELETED}
_DRIFT = (Reason.DRIFTED, Reason.REMOVED_OUTSIDE)


class Key(NamedTuple):
    """One destination secret, by its name, and the code of what is to be said of it."""

    item: str
    dest: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How one run of one SyncJob ended.

    Attributes:
        job, run: which; ``run`` is empty where none was begun.
        ok: whether everything that the plan asks for is in place.
        counts: secrets by result.
        failed, uncertain, drifted: the first SHOWN keys, in order, and the counts of all.
        blocked: how many deletes were refused.
        errors: what kept items or the whole job from being synced; sentences that hold no value.
        looked: this was no sync: somebody only looked for drift, and nothing was put right.
    """

    job: str
    run: str
    ok: bool
    counts: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[Key, ...] = ()
    failed_count: int = 0
    uncertain: tuple[Key, ...] = ()
    uncertain_count: int = 0
    drifted: tuple[Key, ...] = ()
    drifted_count: int = 0
    blocked: int = 0
    errors: tuple[str, ...] = ()
    looked: bool = False


def events_of(ending: Ending, previous: bool | None) -> list[NotifyEvent]:
    """What a run is worth a message for, the gravest first.

    ``previous`` says whether the run before went well; None where there was none.
    """
    found = {
        NotifyEvent.FAILURE: not ending.ok and not ending.looked,
        NotifyEvent.BLOCKED_DELETES: ending.blocked > 0,
        NotifyEvent.DRIFT: ending.drifted_count > 0,
        NotifyEvent.RECOVERY: ending.ok and previous is False and not ending.looked,
    }
    return [event for event, happened in found.items() if happened]


def of_report(report: Report) -> Ending:
    """The ending of a run whose report is at hand."""
    failed, uncertain = (
        [
            Key(outcome.change.item, outcome.change.dest, outcome.change.key, outcome.code)
            for outcome in report.failures
            if outcome.result is result
        ]
        for result in (Result.FAILED, Result.UNCERTAIN)
    )
    drifted = [Key(change.item, change.dest, change.key, change.drift.value) for change in report.drifted]
    errors = [f"{error.item}: {error.message}" if error.item else error.message for error in report.errors]
    if report.stopped:
        errors.append("the run was stopped early")
    return Ending(
        report.job,
        report.run,
        report.ok,
        _without_zeros(report.totals),
        _first(failed),
        report.total(Result.FAILED),
        _first(uncertain),
        report.total(Result.UNCERTAIN),
        _first(drifted),
        report.drifted_count,
        report.blocked,
        tuple(errors[:SHOWN]),
    )


def of_error(job: str, error: SecretSyncError) -> Ending:
    """The ending of a run that could not even begin."""
    return Ending(job, "", ok=False, errors=(error.message,))


def of_look(job: str, look: Look) -> Ending:
    """What a look for drift found."""
    drifted = _first([Key(*key) for key in look.keys])
    return Ending(job, look.run, ok=not look.count, drifted=drifted, drifted_count=look.count, looked=True)


def of_run(ledger: Ledger, job: str, run: str, *, ok: bool, errors: Sequence[str] = ()) -> Ending:
    """The ending of a run, from what the ledger holds of it; also of one that was killed. Raises LedgerError."""
    settled: dict[tuple[str, str], tuple[Result | None, Key]] = {}
    drifted: dict[tuple[str, str], Key] = {}
    finished: dict[str, int] = {}
    outcomes: set[str] = set()
    # From its last record back to its first, so that a long history costs nothing.
    for record in ledger.records(job=job, run=run, newest_first=True):
        draft = record.draft
        if draft.event is Event.RUN_STARTED:
            break
        if draft.event is Event.RUN_FINISHED:
            finished = finished or results_of(draft.counts)
            continue
        key = Key(draft.item, draft.dest, draft.key, draft.reason)
        place = (draft.dest, draft.key)
        if draft.event is Event.INTENDED and draft.intent not in outcomes:
            settled.setdefault(place, (Result.UNCERTAIN, key._replace(reason=Result.UNCERTAIN)))
        elif draft.event is not Event.INTENDED:  # the last word on a key counts
            outcomes.add(draft.intent)
            result = Result.FAILED if draft.event is Event.FAILED else None
            settled.setdefault(place, (_WRITES.get(draft.action) if draft.event is Event.DONE else result, key))
        if draft.reason in _DRIFT:
            told = "removed" if draft.reason == Reason.REMOVED_OUTSIDE else "changed"
            drifted[place] = key._replace(reason=told)
    results = [result for result, _ in settled.values()]
    counts = {result.value: results.count(result) for result in (*_WRITES.values(), Result.FAILED, Result.UNCERTAIN)}
    copied = sum(finished.get(result, 0) for result in (Result.CREATED, Result.UPDATED, Result.UNCHANGED))
    # A run of several steps ends with a look at everything, which finds unchanged what an earlier step wrote.
    counts[Result.UNCHANGED] = max(0, copied - counts[Result.CREATED] - counts[Result.UPDATED])
    for other in (Result.SKIPPED, Result.REFUSED, Result.NOT_REACHED):
        counts[other] = finished.get(other, 0)
    # What an earlier run left uncertain, and this one could not see either, is in its last record alone.
    counts[Result.UNCERTAIN] = max(counts[Result.UNCERTAIN], finished.get(Result.UNCERTAIN, 0))
    failed, uncertain = (
        [key for found, key in settled.values() if found is result] for result in (Result.FAILED, Result.UNCERTAIN)
    )
    return Ending(
        job,
        run,
        ok,
        _without_zeros({result: counts[result] for result in Result}),
        _first(failed),
        len(failed),
        _first(uncertain),
        counts[Result.UNCERTAIN],
        _first(list(drifted.values())),
        len(drifted),
        finished.get("blocked", 0),
        tuple(errors[:SHOWN]),
    )


def _without_zeros(counts: Mapping[Result, int]) -> dict[str, int]:
    return {result.value: count for result, count in counts.items() if count}


def _first(keys: list[Key]) -> tuple[Key, ...]:
    return tuple(sorted(keys[:_KEPT], key=lambda key: (key.key, key.dest))[:SHOWN])
