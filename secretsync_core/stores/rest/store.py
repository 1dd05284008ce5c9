"""What an open store can do: a class for each ability, of which one is put together by what the document describes."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.errors import (
    Conflict,
    InvalidSecret,
    SecretNotFound,
    SecretSyncError,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.versions import VersionOrder
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.fit import blob_of, check_folder, check_key, check_new_key, sort_out_keys
from secretsync_core.stores.rest.answers import Call, refusal
from secretsync_core.stores.rest.fields import (
    id_at,
    id_of,
    token_of,
    value_at,
    version_at,
    version_of,
    version_of_header,
)
from secretsync_core.stores.rest.jsonpath import NothingThereError, parse
from secretsync_core.stores.rest.listing import Found, Listing, found_in
from secretsync_core.stores.rest.marks import text_of_mark
from secretsync_core.stores.rest.names import KEY_LIMITS, MISNOMERS, MISNOMERS_RULE
from secretsync_core.stores.rest.place import SERVICE, declared_place
from secretsync_core.stores.rest.templates import ID, KEY, MARK, VALUE, VERSION
from secretsync_core.stores.rest.transport import Answer
from secretsync_core.stores.spread import spread
from secretsync_core.stores.unanswered import Doubt
from secretsync_core.stores.unseen import unseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from secretsync_core.model.capabilities import StoreLimits
    from secretsync_core.stores.rest.config import ChangeRequest, DeleteRequest, HttpConfig
    from secretsync_core.stores.rest.templates import Scalar
    from secretsync_core.stores.rest.transport import Transport


class Done(NamedTuple):
    """A change that was made. ``version``: what the service calls the new one, where its answer has it; so the id."""

    version: str | None = None
    id: str = ""


class HttpStore:
    """What every store has. A version is what the document says; nothing older than the current value is known."""

    LIMITS = replace(KEY_LIMITS, text_only=True)

    def __init__(self, config: HttpConfig, transport: Transport, mark: str) -> None:
        self._config = config
        self._mark = mark if config.marks else ""
        self._transport = transport
        limits = limits_of(config)
        self._listing = Listing(config, transport, limits)
        self.facts = StoreFacts(
            name=transport.store,
            provider=SERVICE,
            shape=Shape.BLOB,
            versioned=config.versioned,
            limits=limits,
            place=declared_place(config),
            version_order=VersionOrder.NUMBER_OF_ONE if config.versioned and config.has_ids else VersionOrder.NONE,
            # A comment, say, may change what the service calls the version.
            versions_of_all=config.versioned and config.marks,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    def _call(self, operation: str, request: ChangeRequest, verb: str, key: str) -> Call:
        return Call(self.facts.name, operation, request.verb, request.path, f"{verb} {key}", key)

    def _check(self, key: str) -> None:
        check_key(key, self.facts.name, self.facts.limits)


def limits_of(config: HttpConfig) -> StoreLimits:
    """What the document says of keys and values, within what holds for every service."""
    keys, values = config.keys, config.values
    return replace(
        KEY_LIMITS,
        key_pattern=keys.pattern or KEY_LIMITS.key_pattern,
        key_rule=keys.rule or (KEY_LIMITS.key_rule if keys.pattern is None else "keys.pattern of the document"),
        misnomers=None if keys.pattern is None else MISNOMERS,
        misnomers_rule=MISNOMERS_RULE,
        max_key_bytes=keys.max_bytes or KEY_LIMITS.max_key_bytes,
        max_bytes=values.max_bytes,
        empty=values.empty,
        text_only=values.encoding == "Text",
    )


# -- looking


class Looks(HttpStore):
    """Shows single keys: one by one, or by a listing where that is fewer requests, or there is no look."""

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that exists."""
        good, bad = sort_out_keys(keys, self.facts.name, self.facts.limits)
        for gap in bad:
            yield gap
        if not good:
            return
        if self._listing.is_cheaper(len(good)):
            wanted = frozenset(good)
            for found in await self._listing.entries():
                if (found.key if isinstance(found, Entry) else found.prefix) in wanted:
                    yield found
            return

        async def look(key: str) -> tuple[list[Entry | Gap], list[str]]:
            try:
                there = await self._listing.one(key)
            except StoreError as error:
                return [unseen(key, error)], []
            return ([] if there is None else [Entry(key, there.version)]), []

        async for each in spread(good, look, width=self._transport.width):
            yield each


