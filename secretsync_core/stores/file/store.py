"""The store: blocking calls of its parts, through the gate, in threads."""

from __future__ import annotations

import asyncio
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.errors import InvalidSecret, StoreError
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.protected import protect
from secretsync_core.schema.named import Kind, Use
from secretsync_core.selection import Selection, folder_rule
from secretsync_core.stores.file.folders import Folders
from secretsync_core.stores.file.listing import BATCH, Listing, Turns
from secretsync_core.stores.file.names import LIMITS
from secretsync_core.stores.file.place import place_of_directory
from secretsync_core.stores.file.reading import Reading
from secretsync_core.stores.file.writing import Writing
from secretsync_core.stores.fit import blob_of, check_folder
from secretsync_core.stores.threads import close_threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.model.leftovers import Leftovers
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores.base import StoreContext

T = TypeVar("T")

MAX_THREADS = 16


class FileStore:
    """The file store: see the package. Every call runs in one of at most sixteen threads of its own."""

    LIMITS = LIMITS

    def __init__(self, path: str, context: StoreContext) -> None:
        self._gate = context.gate
        self._name = context.name
        root = os.path.realpath(path)
        # Of the very path that is used from here on: a link may have changed since the document was looked at.
        bounds = context.within
        bounds.check(bounds.judge(Use(Kind.DIRECTORY, root)), context.name, f"the directory {root}")
        folders = Folders(root, context.name, protect(context.environ, context.state))
        self._reading = Reading(folders)
        self._listing = Listing(folders)
        self._writing = Writing(folders)
        self._facts = StoreFacts(
            context.name, "file", Shape.BLOB, versioned=True, limits=LIMITS, place=place_of_directory(root)
        )
        self._threads = ThreadPoolExecutor(max(1, min(context.concurrency, MAX_THREADS)), "secretsync-file")
        self._closed = False

    @property
    def facts(self) -> StoreFacts:
        """What this store is."""
        return self._facts

    async def aclose(self) -> None:
        """Wait for what is under way and give the threads back."""
        self._closed = True
        await close_threads(self._threads)

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
        descriptor = await self._run("list", lambda: self._listing.open(wanted.folder))
        if descriptor is None:
            return
        # A step raises nothing, so the gate never makes one again: nothing is listed twice and nothing is left out.
        listing = Turns(self._listing.walk(wanted, descriptor), descriptor)
        try:
            while batch := await self._run("list", listing.step):
                for found in batch:
                    yield found
        finally:
            try:
                self._threads.submit(listing.close)  # waits for a step that was given up on; not for the loop to do
            except RuntimeError:  # the store is closed, and every step over with it
                listing.close()

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

    async def leftovers(self) -> Leftovers:
        """Tell of temporary files, wherever below the root, whose writers do not live for sure."""
        return await self._look_through(remove=False)

    async def sweep(self) -> Leftovers:
        """Remove those whose writers are dead, and the folders that are empty then; tell of all."""
        return await self._look_through(remove=True)

    async def _look_through(self, *, remove: bool) -> Leftovers:
        # No request of the job's: it raises nothing, is never made again, and counts for nothing where all is clean.
        if self._closed:
            raise StoreError(f"the store {self._name!r} is closed", store=self._name)
        whole = self._writing.sweeping.whole
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: whole(remove=remove))

    async def _run(self, kind: str, step: Callable[[], T]) -> T:
        async def attempt() -> T:
            if self._closed:
                raise StoreError(f"the store {self._name!r} is closed", store=self._name)
            return await asyncio.get_running_loop().run_in_executor(self._threads, step)

        return await self._gate(kind, attempt)
