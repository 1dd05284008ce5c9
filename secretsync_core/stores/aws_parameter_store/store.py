"""The store: what it can do, put together from its parts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    RateLimited,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.metadata_rules import AWS_TAG
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.inventory import Gap
from secretsync_core.model.metadata import Kind, MetadataFacts, Slot
from secretsync_core.model.versions import VersionOrder
from secretsync_core.stores.aws.answers import Mismatch, no_version
from secretsync_core.stores.aws.connection import Account, Service
from secretsync_core.stores.aws.gathered import Gathered, lanes_for
from secretsync_core.stores.aws.rights import Need, Rights
from secretsync_core.stores.aws_parameter_store.calls import BATCH, PAGE, Calls, Found
from secretsync_core.stores.aws_parameter_store.listing import Listing
from secretsync_core.stores.aws_parameter_store.names import KEY_LIMITS, Names, root_of
from secretsync_core.stores.base import MARK_KEY
from secretsync_core.stores.fit import blob_of
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.spread import spread
from secretsync_core.stores.unanswered import Doubt
from secretsync_core.stores.unseen import may_be_of_one

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from mypy_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient
    from mypy_boto3_ssm import SSMClient

    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.metadata import Described
    from secretsync_core.model.place import Place
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores.aws_parameter_store.config import AwsParameterStoreConfig
    from secretsync_core.stores.aws_parameter_store.settings import Settings
    from secretsync_core.stores.base import StoreContext

STANDARD_BYTES, ADVANCED_BYTES = 4096, 8192


class ParameterStore:
    """Reads, lists, marks, writes, creates only what is absent, and deletes for good.

    A version token is ``<number>@<when it was written>``; a pin is a number, or a label. The service has no condition
    on a write but that there be no such parameter yet, so there is no compare-and-set.
    """

    LIMITS = replace(
        KEY_LIMITS,
        max_bytes=ADVANCED_BYTES,
        text_only=True,
        excluded=r"\{\{[\s\S]*\}\}",
        excluded_rule="{{…}}, which refers to another parameter",
        empty=False,
        pins=r"[0-9]{1,18}|[A-Za-z_.-][A-Za-z0-9_.-]{0,99}",
        custom_metadata=True,
    )

    def __init__(
        self,
        service: Service[SSMClient],
        tagging: Service[ResourceGroupsTaggingAPIClient] | None,
        names: Names,
        config: AwsParameterStoreConfig,
        context: StoreContext,
        place: Place | None,
    ) -> None:
        self._account = service.account
        self._names = names
        self._width = context.concurrency
        self._calls = Calls(service, tagging, config, names)
        self._listing = Listing(self._calls, names, context.concurrency)
        self._mark = {MARK_KEY: context.mark} if context.mark else {}
        self._tags: dict[str, str] = {**config.tags, **self._mark}
        self._tags_at_a_cost: dict[str, str] = {**config.tags, **(self._mark if context.mark_at_a_cost else {})}
        lanes = lanes_for(context.concurrency)
        self._reads: Gathered[Secret] = Gathered(self._read_one, self._read_many, size=BATCH, lanes=lanes)
        self._looks: Gathered[str | None] = Gathered(self._version_of, self._versions_of, size=BATCH, lanes=lanes)
        self._settings: Gathered[Settings | None] = Gathered(
            self._settings_of, self._settings_of_several, size=PAGE, lanes=lanes
        )
        self._needs_key = config.type == "SecureString" and config.kms_key_id is None
        self.facts = StoreFacts(
            name=context.name,
            provider="awsParameterStore",
            shape=Shape.BLOB,
            versioned=True,
            limits=replace(
                self.LIMITS,
                max_bytes=STANDARD_BYTES if config.tier == "Standard" else ADVANCED_BYTES,
                max_key_bytes=names.limits.max_key_bytes,
                key_pattern=names.limits.key_pattern,
                reserved=names.limits.reserved,
            ),
            place=place,
            version_order=VersionOrder.NUMBER_AND_TIME,
            lags=True,
            metadata=MetadataFacts({Kind.TAG: AWS_TAG}, asked_of(config)),
        )

    @classmethod
    async def open(cls, config: AwsParameterStoreConfig, context: StoreContext) -> ParameterStore:
        """See ``open_store``. What was opened halfway is closed again where an error ends it."""
        account = Account(config, context)
        service: Service[SSMClient] = Service(account, "ssm", config.endpoint_url)
        try:
            meta = await service.open()
            root = root_of(config.path)
            place = await account.place("awsParameterStore", root, meta.partition, meta.region_name)
        except BaseException:
            await account.aclose()
            raise
        tagging: Service[ResourceGroupsTaggingAPIClient] | None = None
        if config.tagging_endpoint_url or not config.endpoint_url:
            tagging = Service(account, "resourcegroupstaggingapi", config.tagging_endpoint_url)
        names = Names(config.path, context.name, partition=meta.partition, region=meta.region_name)
        if (principal := account.principal()) is None:
            return cls(service, tagging, names, config, context, place)
        asking = AskingParameterStore(service, tagging, names, config, context, place)
        before = f"arn:{meta.partition}:ssm:{meta.region_name}"
        asking.ask_about(principal, before, tags=bool(config.tags or context.mark))
        return asking

    async def aclose(self) -> None:
        """Give up reads that nobody waits for any more, and close every connection."""
        await self._reads.aclose()
        await self._looks.aclose()
        await self._settings.aclose()
        await self._account.aclose()

    # -- reading

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The current value, decrypted, or that of the version whose number or label ``version`` is."""
        self._names.check(key)
        if version is None:
            return await self._reads.get(key)
        with no_version(self.facts.name, key, version):
            return await self._calls.get(key, version)

    async def _read_one(self, key: str) -> Secret:
        return await self._calls.get(key, None)

    async def _read_many(self, keys: Sequence[str]) -> Mapping[str, Secret | Exception]:
        """Several at once; one by one where one of them, which is not named, keeps us from reading them all."""
        found: dict[str, Secret | Exception] = {}
        try:
            batch = await self._calls.get_many(keys)
        except (RateLimited, StoreUnavailable, CredentialsRefused) as error:
            if not may_be_of_one(error):
                raise
        except StoreError:
            pass
        else:
            found |= batch.read
            found |= {key: self._calls.absent(key) for key in batch.absent}
        rest = [key for key in keys if key not in found]
        singles = await asyncio.gather(*(self._read_one(key) for key in rest), return_exceptions=True)
        for key, single in zip(rest, singles, strict=True):
            if isinstance(single, BaseException) and not isinstance(single, Exception):
                raise single
            found[key] = single
        return found

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that exists."""
        async for found in self._listing.some(keys):
            yield found if isinstance(found, Gap) else found._replace(notes=None)

    def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``, with the tags; ``notes`` are the description.

        Tags cost a request for a hundred parameters that carry this store's mark, and one each for others.
        """
        return self._listing.described(keys, self._mark)

    def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield every parameter below ``prefix``; ``metadata`` are its tags."""
        return self._listing.all(prefix, recursive=recursive, metadata=metadata)

    async def shows_folders(self, prefix: str) -> bool:
        """Whether there is anything below a folder that is empty by itself: one request more, and only there."""
        return await self._listing.shows_folders(prefix)

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that carry one: a tag, asked for one by one."""
        good, _ = self._names.sort_out(keys)

        async def look(key: str) -> tuple[list[tuple[str, str]], tuple[()]]:
            try:
                tags = await self._calls.tags(key)
            except SecretNotFound:
                return [], ()
            return [(key, tags[MARK_KEY])] if MARK_KEY in tags else [], ()

        return {key: mark async for key, mark in spread(good, look, width=self._width)}

    # -- writing

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or replace the parameter; gives the new version token."""
        self._names.new_name(key)
        try:
            there = await self._settings.get(key)
        except CredentialsRefused:
            raise
        except AccessDenied:
            number = await self._put_unseen(key, value)
        else:
            number = await self._put(key, value, overwrite=True, there=there)
        if number == 1 and self._tags_at_a_cost:  # it is new, and an overwriting request can bring no tags
            await self._calls.add_tags(key, self._tags_at_a_cost)
        return await self._token(key, number)

    async def create(self, key: str, value: SecretValue) -> str | None:
        """Create the parameter, with its tags; raises Conflict where there is one."""
        return await self._token(key, await self._put(key, value, overwrite=False))

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        """Set tags and the description. The service takes a description only with the value: it makes a version."""
        self._names.check(key)
        description = wanted.get(Slot(Kind.DESCRIPTION))
        if description is not None:
            there = await self._settings_for_update(key)
            current = await self._calls.get(key, None)
            if version is not None and current.version != version:
                raise Conflict(f"{key} in {self.facts.name} changed meanwhile", store=self.facts.name, key=key)
            number = await self._put(key, current.value, overwrite=True, there=there, description=description)
            version = await self._token(key, number)
        if tags := {slot.name: text for slot, text in wanted.items() if slot.kind is Kind.TAG}:
            await self._calls.add_tags(key, tags)
        return version

    async def _settings_for_update(self, key: str) -> Settings | None:
        """What is kept of a parameter that is there; None where we may not look, and nothing depends on it."""
        try:
            return await self._settings.get(key)
        except CredentialsRefused:
            raise
        except AccessDenied:
            if self._needs_key:
                raise self._unseen_key(key) from None
            return None

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being sent, or the parameter that was seen there from being replaced."""
        self._names.new_name(key)
        blob_of(value, self.facts, key)
        if expected is None:
            return
        if key in self._listing.other_types:
            self._calls.refuse_type(key)
        if self._needs_key and not self._listing.may_describe:
            raise self._unseen_key(key)

    async def _put_unseen(self, key: str, value: SecretValue) -> int:
        """Write where we may not see what is there: nothing is encrypted by another key than before by accident."""
        if not self._needs_key:
            return await self._put(key, value, overwrite=True)
        doubt = Doubt()
        try:
            return await doubt.of(self._put(key, value, overwrite=False))
        except Conflict:
            pass
        raise doubt.on(self._unseen_key(key))

    def _unseen_key(self, key: str) -> AccessDenied:
        return AccessDenied(
            f"{self.facts.name} does not let us see which KMS key encrypts {key}, and an update must name it",
            store=self.facts.name,
            key=key,
            hint="grant us ssm:DescribeParameters, or set kmsKeyId in the SecretStore (alias/aws/ssm is the "
            "account's default key)",
        )

    async def _settings_of(self, key: str) -> Settings | None:
        return (await self._settings_of_several([key]))[key]

    async def _settings_of_several(self, keys: Sequence[str]) -> dict[str, Settings | None]:
        found = await self._calls.settings(keys)
        return {key: found.get(key) for key in keys}

    async def _put(
        self,
        key: str,
        value: SecretValue,
        *,
        overwrite: bool,
        there: Settings | None = None,
        description: str | None = None,
    ) -> int:
        self._names.new_name(key)
        text, doubt = blob_of(value, self.facts, key).decode(), Doubt()
        tags = None if overwrite else self._tags
        try:
            return await doubt.of(
                self._calls.put(key, text, overwrite=overwrite, there=there, tags=tags, description=description)
            )
        except Mismatch as error:
            message = error.message
        hint = "it may be the value or the name, or the tags, description or kmsKeyId of the SecretStore"
        raise doubt.on(InvalidSecret(message, store=self.facts.name, key=key, hint=hint))

    async def _token(self, key: str, number: int) -> str:
        """The token of a version that was just written: the answer to a write tells its number only."""
        found = await self._looks.get(key)
        # Where somebody has written since, or we may not look, this token is none that anything will show again.
        return found if found is not None and found.startswith(f"{number}@") else f"{number}@"

    async def _version_of(self, key: str) -> str | None:
        return (await self._versions_of([key]))[key]

    async def _versions_of(self, keys: Sequence[str]) -> dict[str, str | None]:
        try:
            found = await self._calls.versions(keys)
        except StoreError:  # the writes are done, and without their tokens the next run compares the values
            found = {}
        return {key: each.version if isinstance(each := found.get(key), Found) else None for key in keys}

    async def delete(self, key: str) -> None:
        """Delete the parameter with all its versions, for good."""
        try:
            await self._calls.delete(key)
        except SecretNotFound:
            return

    async def mark(self, key: str) -> None:
        """Put this store's mark on a parameter that is there, as a tag."""
        await self._calls.add_tags(key, self._mark)


