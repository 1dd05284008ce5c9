"""The store: what it can do, put together from its parts."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, RateLimited, SecretNotFound, StoreError, StoreUnavailable
from secretsync_core.metadata_rules import AWS_TAG
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.inventory import Gap
from secretsync_core.model.metadata import Kind, MetadataFacts
from secretsync_core.stores.aws.answers import Refusal, Request, WrongState, no_version, refusal
from secretsync_core.stores.aws.connection import Account, Service
from secretsync_core.stores.aws.gathered import Gathered, lanes_for
from secretsync_core.stores.aws.rights import Need, Rights
from secretsync_core.stores.aws_secrets_manager.calls import BATCH, Calls
from secretsync_core.stores.aws_secrets_manager.listing import Listing, described, entry
from secretsync_core.stores.aws_secrets_manager.names import KEY_LIMITS, Names
from secretsync_core.stores.aws_secrets_manager.writing import Writing, asked_of
from secretsync_core.stores.base import MARK_KEY
from secretsync_core.stores.fit import blob_of
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.unseen import may_be_of_one, must_be_seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from mypy_boto3_secretsmanager import SecretsManagerClient

    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.metadata import Described
    from secretsync_core.model.place import Place
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.selection import Selection
    from secretsync_core.stores.aws_secrets_manager.config import AwsSecretsManagerConfig
    from secretsync_core.stores.base import StoreContext

MAX_BYTES = 65_536

_VERSION_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class SecretsManagerStore:
    """Reads, lists, marks, writes with compare-and-set, and deletes so that the service can restore.

    A version token is the id of the version that carries AWSCURRENT; a pin is such an id, or a staging label.
    """

    LIMITS = replace(
        KEY_LIMITS,
        max_bytes=MAX_BYTES,
        empty=False,
        pins=r"[A-Za-z0-9_+=.@/-]{1,256}",
        custom_metadata=True,
    )

    def __init__(
        self,
        service: Service[SecretsManagerClient],
        config: AwsSecretsManagerConfig,
        context: StoreContext,
        place: Place | None,
    ) -> None:
        names = Names(config.prefix, context.name)
        self._account = service.account
        self._names = names
        self._calls = Calls(service, config, names)
        self._listing = Listing(self._calls, names, context.concurrency)
        self._may_batch = True
        self._reads: Gathered[Secret] = Gathered(
            self._read_one, self._read_many, size=BATCH, lanes=lanes_for(context.concurrency)
        )
        self.facts = StoreFacts(
            name=context.name,
            provider="awsSecretsManager",
            shape=Shape.BLOB,
            versioned=True,
            limits=replace(self.LIMITS, max_key_bytes=names.limits.max_key_bytes, slash_hint=names.limits.slash_hint),
            place=place,
            lags=True,
            metadata=MetadataFacts({Kind.TAG: AWS_TAG}, asked_of(config)),
            kinds=True,
        )
        self._writing = Writing(self._calls, config, context, self.facts)

    @classmethod
    async def open(cls, config: AwsSecretsManagerConfig, context: StoreContext) -> SecretsManagerStore:
        """See ``open_store``. What was opened halfway is closed again where an error ends it."""
        account = Account(config, context)
        service: Service[SecretsManagerClient] = Service(account, "secretsmanager", config.endpoint_url)
        try:
            meta = await service.open()
            place = await account.place("awsSecretsManager", config.prefix, meta.partition, meta.region_name)
        except BaseException:
            await account.aclose()
            raise
        if (principal := account.principal()) is None:
            return cls(service, config, context, place)
        asking = AskingSecretsManagerStore(service, config, context, place)
        before = f"arn:{meta.partition}:secretsmanager:{meta.region_name}"
        asking.ask_about(principal, before, tags=bool(config.tags or context.mark))
        return asking

    async def aclose(self) -> None:
        """Give up reads that nobody waits for any more, and close every connection."""
        await self._reads.aclose()
        await self._account.aclose()

    # -- reading

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The current value, or the one whose version id or staging label ``version`` is."""
        self._names.name(key)
        if version is None:
            return await self._reads.get(key)
        pin = {"VersionId" if _VERSION_ID.fullmatch(version) else "VersionStage": version}
        with no_version(self.facts.name, key, version):
            return await self._read_one(key, pin)

    async def _read_one(self, key: str, pin: Mapping[str, str] | None = None) -> Secret:
        try:
            return await self._calls.get(key, pin or {})
        except WrongState as state:
            if not state.deleted:
                raise
        raise self._deleted(key)

    async def _read_many(self, keys: Sequence[str]) -> Mapping[str, Secret | Exception]:
        """Several at once, and one by one those about which that does not tell, or all where we may not do that."""
        found: dict[str, Secret | Exception] = {}
        while self._may_batch and (rest := [key for key in keys if key not in found]):
            try:
                answered = await self._read_batch(rest)
            except (RateLimited, StoreUnavailable, CredentialsRefused) as error:
                if not may_be_of_one(error):
                    raise
                break
            except AccessDenied:
                self._may_batch = False
                break
            except StoreError:
                break  # one of the names may be the reason
            if not answered:
                break
            found |= answered
        rest = [key for key in keys if key not in found]
        singles = await asyncio.gather(*(self._read_one(key) for key in rest), return_exceptions=True)
        for key, single in zip(rest, singles, strict=True):
            if isinstance(single, BaseException) and not isinstance(single, Exception):
                raise single
            found[key] = single
        return found

    async def _read_batch(self, keys: Sequence[str]) -> dict[str, Secret | Exception]:
        """What one request tells. The service may leave out what would make its answer too large."""
        batch = await self._calls.get_many(keys)
        found: dict[str, Secret | Exception] = {}
        for key in keys:
            name = self._names.name(key)
            if name in batch.read:
                found[key] = batch.read[name]
            elif name in batch.refused:
                code, text = batch.refused[name]
                request = Request(self.facts.name, f"read {key}", key, "secretsmanager:GetSecretValue")
                error = refusal(request, Refusal(code, text=text.lower()))
                if isinstance(error, WrongState) and error.deleted:
                    error = self._deleted(key)
                # What may be otherwise the next time is asked for by itself, through the gate, which repeats.
                if not error.retryable and not isinstance(error, CredentialsRefused):
                    found[key] = error
        return found

    def _deleted(self, key: str) -> SecretNotFound:
        return SecretNotFound(f"{key} is deleted in {self.facts.name}", store=self.facts.name, key=key)

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that exists, and a Gap for one that we may not look at."""
        async for found in self._listing.some(keys):
            yield found if isinstance(found, Gap) else entry(*found, metadata=False)

    async def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``, with the tags; ``notes`` are description and replica regions.

        It costs what ``stat`` costs, or a request for each key where the document asks for replica regions.
        """
        async for found in self._listing.some(keys, closely=self._writing.wants_replicas):
            yield found if isinstance(found, Gap) else described(*found)

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        """Set tags, the description, and regions to replicate to: a request for each kind. None makes a version."""
        self._names.name(key)
        await self._writing.set_metadata(key, wanted)
        return version

    def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield every secret below ``prefix``, up to five minutes late; ``metadata`` are its tags."""
        return self._listing.all(prefix, recursive=recursive, metadata=metadata)

    async def shows_folders(self, prefix: str) -> bool:
        """Whether the last listing of this folder alone showed folders in it: the service lists what is below, too."""
        return self._listing.shows_folders(prefix)

    def select(self, wanted: Selection, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield every secret whose key begins as those do that are wanted."""
        return self._listing.select(wanted, metadata=metadata)

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that carry one: a tag. Raises AccessDenied where we may not look at one."""
        marks = {}
        async for found in self._listing.some(keys):
            if not isinstance(found, Gap):
                key, seen = found
                if MARK_KEY in seen.tags:
                    marks[key] = seen.tags[MARK_KEY]
            else:
                must_be_seen(found, self.facts.name)
        return marks

    # -- writing

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or replace the secret; gives the new version's id."""
        return await self._writing.write(key, value)

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        """Write if ``expected`` is still the current version (``None``: if there is no value); else raise Conflict."""
        return await self._writing.write_if(key, value, expected)

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being sent: its name, or its size."""
        self._names.name(key)
        blob_of(value, self.facts, key)

    async def delete(self, key: str) -> None:
        """Delete the secret: it can be restored for as many days as the document says."""
        await self._writing.delete(key)

    async def delete_if(self, key: str, expected: str) -> None:
        """The same, if ``expected`` is the current version: looked at once it is deleted, and restored where it is not.

        Raises Conflict where it is not. For that moment whoever wrote it does not see it.
        """
        self._names.name(key)
        await self._writing.delete_if(key, expected)

    async def check_undelete(self, key: str, version: str) -> None:
        """Raise SecretNotFound where the secret is gone for good, Conflict where it is not deleted at that version."""
        self._names.name(key)
        await self._writing.check_undelete(key, version)

    async def undelete(self, key: str, version: str) -> str | None:
        """Restore the secret, within the days that its deletion left for it. Replicas are not made again."""
        self._names.name(key)
        return await self._writing.undelete(key, version)

    async def mark(self, key: str) -> None:
        """Put this store's mark on a secret that is there, as a tag."""
        self._names.name(key)
        await self._writing.mark(key)


