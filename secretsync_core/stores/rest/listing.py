"""Looks at what is there: all of it, page by page, or one key, as the document describes it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from secretsync_core.endurance import Progress
from secretsync_core.errors import Conflict, InvalidSecret, StoreError
from secretsync_core.key_rules import key_fault
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.rest.answers import Call
from secretsync_core.stores.rest.config import ITS_NAME
from secretsync_core.stores.rest.fields import (
    all_at,
    id_at,
    number_at,
    scalar_at,
    text_at,
    token_of,
    version_at,
    version_of_header,
)
from secretsync_core.stores.rest.jsonpath import NothingThereError, parse
from secretsync_core.stores.rest.marks import mark_at
from secretsync_core.stores.rest.templates import CURSOR, KEY, PAGE
from secretsync_core.stores.rest.transport import Answer
from secretsync_core.stores.unseen import Odd, odd_gap, one_by_one

if TYPE_CHECKING:
    from secretsync_core.model.capabilities import StoreLimits
    from secretsync_core.stores.rest.config import HttpConfig, ListRequest, LookRequest
    from secretsync_core.stores.rest.templates import Scalar
    from secretsync_core.stores.rest.transport import Transport

_TRIES = 5  # so often a listing is made that changes meanwhile
_LINK = re.compile(r"<([^<>]{1,8000})>((?:[^,<\"]|\"[^\"]*\")*)")
_NEXT = re.compile(r";\s*rel\s*=\s*(?:\"[^\"]*\bnext\b[^\"]*\"|next\b)", re.IGNORECASE)


class Found(NamedTuple):
    """What was seen of one key."""

    version: str | None = None
    id: str = ""
    mark: str = ""


_ANOTHER = Found(id="another one of the same name")
"""In place of an entry whose name stands on its page already: it is two, also where nothing else tells them apart."""


_Shown: TypeAlias = "list[tuple[str, Found | Odd]]"
"""What a listing shows of each name; Odd where that makes no sense."""


class _Page(NamedTuple):
    shown: _Shown
    entries: int  # also of those that are not the document's
    cursor: str
    link: str
    total: int | None


class Listing:
    """What is at one place.

    Attributes:
        seen: what was last seen of each key.
        whole: whether all of it was listed: a key that is not in ``seen`` was absent then.
    """

    def __init__(self, config: HttpConfig, transport: Transport, limits: StoreLimits) -> None:
        self._config = config
        self._transport = transport
        self._limits = limits
        self.seen: dict[str, Found] = {}
        self.whole = False
        self._pages = 1
        self._lock = asyncio.Lock()
        self._begun = 0
        self._latest: tuple[int, _Shown] = (0, [])
        self._clock = 0
        self._changed: dict[str, int] = {}  # when we did: a listing that began before does not show it

    @property
    def can_look(self) -> bool:
        """Whether anything can be looked at."""
        return self._config.look is not None or self._config.lists is not None

    def is_cheaper(self, keys: int) -> bool:
        """Whether so many keys are looked at by fewer requests in a listing than one by one."""
        return self._config.lists is not None and (self._config.look is None or keys > self._pages)

    async def entries(self) -> list[Entry | Gap]:
        """All that there is; a Gap for a name that no key stands for, and for one that is there more than once."""
        began = self._clock
        found = await self._all()
        one_of: dict[str, Found | Odd] = {}
        twice: set[str] = set()
        for key, each in found:
            if one_of.setdefault(key, each) != each:
                twice.add(key)
        late = {key for key, when in self._changed.items() if when > began}
        odd = {key for key, each in one_of.items() if isinstance(each, Odd)}
        seen = {key: each for key, each in one_of.items() if key not in twice | late and not isinstance(each, Odd)}
        self.seen = seen | {key: self.seen[key] for key in late if key in self.seen}
        self.whole = not (twice or late or odd)
        return [self._entry(key, each, twice) for key, each in one_of.items()]

    async def one(self, key: str) -> Found | None:
        """What there is of one key now; None where it is absent. Raises Conflict where it is there more than once."""
        if self._config.look is not None:
            found = await self._look(self._config.look, key)
            if found is None:
                await self.confirm()
        else:
            found = await self._in_listing(key)
        if found is None:
            self.seen.pop(key, None)
        else:
            self.seen[key] = found
        return found

    async def _in_listing(self, key: str) -> Found | None:
        """One key, by a listing; that it is absent may take two."""
        assert self._config.lists is not None  # noqa: S101  whoever looks has it
        found = {each for name, each in await self._fresh(self._config.lists) if name == key}
        if not found and _may_miss(self._config.lists, self._pages):
            found = {each for name, each in await self._fresh(self._config.lists) if name == key}
        if len(found) > 1:
            raise Conflict(self._twice(key), store=self._transport.store, key=key)
        one = next(iter(found), None)
        if isinstance(one, Odd):
            raise malformed(self._call()._replace(key=key), one.why)
        return one

    async def _fresh(self, request: ListRequest) -> _Shown:
        """A listing that begins after this call. All who call meanwhile share the next one."""
        before = self._begun
        async with self._lock:
            if self._latest[0] <= before:
                self._begun += 1
                number = self._begun
                self._latest = number, (await self._once(request))[0]
            return self._latest[1]

    async def known(self, key: str) -> Found | None:
        """What was last seen of a key; looked at now where it was never looked at."""
        if key in self.seen:
            return self.seen[key]
        return None if self.whole else await self.one(key)

    def wrote(self, key: str, found: Found) -> None:
        """Note what a key is after our own change."""
        self._note(key)
        self.seen[key] = found

    def forget(self, key: str) -> None:
        """Forget what was seen of a key, so that it is looked at before the next change."""
        self._note(key)
        self.seen.pop(key, None)
        self.whole = False

    def _note(self, key: str) -> None:
        self._clock += 1
        self._changed[key] = self._clock

    async def confirm(self) -> None:
        """Raise where the service does not show us what there is: a status for one key says nothing then."""
        if self._config.lists is not None:
            await self._page(self._config.lists, {}, "")

    async def _look(self, request: LookRequest, key: str) -> Found | None:
        call = Call(self._transport.store, "look", request.verb, request.path, f"look at {key}", key)
        found = await self._transport.send(
            "stat", request, call, {KEY: key}, lambda answer: found_in(request, answer, key), passed=request.absent
        )
        return None if isinstance(found, Answer) else found

    # -- listing

    async def _all(self) -> _Shown:
        """All entries.

        Whoever deletes one moves the rest to other pages, so that a listing by numbers of pages may miss one: it counts
        if it has all that the one before it had.
        """
        request = self._config.lists
        assert request is not None  # noqa: S101  whoever asks has it
        before, pages = await self._once(request)
        if not _may_miss(request, pages):
            return before
        for _ in range(_TRIES):
            again, _ = await self._once(request)
            if {key for key, _ in before} <= {key for key, _ in again}:
                return again
            before = again
        raise malformed(self._call(), "it shows less each time")

    async def _once(self, request: ListRequest) -> tuple[_Shown, int]:
        """All entries that one listing shows, and its pages; made again where it counts others than it shows."""
        for _ in range(_TRIES):
            gathered, pages, fits = await self._pass(request)
            if fits:
                self._pages = pages
                return gathered, pages
        raise malformed(self._call(), "it counts more or less than it shows, each time it is listed")

    async def _pass(self, request: ListRequest) -> tuple[_Shown, int, bool]:
        progress = Progress(self._transport.store, self._transport.endurance)
        gathered: _Shown = []
        count, pages = 0, 0
        values: dict[str, Scalar] = {}
        if request.next is not None and request.next.page is not None:
            values[PAGE] = request.next.page
        url = ""
        totals: set[int] = set()
        while True:
            page = await self._page(request, values, url)
            pages += 1
            count += page.entries
            gathered += page.shown
            progress.showed(key for key, _ in page.shown)
            if page.total is not None:
                totals.add(page.total)
            if page.cursor:
                if values.get(CURSOR) == page.cursor:
                    raise malformed(self._call(), "its next page is the same one")
                values[CURSOR] = page.cursor
            elif page.link:
                if url == page.link:
                    raise malformed(self._call(), "its next page is the same one")
                url = page.link
            elif PAGE in values and page.entries:
                values[PAGE] = int(values[PAGE]) + 1
            else:
                break
        return gathered, pages, not totals or totals == {count}

    def _call(self) -> Call:
        request = self._config.lists
        assert request is not None  # noqa: S101  whoever asks has it
        return Call(self._transport.store, "list", request.verb, request.path, "list what there is")

    async def _page(self, request: ListRequest, values: dict[str, Scalar], url: str) -> _Page:
        call = self._call()
        here = url or self._transport.url_of(request, values)
        found = await self._transport.send(
            "list", request, call, values, lambda answer: self._read(request, answer, here), url=url
        )
        if isinstance(found, Answer):  # nothing is passed
            raise malformed(call, "its status")
        return found

    def _read(self, request: ListRequest, answer: Answer, here: str) -> _Page:
        document, call = answer.json(), answer.call
        entries = all_at(request.items, document, call)
        ours = [
            (name, entry)
            for name, entry in entries
            if all(_is_just(path, wanted, entry) for path, wanted in request.where.items())
        ]

        def key_of(named: tuple[str, object]) -> str:
            name, entry = named
            key = name if request.key == ITS_NAME else text_at(request.key, entry, call)
            if not key:
                raise malformed(call, f"{request.items} has an entry without a name")
            return key

        def taken(named: tuple[str, object]) -> Found:
            _, entry = named
            version = version_at(request.version, entry, call) if request.version is not None else None
            one = id_at(request.id, entry, call) if request.id is not None else ""
            mark = mark_at(request.mark, entry) if request.mark is not None else ""
            return Found(token_of(version, one, call), one, mark)

        shown: _Shown = []
        on_page: set[str] = set()
        for key, found in one_by_one(ours, key_of, taken):
            shown.append((key, _ANOTHER if key in on_page else found))
            on_page.add(key)
        cursor = link = ""
        total: int | None = None
        if request.next is not None and request.next.cursor is not None:
            cursor = scalar_at(request.next.cursor, document, call)
        if request.next is not None and request.next.link is not None:
            link = scalar_at(request.next.link, document, call)
        if request.next is not None and request.next.link_header:
            link = _next_of(answer)
        if link:
            link = self._transport.link(link, here, call)
        if request.total is not None:
            total = number_at(request.total, document, call)
        return _Page(shown, len(entries), cursor, link, total)

    def _entry(self, key: str, found: Found | Odd, twice: set[str]) -> Entry | Gap:
        store = self._transport.store
        if key_fault(key, self._limits):
            return Gap(key, InvalidSecret.code, f"{store} has the name {key!r}, for which there is no key", is_key=True)
        if key in twice:
            return Gap(key, StoreError.code, self._twice(key), is_key=True)
        return odd_gap(key, found) if isinstance(found, Odd) else Entry(key, found.version)

    def _twice(self, key: str) -> str:
        return f"{self._transport.store} has {key} more than once: make it one, or choose by list.where which it is"


def found_in(request: LookRequest, answer: Answer, key: str, asked: str = "") -> Found:
    """What an answer about one key shows. Raises MalformedAnswer where it is about another one.

    ``asked``: the id that it was asked for by.
    """
    call = answer.call
    told = any(each is not None for each in (request.key, request.id, request.version, request.mark))
    document = answer.json() if told else None
    if request.key is not None and text_at(request.key, document, call) != key:
        raise malformed(call, f"{request.key} is not the key that was asked for")
    version = None
    if request.version is not None:
        version = version_at(request.version, document, call)
    elif request.version_header is not None:
        version = version_of_header(request.version_header, answer)
    one = id_at(request.id, document, call) if request.id is not None else asked
    if asked and one != asked:
        raise malformed(call, f"{request.id} is not the id that was asked for")
    return Found(token_of(version, one, call), one, mark_at(request.mark, document) if request.mark is not None else "")


def _may_miss(request: ListRequest, pages: int) -> bool:
    """Whether a listing may have missed something that moved to another page, and nothing tells."""
    by_number = request.next is not None and request.next.page is not None
    return by_number and request.total is None and pages > 2  # one, and the empty one behind it


def _is_just(path: str, wanted: Scalar, entry: object) -> bool:
    """Whether a path finds one thing in an entry, which is this."""
    try:
        found = [each for _, each in parse(path).find(entry)]
    except NothingThereError:
        return False
    return len(found) == 1 and type(found[0]) is type(wanted) and found[0] == wanted


def _next_of(answer: Answer) -> str:
    """The address that a Link header has for the next page; empty where it has none."""
    for address, parameters in _LINK.findall(answer.headers.get("Link", "")):
        if _NEXT.search(parameters):
            return str(address)
    return ""
