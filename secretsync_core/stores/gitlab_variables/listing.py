"""Lists variables, page by page, and looks at single ones.

Pages are numbers, so whoever deletes a variable between two of them moves the rest. What was gathered counts if it is
as many as GitLab says that there are (``X-Total``); of more pages than one without such a word, if it is so twice.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from secretsync_core.endurance import Progress
from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.gitlab_variables.answers import Request
from secretsync_core.stores.gitlab_variables.connection import Answer
from secretsync_core.stores.gitlab_variables.names import is_name
from secretsync_core.stores.gitlab_variables.scope import PAGE
from secretsync_core.stores.gitlab_variables.seen import about, row_of
from secretsync_core.stores.unseen import Odd, odd_gap, one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.gitlab_variables.connection import Connection
    from secretsync_core.stores.gitlab_variables.scope import Scope
    from secretsync_core.stores.gitlab_variables.seen import About

    T = TypeVar("T")

_TRIES = 4  # so often a listing is made that changes while it is made


_Rows: TypeAlias = "dict[tuple[str, str | None], About | Odd]"
"""By key and environment scope."""


class _Page(NamedTuple):
    shown: _Rows
    total: int | None  # of all pages; None where GitLab does not say
    more: bool


class Listing:
    """The variables at one place."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self._scope = scope
        self.pages = 1  # how many requests a listing of all takes, by the last one

    async def all(self) -> list[About | Gap]:
        """All of our environment scope; a Gap for a name that no key stands for."""
        rows = await self._all()
        ours = {key: each for (key, scope), each in rows.items() if scope == self._scope.environment}
        return [self._shown(key, each) for key, each in ours.items()]

    async def one(self, key: str) -> About | None:
        """One of them; None where GitLab says that it is absent."""
        return await self.get("stat", self.request("look at", key), lambda _, found: found)

    async def get(self, kind: str, request: Request, take: Callable[[Part, About], T]) -> T | None:
        """What ``take`` makes of the answer for ``request.key``; None where GitLab says that there is none.

        That is believed once it shows what else there is: a 404 may be about all of the place.
        """
        key = request.key or ""
        found = await self._connection.ask(
            kind, "get", self._scope.path(key), request, lambda part: take(part, self.checked(part, key))
        )
        if not isinstance(found, Answer):
            return found
        if not found.says_absent:
            raise found.refusal(request)
        await self.confirm()
        return None

    async def confirm(self) -> None:
        """Raise where GitLab does not show us this place at all: a 404 for one name says nothing then."""
        await self._page(1, 1)

    def checked(self, part: Part, key: str) -> About:
        """What an answer says of a variable. Raises MalformedAnswer where it is about another one."""
        found = about(part, scoped=self._scope.environment is not None)
        if found.key != key:
            raise part.wrong("key", "the name that was asked for")
        if found.scope != self._scope.environment:
            raise part.wrong("environment_scope", "the scope that was asked for")
        return found

    def request(self, verb: str, key: str) -> Request:
        """What is asked of one variable."""
        return Request(self._connection.store, self._scope, f"{verb} {key}", key)

    async def _all(self) -> _Rows:
        before: object = None
        for _ in range(_TRIES):
            progress = Progress(self._connection.store, self._connection.endurance)
            rows: _Rows = {}
            totals: set[int | None] = set()
            number, more = 0, True
            while more:
                number += 1
                page = await self._page(number, PAGE)
                totals.add(page.total)
                more = page.more
                rows |= page.shown
                progress.showed(f"{scope}\0{key}" for key, scope in page.shown)
            self.pages = number
            if totals == {len(rows)} or (totals == {None} and (len(rows) < PAGE or rows == before)):
                return rows
            before = rows
        raise malformed(self._listed(), "it counts more or less than it shows, each time it is listed")

    async def _page(self, number: int, size: int) -> _Page:
        request = self._listed()
        path = f"{self._scope.base}?per_page={size}&page={number}"
        scoped = self._scope.environment is not None

        def parse(parts: list[Part], headers: Mapping[str, str]) -> _Page:
            if len(parts) > size:
                raise malformed(request, "a page has more than was asked for")
            shown = one_by_one(parts, partial(row_of, scoped=scoped), partial(about, scoped=scoped))
            return _Page(
                dict(shown),
                _number(headers.get("X-Total"), request),
                _goes_on(headers.get("X-Next-Page"), number, request) if parts else False,
            )

        found = await self._connection.ask_list("list", path, request, parse)
        if isinstance(found, Answer):
            raise found.refusal(request)
        return found

    def _listed(self) -> Request:
        return Request(self._connection.store, self._scope, "list its variables")

    def _shown(self, key: str, found: About | Odd) -> About | Gap:
        if is_name(key):
            return odd_gap(key, found) if isinstance(found, Odd) else found
        message = f"{self._connection.store} has the name {key!r}, for which there is no key"
        return Gap(key, InvalidSecret.code, message, is_key=True)


_DIGITS = 10


def _number(header: str | None, request: Request) -> int | None:
    if header is None or header == "":
        return None
    if header.isascii() and header.isdecimal() and len(header) <= _DIGITS:
        return int(header)
    raise malformed(request, "its count of all pages is no number")


def _goes_on(header: str | None, number: int, request: Request) -> bool:
    """Whether there is another page; without a word of GitLab's an empty one will tell."""
    if header is None:
        return True
    following = _number(header, request)
    if following not in (None, number + 1):
        raise malformed(request, "the page that it names as the next one is another one")
    return following is not None
