"""What a run gives: the plan of one, and what one did, whole or a step of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from secretsync_core.model.change import Drift
from secretsync_core.model.report import NOT_DONE, PUT_RIGHT, Outcome, Report, Result, may_heal
from secretsync_core.run.options import Silent
from secretsync_core.run.shards import Moved

if TYPE_CHECKING:
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError
    from secretsync_core.run.decide import ChangeSet
    from secretsync_core.run.options import Observer
    from secretsync_core.run.orphans import Orphan
    from secretsync_core.run.pins import Named, Place


@dataclass(slots=True)
class Planned:
    """What a sync would do: every change (unchanged ones too), in the order of item and key."""

    job: str
    changes: list[Change]
    warnings: list[str]
    errors: list[ItemError]
    requests: dict[str, dict[str, int]]
    orphans: list[Orphan] = field(default_factory=list)
    named: dict[Place, Named] = field(default_factory=dict)
    """Of a plan that is to be saved: the names of values where versions are missing."""


KEPT_OUTCOMES = 1000
"""How many outcomes a step keeps to show; the counts are of all."""

_DRIFTED = 100
"""How many drifted keys a step tells the audit."""

_AS_IT_WAS = (Result.UNCHANGED, Result.SKIPPED)

COPIES = (Result.CREATED, Result.UPDATED)
"""The results of a secret that was written."""

MOVES = (*COPIES, Result.DELETED)
"""The results of a secret that is not as it was."""


@dataclass(slots=True)
class Done:
    """What a run, or a step of it, did."""

    report: Report
    observer: Observer = field(default_factory=Silent)
    outcomes: list[Outcome] = field(default_factory=list)
    healed: int = 0
    """How many secrets the audit copied, which a step of its own should have."""
    out: frozenset[str] = frozenset()
    """The items that a step left out of sync; an empty name stands for the job as a whole."""
    well: tuple[str, ...] = ()
    """The items that a step found or made well, which no earlier step of this run said of them."""
    outcomes_of: Counter[str] = field(default_factory=Counter)
    """How many outcomes there were of each item, those that were not kept included."""
    drifted_of: Counter[str] = field(default_factory=Counter)
    """How many secrets of each item had drifted; at the end of a run also those that earlier steps put right."""
    mended: list[Change] = field(default_factory=list)
    """The first of those that this step put right, and ``mended_of`` how many of each item."""
    mended_of: Counter[str] = field(default_factory=Counter)
    again: bool = False
    """The step was tried before in this run."""
    earlier: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    """What this run wrote before this attempt, by (destination, key), as far as this one has no other word on it."""
    drifted_before: int = 0
    """How many of the last of those that had drifted earlier attempts met."""
    began: float = field(default_factory=time.time)
    """When this step began, in seconds since the epoch; of a whole run the report says that."""

    def begin(self, found: ChangeSet) -> None:
        """Take over what was decided before anything is transferred."""
        self.report.begin(found.unchanged, list(found.warnings), list(found.errors), found.unknown_drift)
        self.report.orphans = len(found.orphans)

    def settled(self, outcome: Outcome) -> None:
        """Take one outcome."""
        self.observer.outcome(outcome)
        if self.earlier:
            place = (outcome.change.dest, outcome.change.key)
            if place in self.earlier and outcome.result in _AS_IT_WAS:
                # It stays what the run did with it, and is counted as that once all is done: till then as any copy
                # that is in place.
                if self.earlier[place].result in COPIES:
                    counts = self.report.counts.setdefault(outcome.change.item, {})
                    counts[Result.UNCHANGED] = counts.get(Result.UNCHANGED, 0) + 1
                return
            self.earlier.pop(place, None)
        self._take(outcome)

    def take_over_earlier(self) -> None:
        """Tell what earlier attempts wrote, and this one found in place or gone, as done by this one."""
        before = self.report.drifted_count
        for outcome in self.earlier.values():
            self._take(outcome)
            counts = self.report.counts[outcome.change.item]
            if outcome.result in COPIES and (left := counts.pop(Result.UNCHANGED, 0)) > 1:
                counts[Result.UNCHANGED] = left - 1
        self.drifted_before = self.report.drifted_count - before
        self.earlier = {}

    def _take(self, outcome: Outcome) -> None:
        self.report.add(outcome)
        self.outcomes_of[outcome.change.item] += 1
        if outcome.change.drift in (Drift.CHANGED, Drift.REMOVED):
            self.drifted_of[outcome.change.item] += 1
            if outcome.result in PUT_RIGHT:
                self.mended_of[outcome.change.item] += 1
                if len(self.mended) < _DRIFTED:
                    self.mended.append(outcome.change)
        if len(self.outcomes) < KEPT_OUTCOMES or outcome.result in (Result.FAILED, Result.REFUSED):
            self.outcomes.append(outcome)

    @property
    def may_heal(self) -> bool:
        """Whether anything failed that may go well by itself: only then is the same step worth another attempt."""
        bad = [outcome.code for outcome in self.outcomes if outcome.result in NOT_DONE]
        return any(may_heal(code) for code in [*bad, *(error.code for error in self.report.errors)])

    @property
    def moved(self) -> Moved:
        """What the audit has to know of a transfer step."""
        return Moved(
            self.report.run,
            self.report.counts,
            next(iter(self.well), ""),
            self.report.requests,
            self.began,
            tuple(self.mended),
            dict(self.mended_of),
            self.again,
        )
