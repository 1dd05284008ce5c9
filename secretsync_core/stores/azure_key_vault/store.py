"""The store: what it can do, put together from its parts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.errors import SecretNotFound, StoreError
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.inventory import Gap
from secretsync_core.model.metadata import Kind, MetadataFacts
from secretsync_core.stores.answers import is_time
from secretsync_core.stores.azure_key_vault.calls import Calls
from secretsync_core.stores.azure_key_vault.listing import Listing
from secretsync_core.stores.azure_key_vault.names import KEY_LIMITS
from secretsync_core.stores.azure_key_vault.place import SERVICE, declared_place
from secretsync_core.stores.azure_key_vault.seen import is_version_id
from secretsync_core.stores.azure_key_vault.tags import SETTINGS, TAG
from secretsync_core.stores.azure_key_vault.writing import Writing, asked_of
from secretsync_core.stores.fit import blob_of, check_folder, check_key
from secretsync_core.stores.unseen import must_be_seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.metadata import Described
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
    from secretsync_core.stores.azure_key_vault.connection import Connection
    from secretsync_core.stores.base import StoreContext

MAX_BYTES = 25 * 1024
"""Of one value, by https://learn.microsoft.com/azure/key-vault/general/service-limits."""


class KeyVaultStore:
    """Reads, lists, marks, writes, and deletes so that the vault can recover. There is no compare-and-set.

    A version token is when a version was created (see :mod:`~secretsync_core.stores.azure_key_vault.seen`); a pin is
    such a time, or a version's id.
    """

    LIMITS = replace(
        KEY_LIMITS,
        max_bytes=MAX_BYTES,
        text_only=True,
        empty=False,
        pins=r"[0-9a-fA-F]{32}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
        custom_metadata=True,
    )

    def __init__(self, connection: Connection, config: AzureKeyVaultConfig, context: StoreContext) -> None:
        self._connection = connection
        self._calls = Calls(connection)
        self._listing = Listing(self._calls, context.concurrency)
        self.facts = StoreFacts(
            name=context.name,
            provider=SERVICE,
            shape=Shape.BLOB,
            versioned=True,
            limits=self.LIMITS,
            place=declared_place(config),
            metadata=MetadataFacts(rules={Kind.TAG: TAG}, settings=SETTINGS, asked=asked_of(config)),
        )
        self._writing = Writing(self._calls, config, context.mark, self.facts)

    @classmethod
    async def open(cls, config: AzureKeyVaultConfig, context: StoreContext) -> KeyVaultStore:
        """See ``open_store``."""
        # Here, so that the list of stores loads no SDK.
        from secretsync_core.stores.azure_key_vault.connection import Connection

        return cls(Connection(config, context), config, context)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connection.aclose()

    # -- reading

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The current value, or that of the version with this id, or which was created then."""
        check_key(key, self.facts.name, KEY_LIMITS)
        if version is None:
            return await self._calls.get(key)
        if is_version_id(version):
            return await self._calls.get(key, version)
        if not is_time(version):
            raise self._no_version(key)
        made = [each async for each in self._calls.versions(key) if each.token == version]
        if not made:
            raise self._no_version(key)
        if len(made) > 1:
            raise StoreError(
                f"{key} has {len(made)} versions of that second in {self.facts.name}",
                store=self.facts.name,
                key=key,
                hint="give the id of one of them, as Azure shows it",
            )
        return await self._calls.get(key, made[0].id)

    def _no_version(self, key: str) -> SecretNotFound:
        store = self.facts.name
        return SecretNotFound(f"{key} has no such version in {store}", store=store, key=key)

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that exists, and a Gap for one that we may not look at."""
        async for found in self._listing.some(keys):
            yield found if isinstance(found, Gap) else found[0].entry(deleted=found[1])

    async def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``, with the tags; ``notes`` are content type, times, and whether it is enabled. Costs no more."""
        async for found in self._listing.some(keys):
            yield found if isinstance(found, Gap) else found[0].entry(metadata=True, deleted=found[1])

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield every secret, 25 a request, and those that are deleted. There are no folders."""
        check_folder(prefix, self.facts.name)
        if not prefix:
            async for found in self._listing.all(metadata=metadata):
                yield found

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that carry one: a tag. Raises AccessDenied where we may not look at one."""
        marks = {}
        async for found in self._listing.some(keys):
            if not isinstance(found, Gap):
                seen, deleted = found
                if seen.mark and not deleted:
                    marks[seen.key] = seen.mark
            else:
                must_be_seen(found, self.facts.name)
        return marks

    # -- writing

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Make a new version, with what stood beside the one before; gives its token."""
        check_key(key, self.facts.name, KEY_LIMITS)
        return await self._writing.write(key, value)

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being sent: its name, its form, or its size."""
        check_key(key, self.facts.name, KEY_LIMITS)
        blob_of(value, self.facts, key)

    async def delete(self, key: str) -> None:
        """Delete the secret. It can be recovered for as long as the vault says, unless the document has it purged."""
        check_key(key, self.facts.name, KEY_LIMITS)
        await self._writing.delete(key)

    async def delete_if(self, key: str, expected: str) -> None:
        """The same, if ``expected`` is the current version: its answer tells, and what is another one is recovered.

        Raises Conflict where it is not. For that moment whoever wrote it does not see it.
        """
        check_key(key, self.facts.name, KEY_LIMITS)
        await self._writing.delete_if(key, expected)

    async def check_delete(self, key: str, expected: str) -> None:
        """Raise what would keep ``delete_if`` from purging it: protection, or versions that are not this job's."""
        check_key(key, self.facts.name, KEY_LIMITS)
        await self._writing.check_delete(key, expected)

    async def check_undelete(self, key: str, version: str) -> None:
        """Raise SecretNotFound where the secret is gone for good, Conflict where it is not deleted at that version."""
        check_key(key, self.facts.name, KEY_LIMITS)
        await self._writing.check_undelete(key, version)

    async def undelete(self, key: str, version: str) -> str | None:
        """Recover the secret."""
        check_key(key, self.facts.name, KEY_LIMITS)
        return await self._writing.undelete(key, version)

    async def mark(self, key: str) -> None:
        """Put this store's mark on a secret that is there, as a tag."""
        check_key(key, self.facts.name, KEY_LIMITS)
        await self._writing.mark(key)

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        """Set tags, content type, times and whether it is enabled, in one request. None of it makes a version."""
        check_key(key, self.facts.name, KEY_LIMITS)
        return await self._writing.set_metadata(key, wanted, version)
