"""KV version 2: secrets with versions, compare-and-set, and deletes that can be undone."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import orjson

from secretsync_core.errors import AccessDenied, Conflict, InvalidSecret, SecretNotFound, StoreError
from secretsync_core.metadata_rules import CUSTOM_METADATA
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.metadata import Kind, MetadataFacts, Slot
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.selection import Selection, folder_rule
from secretsync_core.stores.answers import Part, malformed
from secretsync_core.stores.base import MARK_KEY
from secretsync_core.stores.fit import json_fields_of
from secretsync_core.stores.spread import spread
from secretsync_core.stores.unseen import unseen
from secretsync_core.stores.vault.access import demands_of_kv2
from secretsync_core.stores.vault.answers import CAS_REQUIRED, TOO_COMPLEX, Request
from secretsync_core.stores.vault.fields import MAX_BYTES, encode
from secretsync_core.stores.vault.keys import KEY_LIMITS, check, common_folder, sort_out
from secretsync_core.stores.vault.listing import Listing, absent
from secretsync_core.stores.vault.marks import Marking, patch
from secretsync_core.stores.vault.mount import KvMount
from secretsync_core.stores.vault.scan import Details, Spot, entry_of, server_time
from secretsync_core.stores.vault.transport import Answer
from secretsync_core.stores.vault.walk import Found, Way, Ways, walk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping

    from secretsync_core.model.access import Access
    from secretsync_core.model.metadata import Described
    from secretsync_core.model.place import Place
    from secretsync_core.stores.vault.access import Demand
    from secretsync_core.stores.vault.auth import Auth
    from secretsync_core.stores.vault.transport import Received, Transport

SCAN_FROM = 65
"""From this many keys on, a look at them is one SCAN of the folder that holds them all, and not a request for each."""

Entries: TypeAlias = list[Entry | Gap]


class Kv2Store(KvMount):
    """Reads, lists, writes with compare-and-set, and deletes the latest version (``undelete`` brings it back).

    A version token is ``<number>@<time it was written>``. The server compares the number alone.
    """

    version = 2
    # Measured: version 2 makes a float64 of every number.
    LIMITS = replace(
        KEY_LIMITS,
        max_bytes=MAX_BYTES,
        exact_numbers=False,
        pins="[1-9][0-9]*",
        custom_metadata=True,
    )

    def __init__(
        self,
        transport: Transport,
        auth: Auth,
        place: Place | None,
        *,
        marking: Marking,
        custom: Mapping[str, str] | None = None,
        confirmed: bool = True,
    ) -> None:
        super().__init__(transport, auth, place, confirmed=confirmed)
        asked = {Slot(Kind.CUSTOM, name): text for name, text in (custom or {}).items()}
        self.facts = replace(
            self.facts, metadata=MetadataFacts({Kind.CUSTOM: CUSTOM_METADATA}, asked, at_creation=False)
        )
        self._marking = marking
        self._listing = Listing(transport, "metadata/")

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The secret's current fields, or those of the version number ``version``."""
        path = self._path("data/", key)
        if version is not None:
            if not (version.isascii() and version.isdecimal()):
                raise StoreError("a version of a Vault secret is a number", store=self.facts.name, key=key)
            path += f"?version={version}"
        request = self._request("read", key)
        found = await self._transport.ask("read", "GET", path, request, _secret)
        if isinstance(found, Answer):
            if found.status == 404:
                await self._gone(request, found, version)
            self._refused(request, found)
        self._pin.prove()
        if version is not None and found.version is not None and found.version.partition("@")[0] != str(int(version)):
            raise malformed(request, f"it gave another version than {version}")
        return found

    async def _gone(self, request: Request, answer: Answer, version: str | None) -> NoReturn:
        """Raise what a 404 stands for: a deleted or destroyed version comes with its metadata."""
        state = _state(request, answer.body)
        what = f"{request.key}" if version is None else f"version {int(version)} of {request.key}"
        if state is not None:
            raise SecretNotFound(f"{what} is {state} in {request.store}", store=request.store, key=request.key)
        with contextlib.suppress(SecretNotFound):
            await self._not_found(request, answer)
        raise SecretNotFound(f"{what} is not in {request.store}", store=request.store, key=request.key)

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """The entries of ``keys``: by one SCAN where they are many and the server has it, else one by one."""
        async for found in self._look_at(keys, metadata=False):
            yield found

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that carry one; asked as ``stat`` asks. Raises AccessDenied for one unseen."""
        found: dict[str, str] = {}
        async for seen in self._look_at(keys, metadata=True):
            if isinstance(seen, Gap):
                raise AccessDenied(seen.message, store=self.facts.name, key=seen.prefix)
            if not seen.deleted and seen.metadata and (mark := seen.metadata.get(MARK_KEY)) is not None:
                found[seen.key] = mark
        return found

    async def mark(self, key: str) -> None:
        """Put our mark on a secret. Raises SecretNotFound, also for a deleted one."""
        check(key, self.facts.name)
        entry = await self._look(key, metadata=False)
        if entry is None or entry.deleted:
            raise SecretNotFound(f"{key} is not in {self.facts.name}", store=self.facts.name, key=key)
        await self._marking.put(key)

    async def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``, at the same cost, with the custom metadata."""
        async for found in self._look_at(keys, metadata=True):
            yield found

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        """Set some custom metadata, by PATCH. It makes no version, so ``version`` stays what it is."""
        check(key, self.facts.name)
        hint = "leave customMetadata and metadata.copy out, for this server is older than Vault 1.9"
        custom = {slot.name: text for slot, text in wanted.items()}
        await patch(self._transport, key, custom, f"set the custom metadata of {key}", "metadata", hint)
        return version

    async def _look_at(self, keys: Collection[str], *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        keys, gaps = sort_out(keys, self.facts.name)
        for gap in gaps:
            yield gap
        if len(keys) >= SCAN_FROM:
            wanted = keys if isinstance(keys, (set, frozenset, dict)) else frozenset(keys)
            found = await self._scan(common_folder(wanted), metadata=metadata)
            if found is not None:
                while found:
                    shown = found.pop()
                    if (shown.key if isinstance(shown, Entry) else shown.prefix) in wanted:
                        yield shown
                return

        async def look(key: str) -> tuple[Found, tuple[()]]:
            try:
                entry = await self._look(key, metadata=metadata)
            except StoreError as error:
                return [unseen(key, error)], ()
            return [entry] if entry is not None else [], ()

        async for result in spread(keys, look, width=self._transport.width):
            yield result

    async def _look(self, key: str, *, metadata: bool) -> Entry | None:
        """One secret's entry by its metadata; ``None`` where there is no such key."""
        request = self._request("look at", key)
        path = self._path("metadata/", key)

        def parse(received: Received) -> Entry:
            details = received.data().fields
            return entry_of(key, details, server_time(received.headers), Spot(request, "data"), metadata=metadata)

        found = await self._transport.ask("stat", "GET", path, request, parse)
        if isinstance(found, Answer):
            if found.status == 404 and absent(found.body):
                await self._confirm(key)
                return None
            self._refused(request, found)
        self._pin.prove()
        return found

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Every secret below ``prefix``, by one request where the server can, else folder by folder and key by key.

        A key whose metadata we may not see has no version; its value then has to tell whether it changed.
        """
        wanted = Selection([folder_rule(prefix, recursive=recursive)])
        async for found in self.select(wanted, metadata=metadata):
            yield found

    async def select(self, wanted: Selection, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """The same of what is wanted, and of no folder besides."""
        listing = self._listing
        ways = Ways(
            Way(lambda folder: self._scan(folder, metadata=metadata), listing.scan_is_closed),
            Way(lambda folder: self._one_level(folder, metadata=metadata), listing.details_are_closed),
            lambda key, listed: self._entry(key, metadata=metadata, listed=listed),
            self._confirm,
            looks=True,
        )
        async for found in walk(wanted, listing, ways, width=self._transport.width):
            yield found

    async def _entry(self, key: str, *, metadata: bool, listed: bool) -> Found:
        try:
            entry = await self._look(key, metadata=metadata)
        except StoreError as error:
            if isinstance(error, InvalidSecret) and not listed:  # the query itself names what can be no key
                raise
            gap = unseen(key, error)
            if metadata or not listed or not isinstance(error, AccessDenied):
                # A query may select by metadata, and we cannot tell whether it would select this one, or it is there.
                return [gap]
            return [Entry(key)]
        return [entry] if entry is not None else []

    async def _scan(self, prefix: str, *, metadata: bool) -> Entries | None:
        return await self._listing.all_details(prefix, self._details(prefix, metadata=metadata, scan=True))

    async def _one_level(self, prefix: str, *, metadata: bool) -> Entries | None:
        return await self._listing.level_details(prefix, self._details(prefix, metadata=metadata, scan=False))

    def _details(self, prefix: str, *, metadata: bool, scan: bool) -> Details:
        return Details(prefix, metadata=metadata, scan=scan, endurance=self._listing.endurance)

    async def write(self, key: str, value: SecretValue) -> str:
        """Write a new version, whatever is there."""
        request = self._request("write", key)
        if self._marking.on_creation:
            check(key, self.facts.name)
            entry = await self._look(key, metadata=False)
            if entry is None or entry.deleted:
                return await self._marked(request, key, value, None if entry is None else entry.version)
        answer = await self._send(request, value, {})
        if isinstance(answer, Answer) and answer.status == 400 and CAS_REQUIRED in answer.body:
            # The mount or the secret insists on compare-and-set: compare with what is there now.
            entry = await self._look(key, metadata=False)
            answer = await self._send(request, value, {"cas": _number(entry.version if entry else None, request)})
        return self._written(request, answer)

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str:
        """Write a new version if the current one's number is that of ``expected`` (``None``: there is none at all)."""
        request = self._request("write", key)
        if expected is None and self._marking.on_creation:
            return await self._marked(request, key, value, None)
        return await self._write_if(request, key, value, expected)

    async def recreate(self, key: str, value: SecretValue, expected: str) -> str:
        """The same over a version that is deleted or destroyed, or over metadata alone: what is created is marked."""
        request = self._request("write", key)
        if self._marking.on_creation:
            return await self._marked(request, key, value, expected)
        return await self._write_if(request, key, value, expected)

    async def _marked(self, request: Request, key: str, value: SecretValue, expected: str | None) -> str:
        """Create a secret and mark it: it is ours for sure once the write has gone through."""
        await self._marking.permitted(key)
        token = await self._write_if(request, key, value, expected)
        await self._marking.put(key)
        return token

    async def _write_if(self, request: Request, key: str, value: SecretValue, expected: str | None) -> str:
        number = _number(expected, request)
        answer = await self._send(request, value, {"cas": number})
        if isinstance(answer, Answer) and answer.status == 400 and TOO_COMPLEX in answer.body:
            # The server counts the names and texts of a request, and asking for compare-and-set takes two of them. A
            # secret that only just fits has to go without: compare here, and leave a moment in which it may change.
            entry = await self._look(key, metadata=False)
            if _number(entry.version if entry else None, request) != number:
                raise Conflict(f"{key} in {request.store} changed meanwhile", store=request.store, key=key)
            answer = await self._send(request, value, {})
        return self._written(request, answer)

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the secret from being sent: its key, its fields, their size as JSON, and our mark."""
        request = self._request("write", key)
        self._path("data/", key)
        if expected is None and self._marking.on_creation:
            await self._marking.permitted(key)
        self._body(key, value, {"cas": _number(expected, request)})

    async def _send(self, request: Request, value: SecretValue, options: dict[str, int]) -> str | Answer:
        """Write a version; gives its token, or the refusal."""
        key = request.key or ""
        path, body = self._path("data/", key), self._body(key, value, options)
        await self._pin.before_write(key)
        return await self._transport.ask("write", "POST", path, request, _token, body)

    def _body(self, key: str, value: SecretValue, options: dict[str, int]) -> bytes:
        body: dict[str, Any] = {"data": json_fields_of(value, self.facts, key)}
        if options:
            body["options"] = options
        return encode(body, self.facts, key)

    def _written(self, request: Request, answer: str | Answer) -> str:
        if isinstance(answer, Answer):
            self._refused(request, answer)
        return answer

    def _demands(self, wanted: Iterable[Access]) -> Iterator[Demand]:
        return demands_of_kv2(wanted, marks=self._marking.on_creation)

    async def delete(self, key: str) -> None:
        """Delete the latest version; ``undelete`` on the server brings it back."""
        request = self._request("delete", key)
        path = self._path("data/", key)
        await self._pin.before_write(key)
        answer = await self._transport.call("delete", "DELETE", path, request)
        if answer.status not in (200, 204) and not (answer.status == 404 and absent(answer.body)):
            self._refused(request, answer)

    async def delete_if(self, key: str, expected: str) -> None:
        """Delete the version that was seen; one that was written since stays, and stays current.

        It takes the right to ``update`` the path ``delete/``. A token that may only ``delete`` at ``data/`` deletes
        whatever is the latest version. That is asked for every key: policies are written path by path.
        """
        request = self._request("delete", key)
        path, number = self._path("delete/", key), _number(expected, request)
        await self._pin.before_write(key)
        answer = await self._transport.call("delete", "POST", path, request, b'{"versions":[%d]}' % number)
        if answer.status in (200, 204) or (answer.status == 404 and absent(answer.body)):
            return
        if answer.status != 403:
            self._refused(request, answer)
        await self.delete(key)

    async def check_undelete(self, key: str, version: str) -> None:
        """Raise SecretNotFound where the version was destroyed, Conflict where it is not the last one, and deleted."""
        request = self._request("look at", key)
        path = self._path("data/", key)  # a key that is none is refused before anything is asked
        entry = await self._look(key, metadata=False)
        if entry is None:
            raise SecretNotFound(f"{key} is not in {request.store}", store=request.store, key=key)
        if entry.version != version or not entry.deleted:
            raise Conflict(f"{key} in {request.store} changed meanwhile", store=request.store, key=key)
        answer = await self._transport.call("stat", "GET", f"{path}?version={_number(version, request)}", request)
        if answer.status == 200:
            raise Conflict(f"{key} in {request.store} changed meanwhile", store=request.store, key=key)
        if answer.status != 404:
            self._refused(request, answer)
        if Part.of_body(request, answer.body).part("data").part("metadata").flag("destroyed"):
            raise SecretNotFound(f"{key} is destroyed in {request.store}", store=request.store, key=key)

    async def undelete(self, key: str, version: str) -> str:
        """Take back the deletion of the last version. Who has written since is not touched: that one stays current."""
        await self.check_undelete(key, version)
        request = self._request("undelete", key)
        body = orjson.dumps({"versions": [_number(version, request)]})
        answer = await self._transport.call("undelete", "POST", self._path("undelete/", key), request, body)
        if answer.status not in (200, 204):
            self._refused(request, answer)
        return version


def _secret(received: Received) -> Secret:
    data = received.data()
    about = data.part("metadata")
    token = _token_of(about)
    if "data" not in data.fields:
        raise data.wrong("data", "an object or null")
    fields = data.part_or_none("data")
    if fields is None and about.flag("destroyed"):
        raise about.wrong("destroyed", "false, as it comes with a 200")
    # Null where somebody wrote null, which the server keeps as such.
    return Secret(SecretValue({} if fields is None else dict(fields.fields)), token)


def _token(received: Received) -> str:
    return _token_of(received.data())


def _token_of(about: Part) -> str:
    return f"{about.count('version', least=1)}@{about.time('created_time')}"


def _state(request: Request, body: bytes) -> str | None:
    """What became of the version that a 404 tells of; ``None`` where it tells of none."""
    try:
        data = orjson.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        return None
    if data is None:
        return None
    about = Part.of(request, "data", data).part("metadata")
    if about.flag("destroyed"):
        return "destroyed"
    about.time("deletion_time")  # without one it would not be gone
    return "deleted"


def _number(token: str | None, request: Request) -> int:
    """What ``options.cas`` takes: the number in a version token, 0 where there must be no version."""
    number = (token or "0").partition("@")[0]
    if not (number.isascii() and number.isdecimal()):
        raise StoreError("that is not a version of a Vault secret", store=request.store, key=request.key)
    return int(number)
