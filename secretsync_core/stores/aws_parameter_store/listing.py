"""What is there, without any value: fifty descriptions a request, of a folder or of names.

DescribeParameters knows no resource but ``*``, which many accounts do not grant, and does not show the parameters that
AWS publishes. Where it may not be asked, folders are listed by GetParametersByPath, ten parameters a request.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from secretsync_core.endurance import Progress
from secretsync_core.errors import AccessDenied, SecretNotFound, StoreError
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.stores.aws_parameter_store.calls import BATCH, PAGE
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.spread import spread
from secretsync_core.stores.unseen import Odd, odd_gap, unseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

    from secretsync_core.stores.aws_parameter_store.calls import Calls, Found, Page
    from secretsync_core.stores.aws_parameter_store.names import Names

FRUITLESS = 20
"""A listing is given up when it has had more pages than findings, by one page for so many keys that were asked for."""

FEW = 20
"""Up to so many parameters, each is asked for its tags by itself."""


HANDFUL = 3
"""Up to so many of our own parameters too: what is told of many at once may be a little behind."""


class Listing:
    """The inventory of the parameters below a path."""

    def __init__(self, calls: Calls, names: Names, width: int) -> None:
        self._calls = calls
        self._names = names
        self._width = width
        self.may_describe = not names.is_public
        self._empty: set[str] = set()  # what was listed without what is below, and shown to hold nothing
        self._with_folders: set[str] = set()
        self.other_types: set[str] = set()
        """What was looked at and is of another type than ours, so that it cannot be replaced: few, if any."""

    async def all(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Every parameter of a folder."""
        folder = self._names.folder(prefix)
        waiting: list[Entry] = []
        given: set[str] = set()
        if not recursive:
            self._empty.add(prefix)
            self._with_folders.discard(prefix)

        describes = self.may_describe

        async def ask(token: str | None) -> Page:
            nonlocal describes
            if describes:
                try:
                    return await self._calls.page(folder, token, recursive=recursive)
                except CredentialsRefused:
                    raise
                except AccessDenied:
                    if token is not None:  # which goes on in this way alone
                        raise
                    self.may_describe = describes = False
            return await self._calls.page_by_path(folder, token, recursive=recursive)

        async for name, each in self._pages(ask):
            key = self._names.key(name)
            if key is None or isinstance(key, Gap):
                if key is not None and key.prefix.startswith(prefix):
                    yield key
                continue
            # The filter of the service is taken for a help, not for a promise.
            below = key.startswith(prefix) and (recursive or "/" not in key[len(prefix) :])
            if not below or key in given:
                if not below and key.startswith(prefix):
                    self._with_folders.add(prefix)
                continue
            given.add(key)
            self._empty.discard(prefix)
            if isinstance(each, Odd):
                yield odd_gap(key, each)
            elif metadata:
                waiting.append(Entry(key, each.version))
            else:
                yield Entry(key, each.version)
        async for found in self._with_tags(waiting):
            yield found

    async def shows_folders(self, prefix: str) -> bool:
        """Whether the last listing of a folder alone showed that there is more below it.

        Mostly it does not. Where it showed nothing at all one request tells; what that does not show is not known.
        """
        if prefix in self._with_folders or prefix not in self._empty:
            return prefix in self._with_folders
        folder = self._names.folder(prefix)
        ask = self._calls.page if self.may_describe else self._calls.page_by_path
        try:
            page = await ask(folder, None, recursive=True)
        except CredentialsRefused:
            raise
        except StoreError:
            return False
        keys = (self._names.key(name) for name, _ in page.found)
        return any(isinstance(key, str) and "/" in key[len(prefix) :] for key in keys)

    async def some(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """What there is at each of ``keys``: by name where they are few, else out of the folder that holds them all."""
        good, gaps = self._names.sort_out(keys)
        for gap in gaps:
            yield gap
        rest = dict.fromkeys(good)
        if len(rest) > PAGE and self.may_describe:
            async for found in self._of_folder(rest):
                if found is None:
                    return
                yield found
        async for each in spread(_parts(rest, PAGE), self._look, width=self._width):
            yield each

    async def _look(self, keys: Sequence[str]) -> tuple[list[Entry | Gap], list[list[str]]]:
        """What there is at up to fifty keys; where that is too many to ask for at once, more work instead."""
        wanted = set(keys)
        found: dict[str, Entry | Gap] = {}

        async def ask(token: str | None) -> Page:
            return await self._calls.some(keys, token)

        if self.may_describe:
            try:
                async for name, each in self._pages(ask):
                    key = self._names.key(name)
                    if isinstance(key, str) and key in wanted:
                        found[key] = self._entry(key, each)
            except CredentialsRefused:
                raise
            except AccessDenied:
                self.may_describe = False
            else:
                return list(found.values()), []
        if len(keys) > BATCH:
            return [], _parts(keys, BATCH)
        try:
            seen = await self._calls.versions(keys)
        except CredentialsRefused:
            raise
        except AccessDenied as error:
            if len(keys) > 1:  # it may be about one of them
                return [], _parts(keys, 1)
            message = f"{self._calls.store} does not let us look at {keys[0]}"
            return [Gap(keys[0], error.code, message, is_key=True)], []
        return [self._entry(key, each) for key, each in seen.items()], []

    def _entry(self, key: str, found: Found | Odd) -> Entry | Gap:
        """The entry of a key that was looked at by its name; what keeps it from being replaced is remembered."""
        if isinstance(found, Odd):
            return odd_gap(key, found)
        if not found.fits:
            self.other_types.add(key)
        else:
            self.other_types.discard(key)
        return Entry(key, found.version, notes=_notes(found.description))

    async def _of_folder(self, rest: dict[str, None]) -> AsyncIterator[Entry | Gap | None]:
        """What a listing shows of the keys in ``rest``, which are taken out of it; None at the end of it all."""
        folder = self._names.common_folder(list(rest))
        patience = max(5, len(rest) // FRUITLESS)
        token: str | None = None
        pages = findings = 0
        progress = Progress(self._calls.store, self._calls.endurance)
        while rest:
            try:
                page = await self._calls.page(folder, token, recursive=True)
            except CredentialsRefused:
                raise
            except AccessDenied:
                self.may_describe = False
                return
            pages += 1
            for name, each in page.found:
                key = self._names.key(name)
                if isinstance(key, str) and key in rest:
                    del rest[key]
                    findings += 1
                    yield self._entry(key, each)
            if page.token is None:
                yield None
                return
            self._check_progress(token, page.token)
            progress.showed(name for name, _ in page.found)
            if pages > findings + patience:
                return
            token = page.token

    async def _pages(self, ask: Callable[[str | None], Awaitable[Page]]) -> AsyncIterator[tuple[str, Found | Odd]]:
        token: str | None = None
        progress = Progress(self._calls.store, self._calls.endurance)
        while True:
            page = await ask(token)
            for found in page.found:
                yield found
            if page.token is None:
                return
            progress.showed(name for name, _ in page.found)
            self._check_progress(token, page.token)
            token = page.token

    def _check_progress(self, before: str | None, after: str) -> None:
        if before == after:
            raise StoreError(f"{self._calls.store} gives the same page again and again", store=self._calls.store)

    async def described(self, keys: Collection[str], mark: Mapping[str, str]) -> AsyncIterator[Entry | Gap]:
        """As ``some``, with tags: where there is more than a handful, of all with this ``mark`` at once."""
        waiting: list[Entry] = []
        async for found in self.some(keys):
            if isinstance(found, Gap):
                yield found
            else:
                waiting.append(found)
        if mark and len(waiting) > HANDFUL and (known := await self._known_tags(mark)):
            told = {entry.key for entry in waiting if self._names.name(entry.key) in known}
            for entry in waiting:
                if entry.key in told:
                    yield entry._replace(metadata=known[self._names.name(entry.key)])
            waiting = [entry for entry in waiting if entry.key not in told]
        hidden = {entry.key: entry for entry in waiting}
        async for each in self._with_tags(waiting):
            # Only the tags are: the parameter itself was looked at.
            yield hidden[each.prefix] if isinstance(each, Gap) else each

    async def _known_tags(self, mark: Mapping[str, str] | None = None) -> dict[str, dict[str, str]] | None:
        """The tags of all parameters, or of all with a mark, by name; None where that may not, or cannot, be asked."""
        if not self._calls.knows_all_tags:
            return None
        try:
            return await self._calls.all_tags(mark)
        except CredentialsRefused:
            raise
        except StoreError:
            return None  # each can be asked for its own

    async def _with_tags(self, entries: Sequence[Entry]) -> AsyncIterator[Entry | Gap]:
        """Entries with their tags: of all parameters at once where they are many, and that may be asked."""
        known = await self._known_tags() if len(entries) > FEW else None
        if known is not None:
            for entry in entries:
                yield entry._replace(metadata=known.get(self._names.name(entry.key), {}))
            return

        async def look(entry: Entry) -> tuple[list[Entry | Gap], tuple[()]]:
            try:
                return [entry._replace(metadata=await self._calls.tags(entry.key))], ()
            except SecretNotFound:
                return [], ()  # deleted since it was listed
            except StoreError as error:
                # A query may select by tags, and we cannot tell whether it would select this one.
                return [unseen(entry.key, error)], ()

        async for found in spread(entries, look, width=self._width):
            yield found


def _notes(description: str | None) -> Mapping[Slot, str] | None:
    if description is None:
        return None
    return {Slot(Kind.DESCRIPTION): description} if description else _NO_NOTES


_NO_NOTES: Mapping[Slot, str] = {}


def _parts(keys: Collection[str], size: int) -> list[list[str]]:
    remaining = iter(keys)
    parts = []
    while part := list(islice(remaining, size)):
        parts.append(part)
    return parts