class Lists(HttpStore):
    """Lists all that there is. A ``/`` in a key is a folder to us alone."""

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield what is below a folder. Nothing stands beside a value."""
        check_folder(prefix, self.facts.name)
        for found in await self._listing.entries():
            name = found.key if isinstance(found, Entry) else found.prefix
            if name.startswith(prefix) and (recursive or "/" not in name[len(prefix) :]):
                yield found


class Reads(Looks):
    """Reads values."""

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The value. A ``version`` is a StoreError: no older ones are known."""
        self._check(key)
        if version is not None:
            raise StoreError(f"{self.facts.name} keeps no older versions", store=self.facts.name, key=key)
        request = self._config.read
        assert request is not None  # noqa: S101  else it is of another class
        values: dict[str, Scalar] = {KEY: key}
        if request.uses(ID):
            there = await self._listing.one(key)
            if there is None:
                raise self._absent(key)
            values[ID] = there.id
        call = Call(self.facts.name, "read", request.verb, request.path, f"read {key}", key)
        base64_of_it = self._config.values.encoding == "Base64"

        def taken(answer: Answer) -> Secret:
            found = found_in(request, answer, key, str(values.get(ID, "")))
            value = value_at(request.value, answer.json(), call, base64_of_it=base64_of_it)
            return Secret(SecretValue(value), found.version)

        found = await self._transport.send("read", request, call, values, taken, passed=request.absent)
        if not isinstance(found, Answer):
            return found
        await self._listing.confirm()
        raise self._absent(key)

    def _absent(self, key: str) -> SecretNotFound:
        return SecretNotFound(f"{key} does not exist in {self.facts.name}", store=self.facts.name, key=key)


# -- writing


class Changes(HttpStore):
    """What writes and deletes have in common."""

    async def _change(
        self,
        kind: str,
        operation: str,
        request: ChangeRequest,
        key: str,
        values: dict[str, Scalar],
        *,
        once: bool = False,
    ) -> Done | Answer:
        """Send a change; gives an Answer where the document says that its status means the key is absent."""
        call = self._call(operation, request, kind, key)
        absent: tuple[int, ...] = getattr(request, "absent", ())
        exists: tuple[int, ...] = getattr(request, "exists", ())

        def taken(answer: Answer) -> Done:
            document = self._checked(request, answer)
            return self._told(request, document, answer)

        passed = (*absent, *exists, *request.conflict)
        found = await self._transport.send(kind, request, call, {KEY: key, **values}, taken, passed=passed, once=once)
        if not isinstance(found, Answer) or found.status in absent:
            return found
        if found.status in exists or VERSION in values:
            raise found.on(self._moved(key))
        raise found.on(refusal(call, found.status, found.headers))

    def _checked(self, request: ChangeRequest, answer: Answer) -> object:
        """The answer as JSON; None where it is empty. Raises InvalidSecret where it says that nothing was done."""
        if not answer.body:
            return None
        document = answer.json()
        if request.failed is not None:
            try:
                refused = any(True for _ in parse(request.failed).find(document))
            except NothingThereError:
                refused = False
            if refused:
                call = answer.call
                raise InvalidSecret(
                    f"{call.store} refuses to {call.action}: {call.operation}.failed is there in its answer",
                    store=call.store,
                    key=call.key,
                    hint="the answer is not shown, for it may hold the value",
                )
        return document

    def _told(self, request: ChangeRequest, document: object, answer: Answer) -> Done:
        path, header, one = (getattr(request, name, None) for name in ("version", "version_header", "id"))
        version = None
        if path is not None and document is not None:
            version = version_at(path, document, answer.call)
        elif header is not None and header in answer.headers:
            version = version_of_header(header, answer)
        return Done(version, id_at(one, document, answer.call) if one is not None and document is not None else "")

    def _moved(self, key: str) -> Conflict:
        return Conflict(f"{key} in {self.facts.name} changed meanwhile", store=self.facts.name, key=key)

    def _plain(self, token: str) -> str:
        """What the service itself calls a version."""
        return version_of(token) if self._config.has_ids else token

    async def _there(
        self, key: str, values: dict[str, Scalar], request: ChangeRequest, there: Found | None
    ) -> Found | None:
        """What is there of a key, with what the request needs of it in ``values``; None where it is absent."""
        found = there if there is not None else await self._listing.known(key)
        if found is None:
            return None
        if request.uses(ID) and not found.id:
            found = await self._listing.one(key)
        if found is not None and request.uses(ID):
            values[ID] = found.id
        if found is not None and request.uses(VERSION):
            values.setdefault(VERSION, self._plain(found.version or ""))
        if found is not None and request.uses(MARK):
            values.setdefault(MARK, text_of_mark(found.mark))
        return found