def asked_of(config: AwsParameterStoreConfig) -> Described:
    """What a document wants beside the value of every parameter of a job."""
    asked = {Slot(Kind.TAG, name): text for name, text in config.tags.items()}
    return asked | ({Slot(Kind.DESCRIPTION): config.description} if config.description else {})


class AskingParameterStore(ParameterStore):
    """The same where IAM can be asked what our identity may do."""

    _rights: Rights

    def ask_about(self, principal: str, before: str, *, tags: bool) -> None:
        """Say who we are, how ARNs begin, and whether what is created gets tags."""
        put = Need("ssm:PutParameter")
        needs = {
            Act.READ: (Need("ssm:GetParameter"),),
            Act.CREATE: (put, Need("ssm:AddTagsToResource")) if tags else (put,),
            Act.UPDATE: (put,),
            Act.DELETE: (Need("ssm:DeleteParameter"),),
        }
        self._rights = Rights(
            self._account,
            principal,
            needs,
            lambda key, number: f"{before}:{number}:parameter/{self._names.name(key).lstrip('/')}",
        )

    async def check_access(self, wanted: Sequence[Access]) -> Sequence[Missing]:
        """Which of ``wanted`` the policies of our identity do not allow, where we may ask for that."""
        return await self._rights.missing(access for access in wanted if self._names.holds(access.key))
