"""A plan's last step: what versions could not decide is decided by reading, and nothing is written."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

from secretsync_core.engine.gate import unexpected
from secretsync_core.model.change import Action, Change, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from secretsync_core.engine.compare import Comparer
    from secretsync_core.engine.run import Observer
    from secretsync_core.errors import SecretSyncError
    from secretsync_core.plan.items import JobPlan


def read_together(change: Change) -> tuple[str, str]:
    """What changes that are made of the same reads have in common: item and key, or the source that is split."""
    split = bool(change.sources) and change.sources[0].field is not None
    return change.item, change.sources[0].key if split else change.key


async def foresee(
    plan: JobPlan, changes: Sequence[Change], comparer: Comparer, observer: Observer, *, render: Collection[str]
) -> list[Change]:
    """Decide every ``compare``; for the destinations ``render`` also make what would be written, to see if it can be.

    A secret that cannot be read or rendered is refused, with the error's code and text as its detail.
    """

    def is_open(change: Change) -> bool:
        written = change.action in (Action.CREATE, Action.UPDATE) and change.dest in render
        return written or change.action is Action.COMPARE

    decided = [change for change in changes if not is_open(change)]
    open_ones = [change for change in changes if is_open(change)]
    observer.planned(len(open_ones))
    groups = groupby(open_ones, key=read_together)

    async def worker() -> None:
        for _, group in groups:
            members = list(group)
            try:
                wanted = await comparer.want(members[0].item, members[0].sources)
            except Exception as error:  # noqa: BLE001  a third party's store may raise anything
                failure = unexpected(error, members[0].sources[0].store)
                decided.extend(_refused(change, failure) for change in members)
                continue
            for change in members:
                try:
                    decided.append((await comparer.decide(change, wanted)).change)
                except Exception as error:  # noqa: BLE001
                    decided.append(_refused(change, unexpected(error, change.dest)))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(2 * plan.spec.limits.concurrency):
            tasks.create_task(worker())
    return decided


def _refused(change: Change, error: SecretSyncError) -> Change:
    reason = {
        "not-found": Reason.NOT_FOUND,
        "transform-failed": Reason.TRANSFORM_FAILED,
        "invalid-secret": Reason.CANNOT_HOLD,
    }.get(error.code)
    return change._replace(
        action=Action.REFUSE, reason=reason or Reason.CANNOT_COMPARE, detail=f"{error.code}: {error.message}"
    )
