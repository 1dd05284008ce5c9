"""What a sync did: counts, failures, drift and requests; bounded, so that it fits in memory at any size."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.model.change import Change, Drift, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = 1000
"""How many failures, drifted keys and warnings a report names; beyond it only counts grow."""


class Result(StrEnum):
    """What became of one destination secret."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    DELETED = "deleted"
    REFUSED = "refused"
    FAILED = "failed"
    UNCERTAIN = "uncertain"  # announced, and nobody can see now whether it was done: a later run settles it
    NOT_REACHED = "not-reached"  # the sync was stopped, or its store was lost, before this one


NOT_DONE = (Result.FAILED, Result.UNCERTAIN, Result.REFUSED, Result.NOT_REACHED)
"""The results of a secret that is not as the plan wants it, as far as anybody knows."""

PUT_RIGHT = (Result.CREATED, Result.UPDATED, Result.UNCHANGED, Result.DELETED)
"""The results of a secret that had drifted and has not any more."""

TOLD = (Result.FAILED, Result.UNCERTAIN, Result.REFUSED)
"""The results that a report names key by key."""

_MAY_HEAL = frozenset(
    {"unavailable", "malformed-answer", "secret-fails", "rate-limited", "lost", "conflict", "uncertain"}
)


def may_heal(code: str) -> bool:
    """Whether what failed with this error code may go well by itself a little later, so that trying again helps."""
    return code in _MAY_HEAL


class Outcome(NamedTuple):
    """One change and what became of it. ``code`` and ``message`` say why, above all where it failed or was refused."""

    change: Change
    result: Result
    code: str = ""
    message: str = ""
    hint: str = ""
    dest_version: str | None = None


@dataclass(slots=True)
class Report:
    """What one sync of one SyncJob did.

    Attributes:
        run: the run's id, under which the ledger knows it.
        job: the SyncJob's name.
        started, finished: seconds since the epoch.
        counts: results by plan item: ``counts["payments"][Result.CREATED]``.
        failures: the first KEPT outcomes that failed, were refused or are uncertain.
        drifted: the first KEPT changes whose destination had moved without us, and ``drifted_count`` of all.
        blocked: how many deletes were refused.
        held: how many deletes ``maxDelete`` held back, by destination.
        returned: how many secrets that were deleted are there again, and stay.
        orphans: how many copies that the job made nothing asks for any more.
        drift_left: how many secrets had drifted and are so still, as far as this sync knows.
        drift_unknown: how many destinations show neither values nor versions, so that nobody knows.
        warnings: sentences for people.
        errors: what went wrong for an item or a store as a whole (item, code, message, hint).
        requests: requests by store and kind, repeats included.
        stopped: the sync was asked to stop and did.
        plan: the digest of the saved plan that it carried out; empty where it decided by itself.
        beyond: with a saved plan, the items of which something is due that the plan does not name.
    """

    run: str
    job: str
    started: float
    finished: float = 0.0
    counts: dict[str, dict[Result, int]] = field(default_factory=dict)
    failures: list[Outcome] = field(default_factory=list)
    drifted: list[Change] = field(default_factory=list)
    drifted_count: int = 0
    blocked: int = 0
    held: dict[str, int] = field(default_factory=dict)
    returned: int = 0
    orphans: int = 0
    drift_left: int = 0
    drift_unknown: int = 0
    warnings: list[str] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)
    requests: dict[str, dict[str, int]] = field(default_factory=dict)
    stopped: bool = False
    plan: str = ""
    beyond: frozenset[str] = frozenset()

    def add(self, outcome: Outcome) -> None:
        """Count one outcome, and keep it if it is one that people look for and there is room."""
        counts = self.counts.setdefault(outcome.change.item, {})
        counts[outcome.result] = counts.get(outcome.result, 0) + 1
        if outcome.result in TOLD and len(self.failures) < KEPT:
            self.failures.append(outcome)
        if outcome.result is Result.REFUSED and outcome.change.owned and not outcome.change.sources:
            self.blocked += 1  # only a delete has no source
        if outcome.result is Result.REFUSED and outcome.change.reason is Reason.MAX_DELETE:
            self.held[outcome.change.dest] = self.held.get(outcome.change.dest, 0) + 1
        if outcome.change.reason is Reason.BACK_AGAIN and outcome.result is not Result.DELETED:
            self.returned += 1
        if outcome.change.drift in (Drift.CHANGED, Drift.REMOVED):
            self.drifted_count += 1
            self.drift_left += outcome.result not in PUT_RIGHT
            if len(self.drifted) < KEPT:
                self.drifted.append(outcome.change)

    def begin(self, unchanged: Mapping[str, int], warnings: list[str], errors: list[ItemError], unknown: int) -> None:
        """Take over what was known before anything was transferred."""
        for item, count in unchanged.items():
            self.counts.setdefault(item, {})[Result.UNCHANGED] = count
        self.warnings = warnings[:KEPT]
        self.errors = errors[:KEPT]
        self.drift_unknown = unknown

    def total(self, *results: Result) -> int:
        """How many secrets had one of these results, over all items; with no argument, how many there were."""
        wanted = results or tuple(Result)
        return sum(counts.get(result, 0) for counts in self.counts.values() for result in wanted)

    @property
    def totals(self) -> dict[Result, int]:
        """How many secrets had each of the results, those of none included."""
        return {result: self.total(result) for result in Result}

    def items_with(self, *results: Result) -> frozenset[str]:
        """The items of which a secret had one of these results."""
        return frozenset(item for item, counts in self.counts.items() if any(counts.get(result) for result in results))

    @property
    def ok(self) -> bool:
        """Whether everything that the plan asks for is in place."""
        return not (self.errors or self.stopped or self.total(*NOT_DONE))

    @property
    def out_of_sync(self) -> set[str]:
        """The plan items that this sync left out of sync; an empty name stands for the job as a whole.

        What ``maxDelete`` held back is told by its items, and is nothing that is wrong with the others.
        """
        return {*self.items_with(*NOT_DONE), *(error.item for error in self.errors if error.code != Reason.MAX_DELETE)}

    @property
    def failed_whole(self) -> bool:
        """Whether something is wrong with the job as a whole, so that no item is known to be well."""
        return any(not error.item and error.code != Reason.MAX_DELETE for error in self.errors)

    @property
    def unseen(self) -> list[Outcome]:
        """Of a look for drift, the keys among ``failures`` that could not be looked at; the others drifted."""
        return [each for each in self.failures if each.change.drift not in (Drift.CHANGED, Drift.REMOVED)]

    @property
    def verdict(self) -> str:
        """How it ended, in one word for the ledger; empty where all is well."""
        return "stopped" if self.stopped else ("" if self.ok else "failed")

    @property
    def asked(self) -> tuple[tuple[str, str, int], ...]:
        """The requests as the ledger has them: store, kind and count, sorted."""
        every = ((store, kind, count) for store, kinds in self.requests.items() for kind, count in kinds.items())
        return tuple(sorted(request for request in every if request[2]))

    @property
    def counted(self) -> str:
        """The counts as one line, ``name=number`` separated by spaces, for the ledger."""
        counts = {result.value: count for result, count in self.totals.items()}
        counts["errors"] = len(self.errors)
        counts["drifted"] = self.drifted_count
        counts["blocked"] = self.blocked
        counts["returned"] = self.returned
        counts["orphans"] = self.orphans
        return " ".join(f"{name}={count}" for name, count in counts.items() if count)


class ItemError(NamedTuple):
    """Something that kept a whole item, or a part of it, from being synced."""

    item: str  # empty: the job as a whole
    code: str
    message: str
    hint: str
    exit_code: int
