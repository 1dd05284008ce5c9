"""What a secret lacks beside its value, looked at once more before it is set: the plan and the transfer both ask here.

The texts of metadata stay within a step, as values do: a change that goes from one step to another has names alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, Conflict, InvalidSecret, SecretNotFound, SecretSyncError
from secretsync_core.metadata_rules import change_fault, metadata_fault
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.inventory import Gap
from secretsync_core.run.metadata import carried, everything_on, missing, names, wanted_at
from secretsync_core.run.ready import refused_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.metadata import Described, Slot
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.opening import OpenStores


class Beside:
    """Looks at the metadata of single secrets, at their sources and destinations."""

    def __init__(self, plan: JobPlan, opened: OpenStores) -> None:
        self._items = {item.name: item for item in plan.items}
        self._opened = opened
        self._workers = plan.spec.limits.concurrency

    async def lacking(self, change: Change, *, new: bool = False, version: str | None = None) -> dict[Slot, str]:
        """What has to be set beside the value at a destination. ``new``: it has just been created.

        ``version`` is that of the value which is in place and ours, where its store has versions. Raises Conflict where
        another one is there by now, InvalidSecret where the destination cannot hold the metadata, SecretNotFound where
        nothing is there, and what looking raises.
        """
        item, facts = self._items[change.item], self._opened.get(change.dest).facts
        copied: Described = {}
        if item.carries and change.sources:
            source = change.sources[0]
            if (entry := await self._look(source.store, source.key)) is not None:
                if entry.metadata is None:
                    raise AccessDenied(
                        f"{source.store} does not let us look at the metadata of {source.key}",
                        store=source.store,
                        key=source.key,
                    )
                copied = carried(entry, item)
        if new:
            found = facts.metadata.asked if facts.metadata.at_creation else {}
        else:
            entry = await self._look(change.dest, change.key)
            if entry is None or entry.deleted:
                raise SecretNotFound(
                    f"{change.key} is not in {change.dest} any more", store=change.dest, key=change.key
                )
            if None not in (version, entry.version) and entry.version != version and not facts.lags:
                raise Conflict(f"{change.key} in {change.dest} changed meanwhile", store=change.dest, key=change.key)
            seen = everything_on(entry, facts)
            if seen is None:
                return {}
            found = seen
        lacking = missing(wanted_at(item, copied, facts), found)
        fault = lacking and (
            metadata_fault(lacking, found, facts.metadata) or (not new and change_fault(lacking, facts.metadata))
        )
        if fault:
            raise InvalidSecret(f"{change.key}: {fault}", store=change.dest, key=change.key, hint=HINT)
        return lacking

    async def _look(self, store: str, key: str) -> Entry | None:
        describer = self._opened.get(store).describer
        if describer is None:
            return None
        async for found in describer.describe([key]):
            if isinstance(found, Gap):
                raise AccessDenied(found.message, store=store, key=key)
            if found.key == key:
                return found
        return None

    async def foresee(self, changes: Sequence[Change]) -> list[Change]:
        """Changes whose values are decided, with what is to be set beside them.

        A store whose listings lag is asked for each secret that a listing shows without what is wanted there.
        """
        decided = [change for change in changes if not change.metadata]
        waiting = [change for change in changes if change.metadata]

        async def worker(rows: Iterator[Change]) -> None:
            for change in rows:
                foreseen = await self._foreseen(change)
                decided.append(foreseen)

        rows = iter(waiting)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._workers, len(waiting))):
                group.create_task(worker(rows))
        return decided

    async def _foreseen(self, change: Change) -> Change:
        if change.action in (Action.REFUSE, Action.SKIP):
            return change._replace(metadata=())
        if change.action is not Action.CREATE and self._opened.get(change.dest).facts.lags:
            try:
                change = change._replace(metadata=names(await self.lacking(change)))
            except SecretNotFound as error:
                if change.reason is Reason.METADATA:
                    return refused_by(change, error)._replace(metadata=())
                return change  # the sync looks again, and creates it
            except SecretSyncError as error:
                return refused_by(change, error)._replace(metadata=())
        if change.metadata and change.action is Action.UNCHANGED:
            reason = change.reason if change.adopt else Reason.METADATA
            return change._replace(action=Action.UPDATE, reason=reason, known=False)
        if not change.metadata and change.reason is Reason.METADATA:
            return change._replace(action=Action.UNCHANGED, reason=Reason.VERSIONS_MATCH, known=True)
        return change


HINT = "correct the SecretStore's metadata, metadata of the plan item, or what the secret carries at its source"