class Writes(Changes):
    """Writes, by one request or by two that create and update."""

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being sent: its name, its form, its size."""
        self._text(key, value)

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or replace; gives the new version, which may take a look of its own."""
        text = self._text(key, value)
        before = self._listing.seen.get(key)
        if self._config.write is not None:
            done = await self._change("write", "write", self._config.write, key, {VALUE: text})
            return await self._version("write", key, text, done, before)
        there = await self._listing.known(key)
        return await (self._create(key, text) if there is None else self._update(key, text, there))

    async def _create(self, key: str, text: str) -> str | None:
        request = self._config.create
        assert request is not None  # noqa: S101  it goes with update
        # What is refused where it is there can be asked again: it is never there twice.
        once = request.verb == "POST" and not request.exists
        try:
            values: dict[str, Scalar] = {VALUE: text, MARK: text_of_mark(self._mark)}
            done = await self._change("write", "create", request, key, values, once=once)
        except SecretSyncError:
            self._listing.forget(key)
            raise
        return await self._version("create", key, text, done, None)

    async def _update(self, key: str, text: str, there: Found, expected: str | None = None) -> str | None:
        request = self._config.update
        assert request is not None  # noqa: S101  it goes with create
        values: dict[str, Scalar] = {VALUE: text}
        if expected is not None:
            values[VERSION] = self._plain(expected)
            if self._config.has_ids and id_of(expected) != there.id:
                raise self._moved(key)
        found = await self._there(key, values, request, there)
        done = await self._change("write", "update", request, key, values) if found is not None else None
        if done is None or isinstance(done, Answer):
            # What we looked at is gone. Whatever has its name by now is not what the plan is about.
            self._listing.forget(key)
            moved = self._moved(key)
            raise done.on(moved) if isinstance(done, Answer) else moved
        return await self._version("update", key, text, done, found)

    async def _version(
        self, operation: str, key: str, text: str, done: Done | Answer, before: Found | None
    ) -> str | None:
        """The version that a write has made: as its answer tells it, or as it is looked at.

        Raises StoreUnavailable where a look shows the one from before, and not the value that was written.
        """
        told = done if isinstance(done, Done) else Done()
        one = told.id or (before.id if before is not None else "")
        mark = before.mark if before is not None else self._mark
        if not self.facts.versioned:
            # Of what is new no id may be known: it is looked at when it is needed.
            self._listing.wrote(key, Found(None, one, mark))
            return None
        if told.version is not None and (one or not self._config.has_ids):
            version = token_of(told.version, one, Call(self.facts.name, operation, "", "", f"write {key}", key))
            self._listing.wrote(key, Found(version, one, mark))
            return version
        self._listing.forget(key)
        doubt = Doubt(unanswered=True)
        for _ in range(2):  # the first look may show what was there before
            found = await doubt.of(self._listing.one(key))
            if found is None:
                break
            if before is None or found.version != before.version:
                return found.version
        else:
            if found is not None and await doubt.of(self._holds(key, text)):
                return found.version
            raise doubt.on(
                StoreUnavailable(
                    f"{self.facts.name} shows {key} as it was before it was written", store=self.facts.name, key=key
                )
            )
        raise StoreUnavailable(
            f"{self.facts.name} does not show {key}, which was just written", store=self.facts.name, key=key
        )

    async def _holds(self, key: str, text: str) -> bool:
        """Whether a value that can be read is this one."""
        return isinstance(self, Reads) and self._text(key, (await self.read(key)).value) == text

    def _text(self, key: str, value: SecretValue) -> str:
        check_new_key(key, self.facts.name, self.facts.limits)
        blob = blob_of(value, self.facts, key)
        return base64.b64encode(blob).decode() if self._config.values.encoding == "Base64" else blob.decode()


class Creates(Writes):
    """Creates what is absent, and nothing else: the service refuses what is there."""

    async def create(self, key: str, value: SecretValue) -> str | None:
        """Create. Raises Conflict where it is there."""
        return await self._create(key, self._text(key, value))


