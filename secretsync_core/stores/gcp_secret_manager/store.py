"""The store: what it can do, put together from its parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from secretsync_core.errors import SecretNotFound, StoreError
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.metadata import Kind, MetadataFacts
from secretsync_core.model.versions import VersionOrder
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.fit import blob_of
from secretsync_core.stores.gcp_secret_manager.answers import WrongState
from secretsync_core.stores.gcp_secret_manager.beside import Beside, asked_of
from secretsync_core.stores.gcp_secret_manager.calls import LATEST, Calls
from secretsync_core.stores.gcp_secret_manager.connection import Connection
from secretsync_core.stores.gcp_secret_manager.listing import Listing
from secretsync_core.stores.gcp_secret_manager.metadata import ANNOTATION, LABEL, MARK
from secretsync_core.stores.gcp_secret_manager.names import KEY_LIMITS, Names
from secretsync_core.stores.gcp_secret_manager.place import place_by
from secretsync_core.stores.gcp_secret_manager.pruning import Pruning
from secretsync_core.stores.gcp_secret_manager.rights import Rights
from secretsync_core.stores.gcp_secret_manager.writing import Writing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from secretsync_core.model.access import Access, Missing
    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.model.metadata import Described
    from secretsync_core.selection import Selection
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig

MAX_BYTES = 65_536


class SecretManagerStore:
    """Reads, lists, marks, writes with compare-and-set, and deletes for good.

    A version token is a version's number and the time of its making, for a secret that is made anew counts from 1
    again; a pin is a number or an alias.
    """

    LIMITS = replace(
        KEY_LIMITS,
        max_bytes=MAX_BYTES,
        empty=False,
        pins=r"[1-9][0-9]{0,9}|[A-Za-z][A-Za-z0-9_-]{0,62}",
        custom_metadata=True,
    )

    def __init__(self, connection: Connection, config: GcpSecretManagerConfig, context: StoreContext) -> None:
        names = Names(config.parent, config.prefix, context.name)
        self._connection = connection
        self._names = names
        self._calls = Calls(connection, config, names)
        self._listing = Listing(self._calls, names, context.concurrency, context.mark)
        self._beside = Beside(self._calls, context.mark)
        self._rights = Rights(self._calls, names)
        self.facts = StoreFacts(
            name=context.name,
            provider="gcpSecretManager",
            shape=Shape.BLOB,
            versioned=True,
            limits=replace(self.LIMITS, max_key_bytes=names.limits.max_key_bytes),
            place=place_by(config),
            version_order=VersionOrder.NUMBER_AND_TIME,
            lags=True,
            metadata=MetadataFacts({Kind.LABEL: LABEL, Kind.ANNOTATION: ANNOTATION}, asked_of(config)),
        )
        pruning = Pruning(self._calls, self._beside, config, context)
        self._writing = Writing(self._calls, self._listing, self._beside, pruning, context, self.facts)

    @classmethod
    async def open(cls, config: GcpSecretManagerConfig, context: StoreContext) -> SecretManagerStore:
        """See ``open_store``. What was opened halfway is closed again where an error ends it."""
        if config.expire_time is not None and config.expire_time <= datetime.now(UTC):
            raise StoreError(
                f"the expireTime of {context.name} is over",
                store=context.name,
                hint="write a later one, or leave it out: Google would delete at once what is written",
            )
        connection = Connection(config, context)
        try:
            await connection.identity()
            return cls(connection, config, context)
        except BaseException:
            await connection.aclose()
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connection.aclose()

    # -- reading

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The current value, or the one whose number or alias ``version`` is.

        The answer has the version's number and not its time. Where nobody has looked at it yet, that takes a second
        request.
        """
        self._names.check(key)
        try:
            number, value = await self._calls.access(key, version or LATEST)
        except SecretNotFound as refused:
            if version is not None:
                raise self._not_found(f"version {version} of {key} is not", key) from None
            number, value = await self._calls.access(key, await self._behind(key, refused))
        except WrongState as refused:
            number, value = await self._calls.access(key, await self._unreadable(key, version, refused))
        token = self._listing.known(key, number)
        if token is None:
            seen = await self._calls.version(key, str(number))
            if seen is None:
                raise self._not_found(f"{key} is no longer", key)
            token = seen.token
            if version is None:
                self._listing.note(key, seen)
        return Secret(SecretValue(value), token)

    async def _behind(self, key: str, why: StoreError) -> str:
        """The number of the current version, where the alias for it is behind. Raises ``why`` where it is not."""
        seen = await self._calls.newest(key, there=True)
        if seen is None or not seen.live:
            raise why
        return str(seen.number)

    async def _unreadable(self, key: str, version: str | None, refused: WrongState) -> str:
        """The same, where the state of what the alias shows does not allow to read it. Raises why else it does not."""
        seen = await self._calls.version(key, version or LATEST)
        what = key if version is None else f"version {version} of {key}"
        if seen is not None and seen.live:
            raise StoreError(
                refused.message,
                store=self.facts.name,
                key=key,
                hint="check that its KMS key is enabled, and that the service agent of Secret Manager may use it",
            )
        gone = self._not_found(f"{what} is disabled or destroyed", key)
        if version is not None:
            raise gone
        return await self._behind(key, gone)

    def _not_found(self, what: str, key: str) -> SecretNotFound:
        return SecretNotFound(f"{what} in {self.facts.name}", store=self.facts.name, key=key)

    def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that exists, and a Gap for one that we may not look at."""
        return self._listing.some(keys, beside=False)

    def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``, with the labels; ``notes`` are annotations and topics."""
        return self._listing.some(keys, beside=True)

    def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield every secret; ``metadata`` are its labels. Each takes a request, and so does each page."""
        return self._listing.all(prefix, recursive=recursive, metadata=metadata)

    def select(self, wanted: Selection, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield every secret that is wanted: only these take a request each."""
        return self._listing.select(wanted, metadata=metadata)

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that carry one: an annotation. Raises AccessDenied where we may not look."""
        beside = await self._listing.beside(keys)
        return {key: about.annotations[MARK] for key, about in beside.items() if MARK in about.annotations}

    async def check_access(self, wanted: Sequence[Access]) -> Sequence[Missing]:
        """Which of ``wanted`` we may not do with secrets that are there."""
        return await self._rights.missing(wanted)

    # -- writing

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create the secret, or add a version to it; gives the new version's token."""
        self._names.check(key)
        return await self._writing.write(key, value)

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        """Write if ``expected`` is still the current version (``None``: if there is none); else raise Conflict."""
        self._names.check(key)
        return await self._writing.write_if(key, value, expected)

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being sent: its name, its size, or that nobody can read whose it is."""
        self._names.check(key)
        blob_of(value, self.facts, key)
        await self._writing.check(key, expected)

    async def delete(self, key: str) -> None:
        """Delete the secret with all its versions. Nothing brings it back."""
        self._names.check(key)
        await self._writing.delete(key)

    async def delete_if(self, key: str, expected: str) -> None:
        """The same, if ``expected`` is the current version when it is looked at right before."""
        self._names.check(key)
        await self._writing.delete_if(key, expected)

    async def mark(self, key: str) -> None:
        """Put this store's mark on a secret that is there, as an annotation."""
        self._names.check(key)
        await self._beside.mark(key)

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        """Set labels, annotations and topics, in one request after a look. It makes no version."""
        self._names.check(key)
        await self._beside.set(key, wanted)
        return version
