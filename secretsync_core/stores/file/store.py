"""The store: blocking calls of its parts, through the gate, in threads."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.selection import Selection, folder_rule
from secretsync_core.stores.directory.listing import BATCH, Listing
from secretsync_core.stores.directory.names import LIMITS
from secretsync_core.stores.directory.place import place_of_directory
from secretsync_core.stores.directory.reading import Reading
from secretsync_core.stores.directory.store import DirectoryStore, open_folders
from secretsync_core.stores.directory.writing import Writing
from secretsync_core.stores.fit import blob_of, check_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores.base import StoreContext


class FileStore(DirectoryStore):
    """The file store: see the package."""

    LIMITS = LIMITS

    def __init__(self, path: str, context: StoreContext) -> None:
        folders = open_folders(path, context)
        place = place_of_directory(folders.root)
        facts = StoreFacts(context.name, "file", Shape.BLOB, versioned=True, limits=LIMITS, place=place)
        self._reading = Reading(folders)
        self._listing = Listing(folders)
        self._writing = Writing(folders)
        super().__init__(context, facts, self._writing.sweeping)

    async def read(self, key: str, version: str | None = None) -> Secret:
        """Read a file. Raises InvalidSecret for a ``version``, since old ones are not kept, and beyond 64 MiB."""
        if version is not None:
            raise InvalidSecret("a file store keeps no old versions", store=self._name, key=key)
        return await self._run("read", lambda: self._reading.read(key))

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that is a file, and a Gap for one that is anything else."""
        remaining = iter(keys)
        while batch := tuple(itertools.islice(remaining, BATCH)):
            for found in await self._stat(batch):
                yield found

    async def _stat(self, keys: tuple[str, ...]) -> Collection[Entry | Gap]:
        return await self._run("stat", lambda: self._reading.stat(keys))

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield the files of a folder in no order; ``metadata`` changes nothing, since files carry none.

        Links, pipes, devices, names that are not UTF-8 and folders that may not be read are Gaps.
        """
        check_folder(prefix, self._name)
        async for found in self.select(Selection([folder_rule(prefix, recursive=recursive)]), metadata=metadata):
            yield found

    async def select(self, wanted: Selection, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """The same of what is wanted, and of no folder besides."""
        async for found in self._walk(self._listing, wanted):
            yield found

    async def shows_folders(self, prefix: str) -> bool:
        """Whether the last listing of this folder alone showed folders in it."""
        return prefix in self._listing.with_folders

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or replace a file; gives its version token. Creates the folders that it needs, the root too."""
        payload = blob_of(value, self._facts, key)
        return await self._run("write", lambda: self._writing.write(key, payload))

    async def create(self, key: str, value: SecretValue) -> str | None:
        """The same, if there is no such file. Raises Conflict where there is."""
        payload = blob_of(value, self._facts, key)
        return await self._run("write", lambda: self._writing.create(key, payload))

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the file from being written: its size, or a folder, a file or a link in its way."""
        blob_of(value, self._facts, key)
        await self._run("stat", lambda: self._writing.check(key))

    async def delete(self, key: str) -> None:
        """Remove a file, and the folders above it that are empty then."""
        await self._run("delete", lambda: self._writing.delete(key))

    async def delete_if(self, key: str, expected: str) -> None:
        """Remove a file if its token is ``expected``; else raises Conflict."""
        await self._run("delete", lambda: self._writing.delete(key, expected))
