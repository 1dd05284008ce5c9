"""Secrets in this process's memory: a whole store without a server, for trials and tests.

What is written stays until the process ends, under the SecretStore's name: closing the store and opening it again,
from any event loop or thread, finds it. It behaves like a versioned key-value engine: old versions can be pinned, a
delete leaves a deleted entry behind, and writing goes on with the next version.
"""

from __future__ import annotations

import copy
import secrets
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import Field

from secretsync_core.errors import Conflict, SecretNotFound, StoreError
from secretsync_core.metadata_rules import CUSTOM_METADATA
from secretsync_core.model.capabilities import Shape, StoreFacts, StoreLimits
from secretsync_core.model.inventory import Entry, display_version
from secretsync_core.model.metadata import Kind, MetadataFacts, Slot
from secretsync_core.model.place import Place
from secretsync_core.schema.base import Spec
from secretsync_core.schema.metadata import CustomMetadata
from secretsync_core.secret import FieldValue, Secret, SecretValue
from secretsync_core.stores.base import MARK_KEY
from secretsync_core.stores.fit import check_fits, check_folder, check_key
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from secretsync_core.model.inventory import Gap
    from secretsync_core.model.metadata import Described
    from secretsync_core.stores.base import Store, StoreContext

T = TypeVar("T")

KEPT_VERSIONS = 10
"""How many versions of a secret can be pinned; older ones are dropped."""

LIMITS = StoreLimits(
    # Segments that are neither empty, nor "." or "..": written without lookahead, which RE2 lacks.
    key_pattern=r"^(?:[^/.\x00]|\.[^/.\x00]|\.\.[^/\x00])[^/\x00]*"
    r"(?:/(?:[^/.\x00]|\.[^/.\x00]|\.\.[^/\x00])[^/\x00]*)*$",
    key_rule="names separated by single slashes, none of them '.' or '..', without NUL",
    pins=r"^[1-9][0-9]*$",
    custom_metadata=True,
    types=True,
)


@dataclass(slots=True)
class _Stored:
    """One secret: its newest versions, oldest first, each with its payload and its kind."""

    count: int = 0
    versions: deque[tuple[str, dict[str, FieldValue] | bytes, str]] = field(
        default_factory=lambda: deque(maxlen=KEPT_VERSIONS)
    )
    deleted: bool = False
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str:
        return self.versions[-1][0]


@dataclass(slots=True)
class _Data:
    """What one store name holds. The lock makes look-and-write one step for event loops in different threads."""

    shape: Shape
    secrets: dict[str, _Stored] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_stores: dict[str, _Data] = {}


def reset() -> None:
    """Forget every store of this process. For tests."""
    _stores.clear()


def set_metadata(store: str, key: str, metadata: Mapping[str, str]) -> None:
    """Replace a secret's custom metadata. For tests; raises KeyError where the store or the secret is unknown."""
    data = _stores[store]
    with data.lock:
        data.secrets[key].metadata = dict(metadata)


def purge(store: str, key: str) -> None:
    """Remove a secret with all its versions, as if it had never been. For tests; KeyError where it is unknown."""
    data = _stores[store]
    with data.lock:
        del data.secrets[key]


class MemoryConfig(Spec):
    """Secrets in this process's memory, for trials and tests."""

    shape: Literal["fields", "binary-fields", "blob"] = Field(
        default="fields", description="What a secret is: named JSON values, named bytes, or one run of bytes."
    )
    custom_metadata: CustomMetadata = Field(
        default_factory=dict, description="For every secret that a job creates or takes over."
    )