class ComparesAndSets(Creates):
    """Updates what was seen, and nothing else: the service compares versions."""

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        """Write where the version is ``expected``; None: where it is absent. Raises Conflict where it is not."""
        text = self._text(key, value)
        if expected is None:
            return await self._create(key, text)
        there = self._listing.seen.get(key) or await self._listing.one(key)
        if there is None:
            raise self._moved(key)
        return await self._update(key, text, there, expected)


# -- deleting


class Deletes(Changes):
    """Deletes, for good as far as we know."""

    async def delete(self, key: str) -> None:
        """Delete it; one that is absent already is no error."""
        await self._delete(key, None)

    async def _delete(self, key: str, expected: str | None) -> None:
        self._check(key)
        request = self._config.delete
        assert request is not None  # noqa: S101  else it is of another class
        values: dict[str, Scalar] = {} if expected is None else {VERSION: self._plain(expected)}
        if request.uses(ID) or request.uses(VERSION):
            there = await self._there(key, values, request, None)
            if there is None:
                return
            if expected is not None and self._config.has_ids and id_of(expected) != there.id:
                raise self._moved(key)
        done = await self._change("delete", "delete", request, key, values)
        self._listing.forget(key)
        if isinstance(done, Answer) and self._listing.can_look:
            await self._must_be_gone(key, request, done)

    async def _must_be_gone(self, key: str, request: DeleteRequest, answer: Answer) -> None:
        """Raise where a key is there of which the service says that it is not."""
        if await Doubt(unanswered=answer.unanswered).of(self._listing.one(key)) is not None:
            raise answer.on(
                self._moved(key) if request.uses(ID) else refusal(answer.call, answer.status, answer.headers)
            )


class DeletesIf(Deletes):
    """Deletes what was seen, and nothing else: the service compares versions."""

    async def delete_if(self, key: str, expected: str) -> None:
        """Delete it where its version is ``expected``. Raises Conflict where it is not."""
        await self._delete(key, expected)


# -- marks


class Marks(Changes, Looks):
    """Says of secrets who created them, by a text that the service keeps beside them."""

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that carry one. Raises AccessDenied where we may not look at one."""
        there: dict[str, str] = {}
        good = sort_out_keys(keys, self.facts.name, self.facts.limits)[0]
        if good and self._listing.is_cheaper(len(good)):
            await self._listing.entries()
            there = {key: self._listing.seen[key].mark for key in good if key in self._listing.seen}
        else:

            async def look(key: str) -> tuple[list[tuple[str, str]], list[str]]:
                found = await self._listing.one(key)
                return ([] if found is None else [(key, found.mark)]), []

            async for key, mark in spread(good, look, width=self._transport.width):
                there[key] = mark
        return {key: mark for key, mark in there.items() if mark}

    async def mark(self, key: str) -> None:
        """Put our mark on a secret that is there, in place of any other."""
        self._check(key)
        request = self._config.mark
        assert request is not None  # noqa: S101  else it is of another class
        values: dict[str, Scalar] = {MARK: text_of_mark(self._mark)}
        found = await self._there(key, values, request, await self._listing.one(key))
        done = await self._change("mark", "mark", request, key, values) if found is not None else None
        self._listing.forget(key)
        if done is None or isinstance(done, Answer):
            gone = SecretNotFound(f"{key} does not exist in {self.facts.name}", store=self.facts.name, key=key)
            raise done.on(gone) if isinstance(done, Answer) else gone


class EveryAbility(ComparesAndSets, DeletesIf, Marks, Reads, Lists):
    """A service of which everything is described."""


class NothingRead(Creates, Deletes, Marks, Lists):
    """A service that shows names alone."""


def store_class(config: HttpConfig) -> type[HttpStore]:
    """The class that has what the document describes, and nothing else."""
    parts: list[type[HttpStore]] = []
    if config.compares:
        parts.append(ComparesAndSets)
    elif config.create is not None and config.create.exists:
        parts.append(Creates)
    elif config.write is not None or config.create is not None:
        parts.append(Writes)
    if config.delete is not None:
        parts.append(DeletesIf if config.delete.uses(VERSION) else Deletes)
    if config.marks:
        parts.append(Marks)
    if config.read is not None:
        parts.append(Reads)
    elif config.look is not None or config.lists is not None:
        parts.append(Looks)
    if config.lists is not None:
        parts.append(Lists)
    return _put_together(tuple(parts))


@cache
def _put_together(parts: tuple[type[HttpStore], ...]) -> type[HttpStore]:
    return type("DescribedStore", parts, {})
