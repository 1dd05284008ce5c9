"""Looks at Secrets without their values: whole listings page by page, or one by one where that costs less."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import quote, urlencode

from secretsync_core.endurance import Progress
from secretsync_core.errors import AccessDenied, MalformedAnswer, StoreError, StoreUnavailable
from secretsync_core.model.position import Position
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.kubernetes.answers import (
    METADATA,
    METADATA_LIST,
    Answer,
    Request,
    namespace_ending,
    no_namespace,
    refusal,
    status_of,
)
from secretsync_core.stores.kubernetes.names import Place, Scope
from secretsync_core.stores.kubernetes.objects import metadata_of, place_in
from secretsync_core.stores.spread import spread
from secretsync_core.stores.unseen import Odd, odd_gap, unseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from secretsync_core.model.inventory import Gap
    from secretsync_core.stores.kubernetes.answers import Received
    from secretsync_core.stores.kubernetes.client import Client

PAGE = 500
"""How many Secrets one page of a listing has at the most."""

FEW = 5
"""So many Secrets are looked at one by one without thinking of a listing."""

RESTARTS = 3
"""How often a listing begins anew because the server forgot where it was."""

Metadata: TypeAlias = dict[str, Any]


class OddSecret(NamedTuple):
    """What a listing shows of a Secret whose metadata make no sense."""

    place: Place
    odd: Odd


class _Page(NamedTuple):
    items: list[Metadata | OddSecret]
    token: str  # where it goes on; empty at the end
    remaining: int  # what the server says is still to come; 0 where it does not say
    version: str | None  # the ``resourceVersion`` of the listing


def _page(received: Received) -> _Page:
    return _page_of(received, _KEPT)


def _page_with_annotations(received: Received) -> _Page:
    return _page_of(received, (*_KEPT, "annotations"))


def _page_of(received: Received, kept: Collection[str]) -> _Page:
    answer = received.object("SecretList", "PartialObjectMetadataList")
    about = answer.part("metadata")
    # Where it cannot be told whether there is more, what was listed is not all: the rest would look deleted.
    token = about.text_or_none("continue") or ""
    remaining = about.number("remainingItemCount") if about.has("remainingItemCount") else 0
    if remaining and not token:
        raise about.wrong("continue", "where the listing goes on, as items remain")
    # Go writes an empty list as null here and there.
    found = [] if "items" in answer.fields and not answer.has("items") else answer.items("items")
    request = received.request
    items = [_item_of(request, item, kept) for item in found]
    return _Page(items, token, remaining, about.text_or_none("resourceVersion"))


def _item_of(request: Request, item: object, kept: Collection[str]) -> Metadata | OddSecret:
    try:
        return _kept(metadata_of(request, item, None, "items.*"), kept)
    except MalformedAnswer as error:
        if (place := place_in(request, item)) is None:  # whose fault it is nobody knows
            raise
        return OddSecret(place, Odd(error.message))


class _ExpiredError(Exception):
    """The server forgot where a listing was."""


class Listing:
    """The looks at the Secrets of one store."""

    def __init__(self, client: Client, namespace: str | None) -> None:
        """``namespace``: the one namespace of the store, whose absence is an error; ``None``: all."""
        self._client = client
        self._namespace = namespace
        self._confirmed = namespace is None
        self._denied: set[Scope] = set()  # what we may not list
        self._namespaces: dict[str, _State] = {}
        self._lock = asyncio.Lock()
        self.position: Position | None = None
        """How far the server was, by the ``resourceVersion`` of listings: numbers, as far as it gives numbers."""

    # -- Whole listings -------------------------------------------------------------------------------------------

    async def everything(
        self, scope: Scope, kind: str = "", *, annotations: bool = False
    ) -> list[Metadata | OddSecret]:
        """The metadata of every Secret of a scope, or of those of one type; with or without its annotations.

        Nothing is given before the listing is whole, so that one that is cut or begun anew never looks shorter or
        longer than it is.
        """
        for _ in range(RESTARTS):
            found: list[Metadata | OddSecret] = []
            try:
                async for page in self._pages(scope, "", kind, annotations=annotations):
                    found += page.items
            except _ExpiredError:
                continue
            if not found:
                await self.confirm()
            return found
        raise self._expired()

    async def _pages(self, scope: Scope, selector: str, kind: str = "", *, annotations: bool) -> AsyncIterator[_Page]:
        parse = _page_with_annotations if annotations else _page
        progress = Progress(self._client.store, self._client.endurance)
        token = ""
        while True:
            request = self._list_request(scope, selector, kind, token)
            page = await self._client.call("list", request, parse, accept=METADATA_LIST)
            if isinstance(page, Answer):
                if page.status == 410:
                    raise _ExpiredError
                raise refusal(request, page)
            if page.token and page.token == token:
                raise malformed(request, "the listing does not go on: metadata.continue is what it was")
            self._note(page.version)
            progress.showed(map(_told_apart, page.items))
            yield page
            token = page.token
            if not token:
                return

    def _note(self, version: str | None) -> None:
        if version and version.isascii() and version.isdecimal() and len(version) < 20 and (number := int(version)):
            before = self.position or Position("", number, number)
            self.position = Position("", min(number, before.lowest or number), max(number, before.highest or number))

    def _list_request(self, scope: Scope, selector: str, kind: str, token: str) -> Request:
        query: dict[str, str | int] = {"limit": PAGE}
        if selector:
            query["labelSelector"] = selector
        if kind:
            query["fieldSelector"] = f"type={kind}"
        if token:
            query["continue"] = token
        where = f"in the namespace {scope.namespace}" if scope.namespace else "in all namespaces"
        path = f"{secrets_path(scope.namespace)}?{urlencode(query)}"
        return Request(self._client.store, "GET", path, "list", f"list the Secrets {where}", scope.namespace)

    def _expired(self) -> StoreError:
        store = self._client.store
        return StoreUnavailable(
            f"{store} dropped a listing before it was complete, {RESTARTS} times",
            store=store,
            hint="if the API server is slow, list fewer Secrets at once: name a namespace",
        )

    # -- Single Secrets -------------------------------------------------------------------------------------------

    async def find(
        self, wanted: Mapping[Place, str], selector: str = "", *, annotations: bool = False
    ) -> AsyncIterator[tuple[str, Metadata] | Gap]:
        """The metadata of those of the ``wanted`` Secrets that exist, each with its key, at the least cost.

        One that we may not look at is a Gap. With a ``selector``, what it does not take may be left out.
        """
        if not wanted:
            return
        namespaces = {place.namespace for place in wanted}
        first = Scope(next(iter(namespaces)) if len(namespaces) == 1 else None)

        async def look(part: _Part) -> tuple[list[tuple[str, Metadata] | Gap], list[_Part]]:
            if len(part.wanted) > FEW and part.scope not in self._denied:
                found, rest = await self._by_listing(part, selector, annotations=annotations)
                return found, _smaller(part.scope, rest)
            if len(part.wanted) > 1 or part.scope.namespace is None:
                return [], _smaller(part.scope, part.wanted)
            ((place, key),) = part.wanted.items()
            return await self._by_name(place, key), []

        nothing = True
        async for each in spread([_Part(first, wanted)], look, width=self._client.width):
            nothing = False
            yield each
        if nothing and not selector:
            await self.confirm()

    async def _by_listing(
        self, part: _Part, selector: str, *, annotations: bool
    ) -> tuple[list[tuple[str, Metadata] | Gap], _Wanted]:
        """What a listing shows, and what is left to look for in other ways because they cost less, or are allowed."""
        for _ in range(RESTARTS):
            found: list[tuple[str, Metadata] | Gap] = []
            rest = dict(part.wanted)
            try:
                async for page in self._pages(part.scope, selector, annotations=annotations):
                    for item in page.items:
                        key = rest.pop(_place_of(item), None)
                        if key is not None:
                            found.append(odd_gap(key, item.odd) if isinstance(item, OddSecret) else (key, item))
                    if not rest or math.ceil(page.remaining / PAGE) > _cost(part.scope, rest):
                        return found, rest
            except _ExpiredError:
                continue
            except CredentialsRefused:
                raise
            except AccessDenied:
                self._denied.add(part.scope)
                return [], part.wanted
            return found, {}
        raise self._expired()

    async def _by_name(self, place: Place, key: str) -> list[tuple[str, Metadata] | Gap]:
        try:
            metadata = await self.look(place, key)
        except StoreError as error:
            return [unseen(key, error)]
        return [] if metadata is None else [(key, metadata)]

    async def look(self, place: Place, key: str) -> Metadata | None:
        """The metadata of one Secret; ``None`` where it is absent."""
        store = self._client.store
        path = secrets_path(place.namespace, place.name)
        request = Request(store, "GET", path, "get", f"look at {key}", place.namespace, key)

        def parse(received: Received) -> Metadata:
            return metadata_of(request, received.object("Secret", "PartialObjectMetadata").fields, place)

        found = await self._client.call("stat", request, parse, accept=METADATA)
        if not isinstance(found, Answer):
            return found
        if is_absent(found):
            return None
        raise refusal(request, found)

    async def confirm(self) -> None:
        """Before "nothing there" is believed, make sure once that the namespace is there.

        The API server lists the Secrets of a namespace that does not exist as none. Who may not see namespaces can
        list Secrets only by a Role in one, and so only where there is one, or by a ClusterRole: that is believed.
        """
        if self._confirmed:
            return
        assert self._namespace is not None  # noqa: S101  all namespaces need no confirmation
        state = await self._state(self._namespace)
        if state is _State.ABSENT:
            raise no_namespace(self._client.store, self._namespace)
        if state is _State.ENDING:
            raise namespace_ending(self._client.store, self._namespace, empty=True)
        self._confirmed = True

    async def check_namespace(self, namespace: str, key: str) -> None:
        """Raise what keeps a namespace from taking a new Secret. Each is looked at once.

        Where that cannot be seen, nothing: the write will tell.
        """
        async with self._lock:
            if namespace not in self._namespaces:
                try:
                    self._namespaces[namespace] = await self._state(namespace)
                except CredentialsRefused:
                    raise
                except StoreError:
                    self._namespaces[namespace] = _State.THERE
        if self._namespaces[namespace] is _State.ABSENT:
            raise no_namespace(self._client.store, namespace, key)
        if self._namespaces[namespace] is _State.ENDING:
            raise namespace_ending(self._client.store, namespace, key)

    async def _state(self, namespace: str) -> _State:
        """How a namespace is; one that we may not look at counts as one that is there."""
        store, path = self._client.store, f"/api/v1/namespaces/{quote(namespace)}"
        action = f"look at the namespace {namespace}"
        request = Request(store, "GET", path, "get", action, namespace, resource="namespaces")
        try:
            answer = await self._client.call("stat", request, _named, accept=METADATA)
        except CredentialsRefused:
            raise
        except AccessDenied:
            return _State.THERE
        if isinstance(answer, Answer):
            if answer.status == 404 and status_of(answer).kind == "namespaces":
                return _State.ABSENT
            raise refusal(request, answer)
        name, state = answer
        if name != namespace:
            raise malformed(request, "it is another namespace")
        return state


class _State(Enum):
    """How a namespace is."""

    THERE = auto()
    ENDING = auto()
    ABSENT = auto()


def _named(received: Received) -> tuple[str, _State]:
    metadata = received.object("Namespace", "PartialObjectMetadata").part("metadata")
    return metadata.text("name"), _State.ENDING if metadata.has("deletionTimestamp") else _State.THERE


def _place_of(item: Metadata | OddSecret) -> Place:
    return item.place if isinstance(item, OddSecret) else Place(item.get("namespace", ""), item["name"])


def _told_apart(item: Metadata | OddSecret) -> str:
    if isinstance(item, OddSecret):
        return "/".join(item.place)
    return str(item.get("uid") or f"{item.get('namespace')}/{item['name']}")


def _kept(metadata: Metadata, kept: Collection[str]) -> Metadata:
    """What of it anybody asks for. The rest is many times as much, and there may be a hundred thousand of them."""
    return {name: metadata[name] for name in kept if name in metadata}


_KEPT = ("namespace", "name", "uid", "resourceVersion", "labels")


_Wanted: TypeAlias = "Mapping[Place, str]"


class _Part(NamedTuple):
    """Some Secrets to look for, all of one scope."""

    scope: Scope
    wanted: _Wanted


def _smaller(scope: Scope, wanted: _Wanted) -> list[_Part]:
    """The same Secrets in smaller parts: each namespace by itself, or each Secret."""
    if scope.namespace is not None:
        return [_Part(scope, {place: key}) for place, key in wanted.items()]
    parts: dict[str, dict[Place, str]] = {}
    for place, key in wanted.items():
        parts.setdefault(place.namespace, {})[place] = key
    return [_Part(Scope(namespace), part) for namespace, part in parts.items()]


def _cost(scope: Scope, wanted: _Wanted) -> int:
    """How many requests it takes at the least to look for Secrets in smaller parts."""
    if scope.namespace is not None:
        return len(wanted)
    counts = Counter(place.namespace for place in wanted)
    return sum(math.ceil(count / PAGE) if count > FEW else count for count in counts.values())


def is_absent(answer: Answer) -> bool:
    """Whether a 404 says that there is no such Secret, and not that the server has no such path."""
    if answer.status != 404:
        return False
    said = status_of(answer)
    return said.reason == "NotFound" and said.kind == "secrets"


def secrets_path(namespace: str | None, name: str = "") -> str:
    """The path of a Secret, of those of a namespace, or of all, encoded."""
    path = "/api/v1/" + (f"namespaces/{quote(namespace)}/" if namespace else "") + "secrets"
    return f"{path}/{quote(name)}" if name else path
