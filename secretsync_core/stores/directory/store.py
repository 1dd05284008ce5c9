"""What is the same of every store of files: its root, its threads, the gate, and what killed writers left."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.errors import StoreError
from secretsync_core.protected import protect
from secretsync_core.schema.named import Kind, Use
from secretsync_core.stores.directory.folders import Folders
from secretsync_core.stores.directory.listing import Turns
from secretsync_core.stores.directory.names import why_closed
from secretsync_core.stores.threads import close_threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.model.leftovers import Leftovers
    from secretsync_core.selection import Selection
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.directory.listing import Listing
    from secretsync_core.stores.directory.sweeping import Sweeping

T = TypeVar("T")

MAX_THREADS = 16


def open_folders(path: str, context: StoreContext, file: str = "") -> Folders:
    """The folders of a directory, or of the one ``file`` in it.

    Raises PolicyDenied where no store may be there, and StoreError for a place that is version control's, say.
    """
    root = os.path.realpath(path)
    # Of the very path that is used from here on: a link may have changed since the document was looked at.
    real, what = (os.path.join(root, file), "file") if file else (root, "directory")  # noqa: PTH118  a text, as the root is
    bounds = context.within
    bounds.check(bounds.judge(Use(Kind.DIRECTORY, real)), context.name, f"the {what} {real}")
    if fault := next(filter(None, map(why_closed, Path(real).parts)), ""):
        raise StoreError(
            f"the store {context.name!r} cannot be at {real}: {fault}", store=context.name, hint="give another path"
        )
    return Folders(root, context.name, protect(context.environ, context.state))


class DirectoryStore:
    """The common part. Every call runs in one of at most sixteen threads of its own."""

    def __init__(self, context: StoreContext, facts: StoreFacts, sweeping: Sweeping) -> None:
        self._gate = context.gate
        self._name = context.name
        self._facts = facts
        self._sweeping = sweeping
        self._threads = ThreadPoolExecutor(
            max(1, min(context.concurrency, MAX_THREADS)), f"secretsync-{facts.provider}"
        )
        self._closed = False

    @property
    def facts(self) -> StoreFacts:
        """What this store is."""
        return self._facts

    async def aclose(self) -> None:
        """Wait for what is under way and give the threads back."""
        self._closed = True
        await close_threads(self._threads)

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
        whole = self._sweeping.whole
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: whole(remove=remove))

    async def _walk(self, listing: Listing, wanted: Selection) -> AsyncIterator[Entry | Gap]:
        """Yield the files that are wanted, and look into no folder besides."""
        descriptor = await self._run("list", lambda: listing.open(wanted.folder))
        if descriptor is None:
            return
        # A step raises nothing, so the gate never makes one again: nothing is listed twice and nothing is left out.
        walk = Turns(listing.walk(wanted, descriptor), descriptor)
        try:
            while batch := await self._run("list", walk.step):
                for found in batch:
                    yield found
        finally:
            try:
                self._threads.submit(walk.close)  # waits for a step that was given up on; not for the loop to do
            except RuntimeError:  # the store is closed, and every step over with it
                walk.close()

    async def _run_for(self, key: str, kind: str, step: Callable[[], T]) -> T:
        """Do this for a key, whose errors are to name it and not its file."""
        try:
            return await self._run(kind, step)
        except StoreError as error:
            error.key = key
            raise

    async def _run(self, kind: str, step: Callable[[], T]) -> T:
        async def attempt() -> T:
            if self._closed:
                raise StoreError(f"the store {self._name!r} is closed", store=self._name)
            return await asyncio.get_running_loop().run_in_executor(self._threads, step)

        return await self._gate(kind, attempt)
