"""Secrets in this process's memory: a whole store without a server, for trials and tests.

What is written stays until the process ends, under the SecretStore's name: closing the store and opening it again,
from any event loop or thread, finds it. It behaves like a versioned key-value engine: old versions can be pinned, a
delete leaves a deleted entry behind, and writing goes on with the next version.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.errors import Conflict, InvalidSecret, SecretNotFound, StoreError
from secretsync_core.model.capabilities import Shape, StoreFacts, StoreLimits
from secretsync_core.model.inventory import Entry, display_version
from secretsync_core.secret import FieldValue, JsonValue, Secret, SecretValue
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from secretsync_core.model.inventory import Gap
    from secretsync_core.schema.provider_configs import MemoryConfig
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
)


@dataclass(slots=True)
class _Stored:
    """One secret: its newest versions, oldest first, each with its payload."""

    count: int = 0
    versions: deque[tuple[str, dict[str, FieldValue] | bytes]] = field(
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


class MemoryStore:
    """A store in memory, of either shape, with every ability; handles of one name share what it holds."""

    LIMITS = LIMITS

    def __init__(self, shape: Shape, context: StoreContext) -> None:
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
        self._facts = StoreFacts(name=context.name, provider="memory", shape=shape, versioned=True, limits=LIMITS)
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

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield the secrets of a folder, in the order of their keys."""
        if prefix and not prefix.endswith("/"):
            raise InvalidSecret(f"{prefix!r} is not a folder: it must end with '/'", store=self._name, key=prefix)

        def look() -> tuple[Entry, ...]:
            return tuple(
                self._entry(key, metadata)
                for key in sorted(self._data.secrets)
                if key.startswith(prefix) and (recursive or "/" not in key[len(prefix) :])
            )

        for entry in await self._run("list", look):
            yield entry

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

    async def delete(self, key: str) -> None:
        """Delete the secret: its entry stays, and its older versions can still be pinned."""

        def attempt() -> None:
            self._check_key(key)
            stored = self._data.secrets.get(key)
            if stored is not None:
                stored.deleted = True

        await self._run("delete", attempt)

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

    async def _run(self, kind: str, step: Callable[[], T]) -> T:
        async def attempt() -> T:
            if self._closed:
                raise StoreError(f"the store {self._name!r} is closed", store=self._name)
            with self._data.lock:
                return step()

        return await self._gate(kind, attempt)

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
            token, payload = stored.versions[-1]
            return Secret(SecretValue(self._copy(key, payload)), token)
        for token, payload in stored.versions:
            if display_version(token) == version:
                return Secret(SecretValue(self._copy(key, payload)), token)
        raise SecretNotFound(f"{key} has no version {version}", store=self._name, key=key)

    def _write(self, key: str, value: SecretValue) -> str:
        self._check_key(key)
        payload = self._copy(key, value.reveal())
        stored = self._data.secrets.get(key)
        if stored is None:
            stored = self._data.secrets[key] = _Stored()
        if self._mark and (stored.deleted or not stored.count):
            stored.metadata[MARK_KEY] = self._mark
        stored.count += 1
        stored.deleted = False
        # The nonce keeps tokens apart from those of another process, or of a purged secret, with the same number.
        stored.versions.append((f"{stored.count}@{secrets.token_hex(8)}", payload))
        return stored.token

    def _copy(self, key: str, payload: dict[str, FieldValue] | bytes) -> dict[str, FieldValue] | bytes:
        shape = self._facts.shape
        if isinstance(payload, bytes) is not (shape is Shape.BLOB):
            raise InvalidSecret(f"this store holds {shape}, and nothing else", store=self._name, key=key)
        if isinstance(payload, bytes):
            return payload
        return {self._name_of(key, name): self._copy_field(key, item) for name, item in payload.items()}

    def _copy_field(self, key: str, item: FieldValue) -> FieldValue:
        if isinstance(item, bytes) is not (self._facts.shape is Shape.BINARY_FIELDS):
            raise InvalidSecret(f"this store holds {self._facts.shape}, and nothing else", store=self._name, key=key)
        return item if isinstance(item, bytes) else self._copy_json(key, item)

    def _copy_json(self, key: str, item: JsonValue) -> JsonValue:
        """Copy what JSON can hold, all the way down; refuse what it cannot."""
        if isinstance(item, dict):
            return {self._name_of(key, name): self._copy_json(key, inner) for name, inner in item.items()}
        if isinstance(item, list):
            return [self._copy_json(key, inner) for inner in item]
        known = item is None or isinstance(item, (str, bool, int, float))
        if not known or (isinstance(item, float) and not math.isfinite(item)):
            raise InvalidSecret(f"a field of {key} holds what JSON cannot", store=self._name, key=key)
        return item

    def _name_of(self, key: str, name: object) -> str:
        if isinstance(name, str):
            return name
        raise InvalidSecret(f"a field of {key} has a name that is not text", store=self._name, key=key)

    def _check_key(self, key: str) -> None:
        if "\0" in key or any(segment in ("", ".", "..") for segment in key.split("/")):
            raise InvalidSecret(f"{key!r} is not a key: {LIMITS.key_rule}", store=self._name, key=key)


async def open_store(config: MemoryConfig, context: StoreContext) -> Store:
    """Open the store of this name; it is empty the first time in this process.

    Raises StoreError where the name is in use with the other shape.
    """
    return MemoryStore(Shape(config.shape), context)
