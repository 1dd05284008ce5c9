"""Lists names and times, page by page.

Pages are numbers, so whoever deletes a secret between two of them moves the rest. What was gathered counts only if it
is as many as GitHub says that there are, and each page says the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.endurance import Progress
from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.github_secrets.answers import Request
from secretsync_core.stores.github_secrets.names import is_name
from secretsync_core.stores.github_secrets.transport import Answer
from secretsync_core.stores.unseen import Odd, odd_gap, one_by_one

if TYPE_CHECKING:
    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.github_secrets.scope import Scope
    from secretsync_core.stores.github_secrets.transport import Transport

_TRIES = 3  # so often a listing is begun that changes while it is made


class _Page(NamedTuple):
    total: int
    versions: dict[str, str | Odd]


class Listing:
    """The names at one place."""

    def __init__(self, transport: Transport, scope: Scope) -> None:
        self._transport = transport
        self._scope = scope
        self.last: frozenset[str] | None = None  # what was there when all of it was last listed
        self.seen: dict[str, str] = {}  # the versions that were seen so far

    @property
    def pages(self) -> int:
        """How many requests a listing of all takes, by the last one."""
        return max(1, -(-len(self.last or ()) // self._scope.page))

    async def entries(self) -> list[Entry | Gap]:
        """All that there is; a Gap for a name that no key stands for."""
        found = await self._all()
        self.last = frozenset(found)
        self.seen.update({name: version for name, version in found.items() if not isinstance(version, Odd)})
        return [self._entry(name, version) for name, version in found.items()]

    async def one(self, key: str) -> Entry | None:
        """One of them; None where GitHub says that it is absent, which is believed once it shows what else there is."""
        request = Request(self._transport.store, self._scope, f"look at {key}", key)
        path = f"{self._scope.base}/{key}"
        found = await self._transport.ask("stat", "GET", path, request, lambda part: _version(part, key))
        if not isinstance(found, Answer):
            self.seen[key] = found
            return Entry(key, found)
        if found.status != 404:
            raise found.refusal(request)
        await self.confirm()
        return None

    async def confirm(self) -> None:
        """Raise where GitHub does not show us this place at all: a 404 for one name says nothing then."""
        await self._page(1, 1)

    async def _all(self) -> dict[str, str | Odd]:
        for _ in range(_TRIES):
            progress = Progress(self._transport.store, self._transport.endurance)
            found: dict[str, str | Odd] = {}
            totals: set[int] = set()
            number = 1
            while True:
                page = await self._page(number, self._scope.page)
                totals.add(page.total)
                found.update(page.versions)
                progress.showed(page.versions)
                if not page.versions or len(found) >= page.total:
                    break
                number += 1
            if totals == {len(found)}:
                return found
        raise malformed(self._request(), "it counts more or less than it shows, each time it is listed")

    def _request(self) -> Request:
        return Request(self._transport.store, self._scope, f"list its {self._scope.listed}")

    async def _page(self, number: int, size: int) -> _Page:
        request = self._request()
        path = f"{self._scope.base}?per_page={size}&page={number}"

        def parse(part: Part) -> _Page:
            shown = part.parts(self._scope.listed)
            found = one_by_one(shown, lambda each: each.text("name"), lambda each: each.time("updated_at"))
            return _Page(part.number("total_count"), dict(found))

        found = await self._transport.ask("list", "GET", path, request, parse)
        if isinstance(found, Answer):
            raise found.refusal(request)
        return found

    def _entry(self, name: str, version: str | Odd) -> Entry | Gap:
        if is_name(name):
            return odd_gap(name, version) if isinstance(version, Odd) else Entry(name, version)
        message = f"{self._transport.store} has the name {name!r}, for which there is no key"
        return Gap(name, InvalidSecret.code, message, is_key=True)


def _version(part: Part, key: str) -> str:
    """The version of one of them. Raises MalformedAnswer where the answer is about another one."""
    if part.text("name") != key:
        raise part.wrong("name", "the name that was asked for")
    return part.time("updated_at")
