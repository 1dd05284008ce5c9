"""Walks through folders, into those alone in which something that is wanted may be.

A folder of which the selection names all that it wants is not listed: what it names is asked for directly. Where every
folder below is wanted, one SCAN tells of them all, if the server has it and our policy allows it. SCAN needs a right of
its own, so it is tried once; where it is denied the walk goes on without it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from secretsync_core.endurance import FOLDERS, Progress, too_deep
from secretsync_core.errors import AccessDenied, InvalidSecret
from secretsync_core.model.access import ANY_NAME
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.spread import spread
from secretsync_core.stores.vault.keys import fault_of, holds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from secretsync_core.selection import Selection
    from secretsync_core.stores.vault.listing import Listing

Found: TypeAlias = list[Entry | Gap]

Ask: TypeAlias = "Callable[[str], Awaitable[Found | None]]"
"""Asks for the entries of a folder, last first; None where that is not to be had."""


class Step(NamedTuple):
    """One request of a walk: a folder to list, or a key to look at. ``listed``: a listing has shown the key."""

    path: str
    is_folder: bool
    listed: bool = True


class Way:
    """A way to ask that is tried once, by one request at a time, and not again once it was of no use."""

    def __init__(self, ask: Ask, is_closed: Callable[[str], bool]) -> None:
        self._ask = ask
        self._is_closed = is_closed
        self._lock = asyncio.Lock()
        self._tried = self._closed = False

    async def __call__(self, folder: str) -> Found | None:
        """The entries of a folder, or None."""
        if self._tried:
            return await self._try(folder)
        async with self._lock:
            return await self._try(folder)

    async def _try(self, folder: str) -> Found | None:
        if self._closed:
            return None
        found = await self._ask(folder)
        self._tried = True
        if found is None and self._is_closed(folder):
            self._closed = True
        return found


class Ways:
    """How a store asks.

    Attributes:
        tree: for all that is below a folder, at once.
        level: for all that is in a folder, at once.
        key: for what there is at one key; ``listed`` says whether a listing has shown it.
        confirm: makes sure that the mount is what we take it for, before "nothing there" is believed of a key.
    """

    def __init__(
        self,
        tree: Way,
        level: Way | None,
        key: Callable[[str, bool], Awaitable[Found]],
        confirm: Callable[[str], Awaitable[None]],
        *,
        looks: bool,
    ) -> None:
        """``looks``: a key can be looked at without reading it, so that it need not be listed first."""
        self.tree = tree
        self.level = level
        self.key = key
        self.confirm = confirm
        self.looks = looks


async def walk(wanted: Selection, listing: Listing, ways: Ways, *, width: int) -> AsyncIterator[Entry | Gap]:
    """Yield every secret that is wanted, and what else had to be listed on the way."""
    start = wanted.folder
    _check(start, listing.store)
    found = await _at_once(wanted, start, ways)
    if found is not None:
        if not found:
            await ways.confirm(start + ANY_NAME)
        while found:
            yield named(found.pop(), listing.store)
        return

    progress = Progress(listing.store, listing.endurance)

    async def look(step: Step) -> tuple[Found, list[Step]]:
        if not step.is_folder:
            return await ways.key(step.path, step.listed), []
        folder = step.path
        _check(folder, listing.store)
        if folder.count("/") > FOLDERS:
            raise too_deep(listing.store, folder)
        if not wanted.needs_list(folder) and (ways.looks or not wanted.named_keys(folder)):
            keys = [Step(key, is_folder=False, listed=False) for key in wanted.named_keys(folder)]
            return [], [*keys, *(Step(name, is_folder=True) for name in wanted.named_folders(folder))]
        if folder != start and (entries := await _at_once(wanted, folder, ways)) is not None:
            return [named(entry, listing.store) for entry in reversed(entries)], []
        try:
            there = await listing.folder(folder)
        except CredentialsRefused:
            raise
        except AccessDenied as error:
            if folder == start:
                raise
            progress.made(new=True)
            return [Gap(folder, error.code, error.message)], []
        if folder == start and not (there.keys or there.folders):
            await ways.confirm(start + ANY_NAME)
        progress.made(new=bool(there.keys))
        taken = [key for key in there.keys if wanted.takes(key)]
        odd: Found = [nameless(key, listing.store) for key in taken if not holds(key)]
        more = [Step(key, is_folder=False) for key in taken if holds(key)]
        below = [each for each in there.folders if wanted.enters(each)]
        # An odd folder holds odd keys, which no request of ours could ask for.
        hidden = [each for each in below if not holds(each[:-1])]
        odd += [nameless(each, listing.store)._replace(is_key=wanted.takes(each)) for each in hidden]
        more += [Step(each, is_folder=True) for each in below if holds(each[:-1])]
        return odd, more

    async for result in spread([Step(start, is_folder=True)], look, width=width):
        yield result


def _check(folder: str, store: str) -> None:
    """Raise InvalidSecret for a folder that no key can be in. A proxy might resolve ``..``, and leave the mount."""
    if folder and not holds(folder[:-1]):
        raise InvalidSecret(
            f"{store} has no folder {folder!r}: {fault_of(folder[:-1])}",
            store=store,
            hint="correct the path of the query",
        )


async def _at_once(wanted: Selection, folder: str, ways: Ways) -> Found | None:
    """The entries of a folder, last first, by one request where that asks for no more than is wanted."""
    if wanted.takes_all_folders(folder):
        return await ways.tree(folder)
    if ways.level is not None and wanted.is_level(folder):
        return await ways.level(folder)
    return None


def named(shown: Entry | Gap, store: str) -> Entry | Gap:
    """What a listing shows, or that its name is no key."""
    name = shown.key if isinstance(shown, Entry) else shown.prefix
    return shown if holds(name) else nameless(name, store)


def nameless(name: str, store: str) -> Gap:
    """That something has a name for which there is no key."""
    return Gap(
        name,
        InvalidSecret.code,
        f"{store} has the name {name!r}, for which there is no key: {fault_of(name)}",
        is_key=True,
    )