class MemoryStore:
    """A store in memory, of either shape, with every ability; handles of one name share what it holds."""

    LIMITS = LIMITS

    def __init__(self, shape: Shape, context: StoreContext, custom: Mapping[str, str] | None = None) -> None:
        self._gate = context.gate
        self._mark = context.mark
        self._name = context.name
        self._data = _stores.setdefault(context.name, _Data(shape))
        if self._data.shape is not shape:
            raise StoreError(
                f"the memory store {context.name!r} holds secrets as {self._data.shape} already",
                store=context.name,
                hint="give the second store another name",
            )
        self._facts = StoreFacts(
            name=context.name,
            provider="memory",
            shape=shape,
            versioned=True,
            limits=LIMITS,
            place=Place("memory", "", f"{context.name}/"),
            metadata=MetadataFacts(
                {Kind.CUSTOM: CUSTOM_METADATA},
                {Slot(Kind.CUSTOM, name): text for name, text in (custom or {}).items()},
                at_creation=False,
            ),
            kinds=True,
        )
        self._closed = False

    @property
    def facts(self) -> StoreFacts:
        """What this store is."""
        return self._facts

    async def aclose(self) -> None:
        """Close this handle; what was written stays."""
        self._closed = True

    async def read(self, key: str, version: str | None = None) -> Secret:
        """Read a secret's current value, or the version whose number ``version`` gives."""
        return await self._run("read", lambda: self._read(key, version))

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that was ever written."""
        wanted = tuple(keys)
        found = await self._run("stat", lambda: [self._entry(k, True) for k in wanted if k in self._data.secrets])
        for entry in found:
            yield entry

    async def list(self, prefix: str, *, recursive: bool, metadata: bool, kind: str = "") -> AsyncIterator[Entry | Gap]:
        """Yield the secrets of a folder, all or those of one ``kind``, in the order of their keys."""
        check_folder(prefix, self._name)

        def look() -> tuple[Entry, ...]:
            return tuple(
                self._entry(key, metadata)
                for key in sorted(self._data.secrets)
                if key.startswith(prefix) and (recursive or "/" not in key[len(prefix) :])
                if not kind or self._data.secrets[key].versions[-1][2] == kind
            )

        for entry in await self._run("list", look):
            yield entry

    async def shows_folders(self, prefix: str) -> bool:
        """Whether there is a secret in a folder below this one."""
        with self._data.lock:
            return any(key.startswith(prefix) and "/" in key[len(prefix) :] for key in self._data.secrets)

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or replace the secret; gives the new version token."""
        return await self._run("write", lambda: self._write(key, value))

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        """Write if the secret's token is ``expected`` (``None``: it was never written); else raises Conflict.

        A deleted secret is written again by expecting the token that its entry carries.
        """

        def attempt() -> str:
            self._check_key(key)
            stored = self._data.secrets.get(key)
            if (stored.token if stored else None) != expected:
                raise Conflict(f"{key} changed since it was looked at", store=self._name, key=key)
            return self._write(key, value)

        return await self._run("write", attempt)

    async def create(self, key: str, value: SecretValue) -> str | None:
        """Write if there is no such secret, or a deleted one only; else raises Conflict."""

        def attempt() -> str:
            self._check_key(key)
            stored = self._data.secrets.get(key)
            if stored is not None and not stored.deleted:
                raise Conflict(f"{key} exists already", store=self._name, key=key)
            return self._write(key, value)

        return await self._run("write", attempt)

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being written there, whatever stands there."""
        self._check_key(key)
        check_fits(value, self._facts, key)

    async def delete(self, key: str) -> None:
        """Delete the secret: its entry stays, and its older versions can still be pinned."""

        def attempt() -> None:
            self._check_key(key)
            stored = self._data.secrets.get(key)
            if stored is not None:
                stored.deleted = True

        await self._run("delete", attempt)

    async def delete_if(self, key: str, expected: str) -> None:
        """Delete the secret if its token is ``expected``; else raises Conflict."""

        def attempt() -> None:
            self._check_key(key)
            stored = self._data.secrets.get(key)
            if stored is None or stored.deleted:
                return
            if stored.token != expected:
                raise Conflict(f"{key} changed since it was looked at", store=self._name, key=key)
            stored.deleted = True

        await self._run("delete", attempt)

    async def check_undelete(self, key: str, version: str) -> None:
        """Raise what would keep ``undelete`` from bringing the secret back."""
        await self._run("stat", lambda: self._deleted(key, version))

    async def undelete(self, key: str, version: str) -> str | None:
        """Take back the deletion of a secret whose last version is ``version``; gives that."""

        def attempt() -> str:
            stored = self._deleted(key, version)
            stored.deleted = False
            return stored.token

        return await self._run("undelete", attempt)

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that carry one."""
        wanted = tuple(keys)

        def look() -> dict[str, str]:
            found = ((key, self._data.secrets.get(key)) for key in wanted)
            return {key: each.metadata[MARK_KEY] for key, each in found if each and MARK_KEY in each.metadata}

        return await self._run("stat", look)

    async def mark(self, key: str) -> None:
        """Put this handle's mark on a secret."""

        def attempt() -> None:
            stored = self._data.secrets.get(key)
            if stored is None or stored.deleted:
                raise SecretNotFound(f"there is no secret {key}", store=self._name, key=key)
            stored.metadata[MARK_KEY] = self._mark

        await self._run("mark", attempt)

    async def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``, with the custom metadata."""
        async for entry in self.stat(keys):
            yield entry

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        """Set some of the custom metadata; the version stays."""

        def attempt() -> str | None:
            stored = self._data.secrets.get(key)
            if stored is None or stored.deleted:
                raise SecretNotFound(f"there is no secret {key}", store=self._name, key=key)
            stored.metadata |= {slot.name: text for slot, text in wanted.items()}
            return version

        return await self._run("metadata", attempt)

    async def _run(self, kind: str, step: Callable[[], T]) -> T:
        async def attempt() -> T:
            if self._closed:
                raise StoreError(f"the store {self._name!r} is closed", store=self._name)
            with self._data.lock:
                return step()

        return await self._gate(kind, attempt)

    def _deleted(self, key: str, version: str) -> _Stored:
        self._check_key(key)
        stored = self._data.secrets.get(key)
        if stored is None:
            raise SecretNotFound(f"there is no secret {key}", store=self._name, key=key)
        if not stored.deleted or stored.token != version:
            raise Conflict(f"{key} was written since it was deleted", store=self._name, key=key)
        return stored

    def _entry(self, key: str, metadata: bool) -> Entry:
        stored = self._data.secrets[key]
        return Entry(key, stored.token, stored.deleted, dict(stored.metadata) if metadata else None)

    def _read(self, key: str, version: str | None) -> Secret:
        self._check_key(key)
        stored = self._data.secrets.get(key)
        if stored is None:
            raise SecretNotFound(f"there is no secret {key}", store=self._name, key=key)
        if version is None or version == display_version(stored.token):
            if stored.deleted:
                raise SecretNotFound(f"{key} is deleted", store=self._name, key=key)
            token, payload, kind = stored.versions[-1]
            return Secret(SecretValue(self._copied(payload), kind), token)
        for token, payload, kind in stored.versions:
            if display_version(token) == version:
                return Secret(SecretValue(self._copied(payload), kind), token)
        raise SecretNotFound(f"{key} has no version {version}", store=self._name, key=key)

    def _write(self, key: str, value: SecretValue) -> str:
        self._check_key(key)
        check_fits(value, self._facts, key)
        payload = self._copied(value.reveal())
        stored = self._data.secrets.get(key)
        if stored is None:
            stored = self._data.secrets[key] = _Stored()
        if stored.deleted or not stored.count:
            stored.metadata = {MARK_KEY: self._mark} if self._mark else {}
        stored.count += 1
        stored.deleted = False
        # The nonce keeps tokens apart from those of another process, or of a purged secret, with the same number.
        stored.versions.append((f"{stored.count}@{secrets.token_hex(8)}", payload, value.kind))
        return stored.token

    def _copied(self, payload: dict[str, FieldValue] | bytes) -> dict[str, FieldValue] | bytes:
        return copy.deepcopy(payload)

    def _check_key(self, key: str) -> None:
        check_key(key, self._name, LIMITS)


async def open_store(config: MemoryConfig, context: StoreContext) -> Store:
    """Open the store of this name; it is empty the first time in this process.

    Raises StoreError where the name is in use with the other shape.
    """
    return MemoryStore(Shape(config.shape), context, config.custom_metadata)


PROVIDER = Provider(config=MemoryConfig, open=open_store, variants=(("", "secretsync_core.stores.memory:MemoryStore"),))
