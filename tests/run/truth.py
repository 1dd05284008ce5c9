"""Compares what a plan says with what the sync right after it does."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.cli import results
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.report import Result
from secretsync_core.run.options import Silent

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from run.world import World
    from secretsync_core.model.report import Outcome, Report
    from secretsync_core.run.done import Planned

Said = dict[tuple[str, str, str], tuple[str, ...]]
"""By item, destination and key: what becomes of it; of what is refused also code, message and hint."""

_DONE = {Action.CREATE: "created", Action.UPDATE: "updated", Action.DELETE: "deleted", Action.SKIP: "skipped"}
_MOST_QUESTIONS = 10
"""How many requests a plan may take to ask one store what it would refuse."""

_REFUSED = (Result.REFUSED, Result.FAILED, Result.NOT_REACHED)


class Both(NamedTuple):
    """A plan, and the sync right after it."""

    planned: Planned
    report: Report

    @property
    def refused(self) -> dict[str, str]:
        """The message of each key that is refused."""
        return {key: told[2] or told[1] for (_, _, key), told in said(self.planned).items() if told[0] == "refused"}

    @property
    def hints(self) -> dict[str, str]:
        """The hint of each key that is refused."""
        return {key: told[3] for (_, _, key), told in said(self.planned).items() if told[0] == "refused"}


class Outcomes(Silent):
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.found: list[Outcome] = []

    def outcome(self, outcome: Outcome) -> None:
        """Keep it."""
        self.found.append(outcome)


async def compare(world: World, *, verify: bool = False, adopt: Collection[str] = ()) -> Both:
    """Plan, sync, and compare what becomes of each key, the exit code and the reads."""
    planned = await world.plan(verify=verify, adopt=adopt)
    return await compare_with(world, planned, verify=verify, adopt=adopt)


async def compare_with(world: World, planned: Planned, *, verify: bool = False, adopt: Collection[str] = ()) -> Both:
    """Sync, and compare with a plan."""
    outcomes = Outcomes()
    report = await world.sync(verify=verify, adopt=adopt, observer=outcomes)
    assert said(planned) == did(outcomes.found)
    assert [error[:4] for error in planned.errors] == [error[:4] for error in report.errors]
    assert results.of_plan(planned, detailed=False) == results.of_sync(report)
    assert reads(planned.requests) <= reads(report.requests), "the plan reads more than its sync"
    rights = Counter(dict.fromkeys(planned.requests, _MOST_QUESTIONS))
    assert _asked(planned.requests) <= _asked(report.requests) + rights, "the plan asks for more than its sync"
    return Both(planned, report)


def said(planned: Planned) -> Said:
    """What a plan says; what it leaves as it is is left out."""
    found: Said = {}
    for change in planned.changes:
        place = (change.item, change.dest, change.key)
        if change.action is Action.REFUSE:
            found[place] = ("refused", *(change.failure or (str(change.reason), change.detail, "")))
        elif change.action is Action.DELETE and change.reason is Reason.REMOVED_OUTSIDE:
            found[place] = ("skipped",)
        elif change.action is not Action.UNCHANGED:
            found[place] = (_DONE[change.action],)
    return found


def did(outcomes: Collection[Outcome]) -> Said:
    """The same of what a sync did."""
    return {
        (outcome.change.item, outcome.change.dest, outcome.change.key): (
            ("refused", outcome.code, outcome.message, outcome.hint)
            if outcome.result in _REFUSED
            else (outcome.result.value,)
        )
        for outcome in outcomes
        if outcome.result is not Result.UNCHANGED
    }


def reads(requests: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    """How many requests for values each store had."""
    return Counter({store: sum(n for kind, n in kinds.items() if "read" in kind) for store, kinds in requests.items()})


def _asked(requests: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    return Counter({store: sum(kinds.values()) for store, kinds in requests.items()})
