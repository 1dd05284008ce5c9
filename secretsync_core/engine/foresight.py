"""A plan's last step: what versions could not decide is decided by reading, and nothing is written."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

from secretsync_core.engine.gate import unexpected
from secretsync_core.model.change import Action, Change, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.engine.compare import Comparer
    from secretsync_core.engine.run import Observer
    from secretsync_core.errors import SecretSyncError
    from secretsync_core.plan.items import JobPlan


async def foresee(
    plan: JobPlan, changes: Sequence[Change], comparer: Comparer, observer: Observer, *, render_all: bool
) -> list[Change]:
    """Decide every ``compare``; with ``render_all`` also render what would be created, to see whether it can be.

    A secret that cannot be read or rendered is refused, with the error's code and text as its detail.
    """
    asked = {Action.COMPARE, Action.CREATE, Action.UPDATE} if render_all else {Action.COMPARE}
    decided = [change for change in changes if change.action not in asked]
    open_ones = [change for change in changes if change.action in asked]
    observer.planned(len(open_ones))
    groups = groupby(open_ones, key=lambda change: (change.item, change.key))

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
    reason = {"not-found": Reason.NOT_FOUND, "transform-failed": Reason.TRANSFORM_FAILED}.get(error.code)
    return change._replace(
        action=Action.REFUSE, reason=reason or Reason.CANNOT_COMPARE, detail=f"{error.code}: {error.message}"
    )