class AskingSecretsManagerStore(SecretsManagerStore):
    """The same where IAM can be asked what our identity may do."""

    _rights: Rights

    def ask_about(self, principal: str, before: str, *, tags: bool) -> None:
        """Say who we are, how ARNs begin, and whether what is created gets tags."""
        create = Need("secretsmanager:CreateSecret")
        # A secret that is there may have a policy of its own, which grants what ours do not.
        needs = {
            Act.READ: (Need("secretsmanager:GetSecretValue", alone=False),),
            Act.CREATE: (create, Need("secretsmanager:TagResource")) if tags else (create,),
            Act.UPDATE: (
                Need("secretsmanager:PutSecretValue", alone=False),
                Need("secretsmanager:UpdateSecretVersionStage", alone=False),
            ),
            Act.DELETE: (Need("secretsmanager:DeleteSecret", alone=False),),
        }
        # AWS puts a hyphen and six characters behind the name, which nobody knows before it is created.
        self._rights = Rights(
            self._account,
            principal,
            needs,
            lambda key, number: f"{before}:{number}:secret:{self._names.name(key)}-AbCdEf",
        )

    async def check_access(self, wanted: Sequence[Access]) -> Sequence[Missing]:
        """Which of ``wanted`` the policies of our identity do not allow, where we may ask for that."""
        return await self._rights.missing(access for access in wanted if self._names.holds(access.key))
