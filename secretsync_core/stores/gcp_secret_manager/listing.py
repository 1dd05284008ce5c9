"""What is there, without any value.

A listing shows the secrets and what stands beside their versions, and nothing of the versions themselves: a new version
changes neither the etag nor anything else of its secret. So each secret that is wanted takes a look of its own at the
version that was added last. A listing may lag; what it does not show is looked at before it counts as absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.endurance import Progress
from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.stores.gcp_secret_manager.metadata import MARK, OURS
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.spread import spread
from secretsync_core.stores.unseen import Odd, odd_gap, unseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from secretsync_core.selection import Selection
    from secretsync_core.stores.gcp_secret_manager.calls import About, Calls, Seen
    from secretsync_core.stores.gcp_secret_manager.names import Names

LIST_FROM = 25
"""From this many keys on, pages of a listing tell first which are there, and what stands beside them."""

FRUITLESS_PAGES = 5
"""A listing that is a help alone is given up after so many pages without any of the keys that were asked for."""


class Listing:
    """The inventory of the secrets with a prefix."""

    def __init__(self, calls: Calls, names: Names, width: int, mark: str) -> None:
        self._calls = calls
        self._names = names
        self._width = width
        self._mark = mark
        self._known: dict[str, Seen] = {}

    def note(self, key: str, seen: Seen) -> None:
        """Keep what is known of the version that is the current one, for the reads to come."""
        self._known[key] = seen

    def known(self, key: str, number: int) -> str | None:
        """The token of a version that was seen."""
        seen = self._known.get(key)
        return seen.token if seen is not None and seen.live and seen.number == number else None

    async def all(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Every secret; there are no folders."""
        del recursive
        if self._names.may_hold(prefix):
            async for found in self._below(lambda _: True, metadata=metadata):
                yield found

    async def select(self, wanted: Selection, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Every secret that is wanted: the others are not looked at."""
        async for found in self._below(wanted.takes, metadata=metadata):
            yield found

    async def _below(self, takes: Callable[[str], bool], *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        given: set[str] = set()
        async for page in self._pages():
            here: list[tuple[str, About]] = []
            for secret, about in page:
                key = self._names.key(secret)
                if isinstance(key, Gap):
                    yield key
                elif key is not None and key not in given and takes(key):
                    given.add(key)
                    if isinstance(about, Odd):
                        yield odd_gap(key, about)
                    else:
                        here.append((key, about))
            async for found in self._with_versions(here):
                yield found if isinstance(found, Gap) else listed(*found, metadata=metadata)

    async def some(self, keys: Collection[str], *, beside: bool) -> AsyncIterator[Entry | Gap]:
        """What there is at each of ``keys``; a Gap for each that could not be looked at.

        ``beside``: with what stands beside the value.
        """
        good, gaps = self._names.sort_out(keys)
        for gap in gaps:
            yield gap
        rest = dict.fromkeys(good)
        tell = self._described if beside else self._bare
        if len(rest) >= LIST_FROM:
            async for there in self._with_versions(await self._listed(rest)):
                yield there if isinstance(there, Gap) else tell(*there)

        async def look(key: str) -> tuple[list[Entry | Gap], tuple[()]]:
            try:
                # A secret without a version is as absent to the second question as one that is not there at all.
                seen = None if beside else await self._look(key)
                if seen is not None:
                    return [Entry(key, seen.token)], ()
                about = await self._calls.secret(key)
                if about is None:
                    return [], ()
                return [tell(key, about, await self._look(key, there=True))], ()
            except StoreError as error:
                return [unseen(key, error)], ()

        if rest:
            async for found in spread(rest, look, width=self._width):
                yield found

    async def beside(self, keys: Collection[str]) -> dict[str, About]:
        """What stands beside the values of those of ``keys`` that are there. Raises AccessDenied."""
        rest = dict.fromkeys(key for key in keys if self._names.holds(key))
        there = dict(await self._listed(rest)) if len(rest) >= LIST_FROM else {}

        async def look(key: str) -> tuple[list[tuple[str, About]], tuple[()]]:
            about = await self._calls.secret(key)
            return [] if about is None else [(key, about)], ()

        if rest:
            async for key, about in spread(rest, look, width=self._width):
                there[key] = about
        return there

    async def _listed(self, rest: dict[str, None]) -> list[tuple[str, About]]:
        """Take out of ``rest`` what a listing shows, and give that. Where we may not list, it shows nothing."""
        found: list[tuple[str, About]] = []
        fruitless = 0
        try:
            async for page in self._pages():
                before = len(found)
                for secret, about in page:
                    key = self._names.key(secret)
                    if isinstance(key, str) and key in rest and not isinstance(about, Odd):
                        del rest[key]
                        found.append((key, about))
                fruitless = fruitless + 1 if len(found) == before else 0
                if not rest or fruitless >= FRUITLESS_PAGES:
                    break
        except CredentialsRefused:
            raise
        except AccessDenied:
            pass  # and perhaps we may look at each
        return found

    async def _with_versions(
        self, secrets: Collection[tuple[str, About]]
    ) -> AsyncIterator[tuple[str, About, Seen | None] | Gap]:
        async def look(secret: tuple[str, About]) -> tuple[list[tuple[str, About, Seen | None] | Gap], tuple[()]]:
            key, about = secret
            try:
                return [(key, about, await self._look(key, there=True))], ()
            except StoreError as error:
                return [unseen(key, error)], ()

        if secrets:
            async for found in spread(secrets, look, width=self._width):
                yield found

    async def _look(self, key: str, *, there: bool = False) -> Seen | None:
        seen = await self._calls.newest(key, there=there)
        if seen is not None:
            self.note(key, seen)
        return seen

    async def _pages(self) -> AsyncIterator[list[tuple[str, About | Odd]]]:
        token = ""
        progress = Progress(self._calls.store, self._calls.endurance)
        while True:
            page = await self._calls.page(token)
            progress.showed(secret for secret, _ in page.found)
            yield page.found
            if not page.token:
                return
            if page.token == token:
                raise StoreError(f"{self._calls.store} gives the same page again and again", store=self._calls.store)
            token = page.token

    def _bare(self, key: str, about: About, seen: Seen | None) -> Entry:
        """One secret. It is there, and whose it is, also without a version, or where the current one cannot be read.

        But what says that it is ours, and has no version, is what a run left that was killed before it wrote the first.
        """
        found = entry(key, about, seen, metadata=False)
        return found._replace(deleted=seen is None and bool(self._mark) and about.annotations.get(MARK) == self._mark)

    def _described(self, key: str, about: About, seen: Seen | None) -> Entry:
        """The same with all that stands beside the value: labels, annotations that are not ours, topics, its end."""
        notes = {
            Slot(Kind.ANNOTATION, name): text for name, text in about.annotations.items() if not name.startswith(OURS)
        }
        notes |= {Slot(Kind.TOPIC, topic): "" for topic in about.topics}
        if about.expires:
            notes[Slot(Kind.DELETION_TIME)] = about.expires
        return self._bare(key, about, seen)._replace(metadata=about.labels, notes=notes)


def entry(key: str, about: About, seen: Seen | None, *, metadata: bool) -> Entry:
    """What a listing says of one secret."""
    return Entry(key, about.token if seen is None else seen.token, metadata=about.labels if metadata else None)


def listed(key: str, about: About, seen: Seen | None, *, metadata: bool) -> Entry:
    """The same, as deleted where there is nothing to be copied: no version, or a current one that cannot be read."""
    return entry(key, about, seen, metadata=metadata)._replace(deleted=seen is None or not seen.live)
