"""What processes that were killed while they wrote have left at the destinations: removed by runs, told of by checks.

It may hold values, and no key of the job's leads to it. So it is no part of what is decided, and of no report's counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.counting import plural
from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from secretsync_core.model.leftovers import Leftovers
    from secretsync_core.run.opening import OpenStores

_TOLD = 3
"""So many folders are named."""


async def sweep(dests: Iterable[str], opened: OpenStores) -> list[str]:
    """Remove it at destinations that are open, where that is proven; gives what to tell."""
    told: list[str] = []
    for dest in dict.fromkeys(dests):
        halves = opened.stores.get(dest)
        if halves is None or halves.sweeper is None:
            continue
        try:
            found = await halves.sweeper.sweep()
        except SecretSyncError:  # what the run is for will say what is wrong there, and it does not wait for this
            continue
        if found.removed:
            told.append(f"{dest}: removed {_files(found.removed)} of processes that were killed while they wrote")
        told += _stays(dest, found, removes=False)
    return told


async def told_of_leftovers(dests: Iterable[str], opened: OpenStores) -> list[str]:
    """What to tell of it at destinations that are open and may be read. Removes nothing."""
    told: list[str] = []
    for dest in dict.fromkeys(dests):
        halves = opened.stores.get(dest)
        if halves is None or halves.leavings is None:
            continue
        try:
            told += _stays(dest, await halves.leavings.leftovers(), removes=halves.sweeper is not None)
        except SecretSyncError:
            continue
    return told


def _stays(dest: str, found: Leftovers, *, removes: bool) -> list[str]:
    told: list[str] = []
    if found.dead:
        todo = "the next run that writes there removes them" if removes else "remove them"
        killed = "left by processes that were killed while they wrote"
        told.append(f"{dest} has {_files(found.dead)} that may hold values, {killed}: {todo}")
    if found.doubtful:
        doubt = "and nothing proves that their writers are dead: once no sync runs there, remove them"
        told.append(f"{dest} has {_files(found.doubtful)} that may hold values, {doubt}")
    return told


def _files(counted: Mapping[str, int]) -> str:
    folders = [f"{folder}/" if folder else "its top folder" for folder in sorted(counted)]
    more = f" and {len(folders) - _TOLD} more folders" if len(folders) > _TOLD else ""
    return f"{plural(sum(counted.values()), 'temporary file')} in {', '.join(folders[:_TOLD])}{more}"
