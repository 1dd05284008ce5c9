"""Which secrets say themselves that this job of this installation made them, or will."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, SecretSyncError, StoreError
from secretsync_core.run.deletes import takes_away
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.unseen import unseen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.stores.base import Marker

_MOST_UNSEEN = 10
"""After so many marks that cannot be seen nobody looks for more: it is not one secret's fault any longer."""


def marks_what_it_takes(plan: JobPlan, opened: OpenStores, dest: str) -> bool:
    """Whether what a job takes over at a destination carries its mark from then on."""
    return opened.get(dest).marker is not None and bool(opened.mark) and plan.spec.ownership.mark is not False


async def carrying_our_mark(opened: OpenStores, dest: str, keys: Collection[str]) -> set[str]:
    """Those of ``keys`` that carry our mark, or one of ours from before. A mark that we may not see proves nothing."""
    halves, ours = opened.get(dest), {opened.mark, *opened.former_marks} - {""}
    if halves.marker is None or not ours:
        return set()
    found = await _Marks(halves.marker).of(list(keys))
    for mark in found.values():
        refused = isinstance(mark, AccessDenied) and not isinstance(mark, CredentialsRefused)
        if isinstance(mark, SecretSyncError) and not refused:
            raise mark
    return {key for key, mark in found.items() if mark in ours}


async def look_at_marks(opened: OpenStores, deletes: Iterable[Change]) -> dict[tuple[str, str], str | SecretSyncError]:
    """Who created the secrets that would be deleted, by destination and key, as far as marks on them say so.

    An error stands for a mark that cannot be seen. One that cannot holds back no other.
    """
    keys: dict[str, list[str]] = defaultdict(list)
    for change in deletes:
        if takes_away(change):
            keys[change.dest].append(change.key)
    found: dict[tuple[str, str], str | SecretSyncError] = {}
    for dest, wanted in keys.items():
        marker = opened.stores[dest].marker
        if marker is not None and opened.mark:
            found |= {(dest, key): mark for key, mark in (await _Marks(marker).of(wanted)).items()}
    return found


class _Marks:
    """The marks of some secrets: asked for all at once, and by halves where one of them may be why that fails."""

    def __init__(self, marker: Marker) -> None:
        self._marker = marker
        self._unseen = 0

    async def of(self, keys: Sequence[str]) -> dict[str, str | SecretSyncError]:
        """By key; those that carry none are left out."""
        try:
            return dict(await self._marker.marks(keys))
        except SecretSyncError as error:
            self._unseen += len(keys) == 1
            if len(keys) <= 1 or _is_of_all(error):
                return dict.fromkeys(keys, error)
            found: dict[str, str | SecretSyncError] = {}
            half = len(keys) // 2
            for some in (keys[:half], keys[half:]):
                found |= await self.of(some) if self._unseen < _MOST_UNSEEN else dict.fromkeys(some, error)
            return found


def _is_of_all(error: SecretSyncError) -> bool:
    """Whether an error says something of all secrets that were asked for: our credentials, or that nobody answers."""
    if not isinstance(error, StoreError):
        return True
    try:
        unseen("", error)
    except StoreError:
        return True
    return False
