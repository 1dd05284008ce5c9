"""What is there, without any value: by pages of a listing where it is much, by single looks where it is little.

A listing of the service may be five minutes behind; a look at one secret is not. So what a listing does not show, or
shows as deleted, is looked at before anybody is told that it is absent. What it shows with an old version does no harm:
where versions differ, the values are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.endurance import Progress
from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.key_rules import common_beginning
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.spread import spread
from secretsync_core.stores.unseen import Odd, odd_gap, unseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from secretsync_core.selection import Selection
    from secretsync_core.stores.aws_secrets_manager.calls import Calls, Seen
    from secretsync_core.stores.aws_secrets_manager.names import Names

LIST_FROM = 25
"""From this many keys on, pages of a listing are asked for first."""

FRUITLESS = 20
"""A listing is given up when it has had more pages than findings, by one page for so many keys that were asked for."""


class Listing:
    """The inventory of the secrets below a prefix."""

    def __init__(self, calls: Calls, names: Names, width: int) -> None:
        self._calls = calls
        self._names = names
        self._width = width
        self._with_folders: set[str] = set()

    def shows_folders(self, folder: str) -> bool:
        """Whether a listing that left out what is below a folder has shown that there is something."""
        return folder in self._with_folders

    def _note(self, name: str) -> None:
        """Note the folders that a secret is deep below: those around the one that it is in."""
        folder = name.removeprefix(self._names.beginning("")).rpartition("/")[0]
        while folder:
            folder = folder.rpartition("/")[0]
            around = f"{folder}/" if folder else ""
            if around in self._with_folders:
                return
            self._with_folders.add(around)

    async def all(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Every secret of a folder."""
        async for found in self._below(self._names.folder(prefix), recursive=recursive, metadata=metadata):
            yield found

    async def select(self, wanted: Selection, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Every secret whose key begins as what is wanted does."""
        beginning = self._names.beginning(wanted.beginning)
        async for found in self._below(beginning, recursive=wanted.recursive, metadata=metadata):
            yield found

    async def _below(self, folder: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        given: set[str] = set()
        async for name, seen in self._listed(folder):
            # The filter of the service is taken for a help, not for a promise.
            if not name.startswith(folder) or name in given:
                continue
            if not recursive and "/" in name[len(folder) :]:
                self._note(name)
                continue
            given.add(name)
            key = self._names.key(name)
            if isinstance(key, Gap):
                yield key
            else:
                yield odd_gap(key, seen) if isinstance(seen, Odd) else entry(key, seen, metadata=metadata)

    async def some(self, keys: Collection[str], *, closely: bool = False) -> AsyncIterator[tuple[str, Seen] | Gap]:
        """What there is at each of ``keys``, deleted or not; a Gap for each that could not be looked at.

        ``closely``: by a look at each, which shows what no listing does: the replicas.
        """
        good, gaps = self._names.sort_out(keys)
        for gap in gaps:
            yield gap
        rest = {self._names.name(key): key for key in good}
        if len(rest) >= LIST_FROM and not closely:
            try:
                async for name, seen in self._listed(common_beginning(rest), enough=rest):
                    if not isinstance(seen, Odd) and seen.current is not None and not seen.deleted:
                        yield rest.pop(name), seen
            except CredentialsRefused:
                raise
            except AccessDenied:
                pass  # we may not list, and perhaps look at each

        async def look(key: str) -> tuple[list[tuple[str, Seen] | Gap], tuple[()]]:
            try:
                seen = await self._calls.describe(key)
            except StoreError as error:
                return [unseen(key, error)], ()
            return [(key, seen)] if seen is not None else [], ()

        if rest:
            async for found in spread(rest.values(), look, width=self._width):
                yield found

    async def _listed(
        self, folder: str, *, enough: Collection[str] | None = None
    ) -> AsyncIterator[tuple[str, Seen | Odd]]:
        """What a listing shows: all of it, or what it shows of the names that are left in ``enough``, while it pays."""
        token: str | None = None
        asked = len(enough) if enough is not None else 0
        pages = findings = 0
        progress = Progress(self._calls.store, self._calls.endurance)
        while True:
            page = await self._calls.page(folder, token)
            pages += 1
            progress.showed(name for name, _ in page.found)
            for name, seen in page.found:
                if enough is None:
                    yield name, seen
                elif name in enough:
                    findings += 1
                    yield name, seen
            if page.token is None or (enough is not None and not enough):
                return
            if page.token == token:
                raise StoreError(f"{self._calls.store} gives the same page again and again", store=self._calls.store)
            if enough is not None and pages > findings + max(5, asked // FRUITLESS):
                return
            token = page.token


def described(key: str, seen: Seen) -> Entry:
    """The same with all that stands beside the value."""
    notes = {Slot(Kind.REPLICA, region): "" for region in seen.replicas}
    if seen.description:
        notes[Slot(Kind.DESCRIPTION)] = seen.description
    return entry(key, seen, metadata=True)._replace(notes=notes)


def entry(key: str, seen: Seen, *, metadata: bool) -> Entry:
    """What a listing says of one secret. Without a value it counts as deleted: the key is known, and nothing in it."""
    return Entry(key, seen.current, seen.deleted or seen.current is None, seen.tags if metadata else None)
