"""The truth of a plan: every change is made ready as the sync would, up to its announcement, and nothing is written.

What raises there is refused in the plan, in the words that the sync would have for it. A value lives as long as its key
is looked at; what stays is the change.
"""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

from secretsync_core.errors import Conflict, LedgerError, NotOurs
from secretsync_core.model.change import Action, Failure, Reason
from secretsync_core.model.report import Outcome, Result
from secretsync_core.run.adopting import way_out
from secretsync_core.run.compare import read_together
from secretsync_core.run.deletes import takes_away
from secretsync_core.run.marks import marks_what_it_takes
from secretsync_core.run.ready import Sources, check_reachable, compared_again, look_before_creating, refused_by

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.run.compare import Comparer, Verdict
    from secretsync_core.run.deleting import Judged, LastLook
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.options import Observer

NOT_RENDERED = (
    "values were not read (--no-render), so the plan does not show which secrets cannot be read, rendered or stored"
)
"""What a plan says once that has rendered nothing."""

_WRITES = (Action.CREATE, Action.UPDATE)
_OPEN = (*_WRITES, Action.COMPARE)


async def foresee(
    plan: JobPlan, opened: OpenStores, changes: Sequence[Change], comparer: Comparer, observer: Observer
) -> list[Change]:
    """Decide every change by its value; what could not be written is refused, with code, message and hint.

    It costs what the sync would read for these changes. Raises LedgerError where the ledger fails.
    """
    dests = len(plan.spec.dest)
    decided = [_told(plan.job, change, opened, dests) for change in changes if not _is_open(change)]
    open_ones = [change for change in changes if _is_open(change)]
    observer.planned(len(open_ones))
    # As many at a time as in a transfer, grouped as there.
    groups = groupby(open_ones, key=read_together)
    foreseen = _Foreseen(plan, opened, comparer)

    async def worker() -> None:
        for _, group in groups:
            members = list(group)
            sources = Sources(comparer, members)
            for change in members:
                found = await foreseen.one(change, sources)
                decided.append(found)
                # Nothing is changed by a plan.
                observer.outcome(Outcome(found, Result.REFUSED if found.action is Action.REFUSE else Result.UNCHANGED))

    await _at_once(worker, plan)
    return decided


def _is_open(change: Change) -> bool:
    """Whether its value decides: where metadata alone is to be set, the sync reads no value either."""
    return change.action in _OPEN and change.reason is not Reason.METADATA


def _told(job: str, change: Change, opened: OpenStores, dests: int, *, always: bool = False) -> Change:
    """The change, with what to do about it where it is refused as not the job's; ``always``: where it is refused."""
    if change.action is not Action.REFUSE or not (always or change.reason is Reason.NOT_MANAGED):
        return change
    hint = way_out(job, change, dests=dests, halves=opened.get(change.dest))
    return change._replace(failure=Failure(change.reason, change.detail, hint))


async def foresee_deletes(
    plan: JobPlan, opened: OpenStores, deletes: Sequence[Change], last_look: LastLook
) -> list[Change]:
    """Look at deletes as the sync would, where their versions do not tell that they are ours."""
    open_ones = iter([change for change in deletes if takes_away(change)])
    looked: dict[tuple[str, str, str], Change] = {}

    async def worker() -> None:
        for change in open_ones:
            looked[change.item, change.dest, change.key] = await _foresee_delete(opened, change, last_look)

    await _at_once(worker, plan)
    return [looked.get((change.item, change.dest, change.key), change) for change in deletes]


async def _foresee_delete(opened: OpenStores, change: Change, last_look: LastLook) -> Change:
    try:
        check_reachable(opened, change.dest)
        judged = await last_look.judge(change, again=False)
        await _ask_of_delete(opened, judged)
    except LedgerError:
        raise
    except Exception as error:  # noqa: BLE001  as in a sync: one secret never stops another
        return refused_by(change, error)
    return judged.change


async def _ask_of_delete(opened: OpenStores, judged: Judged) -> None:
    """Raise what the destination would refuse."""
    change, foreseer = judged.change, opened.get(judged.change.dest).delete_foreseer
    whole = change.action is Action.DELETE and judged.rest is None
    if whole and foreseer is not None and change.dest_version is not None:
        await foreseer.check_delete(change.key, change.dest_version)


async def _at_once(worker: Callable[[], Coroutine[None, None, None]], plan: JobPlan) -> None:
    """Run as many workers as a transfer has."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2 * plan.spec.limits.concurrency):
                tasks.create_task(worker())
    except* LedgerError as errors:
        raise errors.exceptions[0] from None


class _Foreseen:
    """What becomes of single changes."""

    def __init__(self, plan: JobPlan, opened: OpenStores, comparer: Comparer) -> None:
        self._plan, self._job, self._dests = plan, plan.job, len(plan.spec.dest)
        self._policies = {item.name: item.write_policy for item in plan.items}
        self._opened = opened
        self._comparer = comparer

    async def one(self, change: Change, sources: Sources) -> Change:
        """The change as the sync would carry it out, or refused."""
        try:
            verdict = await self._verdict(change, sources)
            if verdict.change.action in _WRITES:
                await self._ask(verdict)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001  as in a sync: one secret never stops another
            return refused_by(change, error)
        change = verdict.change
        return _told(self._job, change, self._opened, self._dests, always=True)

    async def _verdict(self, change: Change, sources: Sources) -> Verdict:
        check_reachable(self._opened, change.dest)
        verdict = await self._comparer.decide(change, await sources.wanted())
        try:
            await look_before_creating(self._opened, verdict.change, self._policies[change.item])
        except Conflict:  # the look had missed it, and a sync would decide anew
            return await self._comparer.decide(compared_again(change), await sources.wanted())
        return verdict

    async def _ask(self, verdict: Verdict) -> None:
        """Raise what the destination would refuse."""
        change, value = verdict.change, verdict.value
        foreseer = self._opened.get(change.dest).foreseer
        if foreseer is None or value is None:
            return
        try:
            await foreseer.check_write(change.key, value, change.dest_version)
        except NotOurs:
            # What is taken over is marked ahead of its write, and says then that it is the job's.
            if not (change.adopt and marks_what_it_takes(self._plan, self._opened, change.dest)):
                raise
