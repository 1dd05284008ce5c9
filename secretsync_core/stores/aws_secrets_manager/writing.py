"""Writes: a new version a write, and compare-and-set by the label of the current one.

The service has no condition on a write, but it has one on moving a label: AWSCURRENT moves only if the version that it
is to be taken from is the one that has it. So a write that compares first adds a version which nobody sees, under a
label of our own, and then moves AWSCURRENT to it, away from the version that was expected. Whoever wrote meanwhile has
moved AWSCURRENT, and then the service refuses.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    SecretFails,
    SecretNotFound,
    SecretSyncError,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.secret import BINARY
from secretsync_core.stores.aws.answers import Mismatch, WrongState
from secretsync_core.stores.aws_secrets_manager.calls import CURRENT, STAGE
from secretsync_core.stores.base import MARK_KEY
from secretsync_core.stores.fit import blob_of
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.metadata import Described
    from secretsync_core.secret import SecretValue
    from secretsync_core.stores.aws_secrets_manager.calls import Calls, Payload, Seen
    from secretsync_core.stores.aws_secrets_manager.config import AwsSecretsManagerConfig
    from secretsync_core.stores.base import StoreContext

_SHORTEST_VERSION = 32  # characters of a version's id


class Writing:
    """The writing half of one store."""

    def __init__(self, calls: Calls, config: AwsSecretsManagerConfig, context: StoreContext, facts: StoreFacts) -> None:
        self._calls = calls
        self._facts = facts
        self._store = context.name
        self._forced = config.force_delete_without_recovery
        self._replica_regions = {each.region for each in config.replica_regions}
        self._mark = {MARK_KEY: context.mark} if context.mark else {}
        self._mark_filled = self._mark if context.mark_at_a_cost else {}
        self._tags: Mapping[str, str] = {**config.tags, **self._mark}

    async def write(self, key: str, value: SecretValue) -> str:
        """Write a new version, whatever is there; create or restore the secret where that is needed."""
        payload, version, doubt = self._payload(key, value), _new_version(), Doubt()
        try:
            await doubt.of(self._calls.put(key, payload, version))
        except SecretNotFound:
            return await doubt.of(self._write_new(key, payload, version))
        except WrongState as state:
            if not state.deleted:
                raise
            await doubt.of(self._calls.restore(key))
            await doubt.of(self._put_revived(key, payload, version))
            return await doubt.of(self._tag_created(key, self._mark, version))
        return version

    async def _write_new(self, key: str, payload: Payload, version: str) -> str:
        doubt = Doubt()
        try:
            return await doubt.of(self._calls.create(key, payload, version, self._tags))
        except Conflict:  # somebody was quicker, and a write replaces whatever is there
            await doubt.of(self._calls.put(key, payload, version))
            return version

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str:
        """Write a new version if ``expected`` is the current one (``None``: if there is none)."""
        payload, version, doubt = self._payload(key, value), _new_version(), Doubt()
        if expected is not None and len(expected) < _SHORTEST_VERSION:
            raise self._conflict(key)
        try:
            if expected is None:
                return await doubt.of(self._calls.create(key, payload, version, self._tags))
            return await doubt.of(self._stage(key, payload, version, expected))
        except SecretNotFound:
            raise doubt.on(self._conflict(key)) from None
        except WrongState as state:
            if not state.deleted:
                raise
        except Conflict:
            if expected is not None:
                raise
        return await doubt.of(self._write_over(key, payload, version, expected))

    async def _write_over(self, key: str, payload: Payload, version: str, expected: str | None) -> str:
        """Write where a secret is deleted, or was made without a value, if its current version is as expected."""
        try:
            seen = await self._calls.describe(key)
        except CredentialsRefused:
            raise
        except AccessDenied:  # we may write it, and not look at it: that there is something is all that we know
            raise self._conflict(key) from None
        if seen is None:
            raise SecretFails(
                f"a deletion of {key} in {self._store} is still under way",
                store=self._store,
                key=key,
                hint="sync again in a minute",
            )
        if seen.current == version:
            return version  # an attempt that got no answer had done it
        if seen.current != expected:
            raise self._conflict(key)
        if not seen.deleted:
            await self._stage(key, payload, version, expected)
            return await self._tag_created(key, self._mark_filled, version)
        await self._calls.restore(key)
        try:
            await self._stage(key, payload, version, expected)
        except (Conflict, StoreUnavailable):
            raise
        except StoreError:
            await self._delete_again(key)
            raise
        return await self._tag_created(key, self._mark, version)

    async def _stage(self, key: str, payload: Payload, version: str, expected: str | None) -> str:
        if await self._calls.put(key, payload, version, stage=STAGE):
            return version
        return await self._promote(key, version, expected)

    async def _promote(self, key: str, version: str, expected: str | None) -> str:
        """Make a version that we wrote the current one, in place of the one that was expected to be."""
        doubt = Doubt()
        try:
            await doubt.of(self._calls.move(key, CURRENT, to=version, away_from=expected))
        except (Mismatch, WrongState):
            pass
        else:
            return version
        seen = await doubt.of(self._calls.describe(key))
        if seen is not None and seen.current == version:
            return version  # an attempt that got no answer had done it
        with contextlib.suppress(StoreError):  # nobody sees that version, and without a label the service drops it
            await self._calls.move(key, STAGE, away_from=version)
        if seen is not None and seen.current == expected and not seen.deleted:
            raise SecretFails(
                f"{self._store} does not make what we wrote the current version of {key}", store=self._store, key=key
            )
        raise doubt.on(self._conflict(key))

    async def _tag_created(self, key: str, mark: Mapping[str, str], version: str) -> str:
        """Mark a secret that was deleted, or had no value, before our write of this version: it counts as made by us.

        Only once the write is made: until then it is somebody else's.
        """
        if mark:
            await self._calls.tag(key, mark)
        return version

    async def _put_revived(self, key: str, payload: Payload, version: str) -> None:
        try:
            await self._calls.put(key, payload, version)
        except StoreUnavailable:
            raise
        except StoreError:
            await self._delete_again(key)
            raise

    async def _delete_again(self, key: str) -> None:
        """A secret that was restored for a write which then failed must not stay there with its old value."""
        with contextlib.suppress(StoreError):
            await self._calls.delete(key, recoverable=True)

    async def delete(self, key: str) -> None:
        """Delete the secret, and the replicas that the document asks for."""
        try:
            await self._calls.delete(key)
        except SecretNotFound:
            return
        except (Mismatch, WrongState) as refused:
            if isinstance(refused, WrongState) and refused.deleted:
                return
            seen = await self._calls.describe(key)
            if seen is None or seen.deleted:
                return
            if not seen.replicas:
                raise
            await self._delete_with_replicas(key, seen)

    async def delete_if(self, key: str, expected: str) -> None:
        """Delete the secret if ``expected`` is its current version; what was, or may be, another one is restored.

        The service has no condition on a deletion. But nobody can write what is deleted, so its stages say for good
        which version it was, and until it is deleted without recovery it can be restored.
        """
        forced = self._forced
        try:
            if not await self._delete_recoverably(key, expected):
                return
        except CredentialsRefused:
            raise
        except AccessDenied:
            if not forced:
                raise
            await self.delete(key)  # an identity may be allowed that alone: the look before it has to do
            return
        try:
            seen = await self._calls.describe(key)
        except SecretSyncError as unseen:
            # What nobody can see may be somebody's: it is given back, too.
            await self._take_back(key, seen=False)
            unseen.unanswered = True  # the service lags: only a look tells what stands there now
            raise
        if seen is not None and seen.current not in (None, expected):  # None: it does not tell
            await self._take_back(key, seen=True)
            raise self._conflict(key)
        if forced:
            await self._calls.delete(key)

    async def _delete_recoverably(self, key: str, expected: str) -> bool:
        """Delete it so that it can be restored; whether there was something to delete, or may have been by us."""
        try:
            await self._calls.delete(key, recoverable=self._forced)
        except SecretNotFound:
            return False
        except (Mismatch, WrongState) as refused:
            if isinstance(refused, WrongState) and refused.deleted:
                return refused.unanswered  # an attempt that got no answer may have done it
            seen = await self._calls.describe(key)
            if seen is None or seen.deleted:
                return False
            if seen.current != expected:
                raise self._conflict(key) from None
            if not seen.replicas:
                raise
            await self._delete_with_replicas(key, seen, recoverable=self._forced)
        return True

    async def _take_back(self, key: str, *, seen: bool) -> None:
        """Restore what we have just deleted: with a value that somebody wrote right before, or (not ``seen``) may have.

        Raises StoreError where that fails; not ``seen``, nobody knows then what stands there.
        """
        doubt = Doubt(unanswered=not seen)
        try:
            await doubt.of(self._calls.restore(key))
        except SecretSyncError as error:
            failed = error
        else:
            return
        was = "was written" if seen else "may have been written"
        raise doubt.on(
            StoreError(
                f"{key} {was} in {self._store} right before its deletion, and is deleted with that value:"
                f" {failed.message}",
                store=self._store,
                key=key,
                hint=f"restore it: aws secretsmanager restore-secret --secret-id {key}, below the SecretStore's prefix",
            )
        )

    async def _delete_with_replicas(self, key: str, seen: Seen, *, recoverable: bool = False) -> None:
        others = sorted(set(seen.replicas) - self._replica_regions)
        if others:
            raise StoreError(
                f"{self._store} refuses to delete {key}: it has replicas in {', '.join(others)}",
                store=self._store,
                key=key,
                hint="stop the replication there, or name these regions in replicaRegions of the SecretStore",
            )
        await self._calls.unreplicate(key, seen.replicas)
        await self._calls.delete(key, recoverable=recoverable)

    async def check_undelete(self, key: str, version: str) -> None:
        """Raise what would keep :meth:`undelete` from restoring the secret."""
        seen = await self._calls.describe(key)
        if seen is None:
            raise SecretNotFound(f"{key} is not in {self._store}", store=self._store, key=key)
        if not seen.deleted or seen.current != version:
            raise self._conflict(key)

    async def undelete(self, key: str, version: str) -> str:
        """Take back a deletion. Until then nobody can write the secret, so its version is still the one that it had."""
        await self.check_undelete(key, version)
        await self._calls.restore(key)
        return version

    async def mark(self, key: str) -> None:
        """Tag a secret as ours."""
        await self._beside(key, lambda: self._calls.tag(key, self._mark))

    @property
    def wants_replicas(self) -> bool:
        """Whether the document asks for copies in other regions."""
        return bool(self._replica_regions)

    async def set_metadata(self, key: str, wanted: Described) -> None:
        """Set tags, description and replica regions of a secret that is there."""
        tags = {slot.name: text for slot, text in wanted.items() if slot.kind is Kind.TAG}
        description = wanted.get(Slot(Kind.DESCRIPTION))
        regions = {slot.name for slot in wanted if slot.kind is Kind.REPLICA}
        if tags:
            await self._beside(key, lambda: self._calls.tag(key, tags))
        if description is not None:
            await self._beside(key, lambda: self._calls.redescribe(key, description))
        if regions:
            await self._beside(key, lambda: self._calls.replicate(key, regions))

    async def _beside(self, key: str, change: Callable[[], Awaitable[None]]) -> None:
        """Change what stands beside a value. What is deleted, the service does not let us change."""
        try:
            await change()
        except WrongState as state:
            if not state.deleted:
                raise
        except Mismatch as refused:
            raise InvalidSecret(
                refused.message,
                store=self._store,
                key=key,
                hint="it may be the tags, the description or the replicaRegions of the SecretStore",
            ) from None
        else:
            return
        raise SecretNotFound(f"{key} is deleted in {self._store}", store=self._store, key=key)

    def _payload(self, key: str, value: SecretValue) -> Payload:
        blob = blob_of(value, self._facts, key)
        if value.kind != BINARY:
            with contextlib.suppress(UnicodeDecodeError):
                return {"SecretString": blob.decode()}
        return {"SecretBinary": blob}

    def _conflict(self, key: str) -> Conflict:
        return Conflict(f"{key} in {self._store} changed meanwhile", store=self._store, key=key)


def asked_of(config: AwsSecretsManagerConfig) -> Described:
    """What a document wants beside the value of every secret of a job."""
    asked = {Slot(Kind.TAG, name): text for name, text in config.tags.items()}
    if config.description:
        asked[Slot(Kind.DESCRIPTION)] = config.description
    return asked | {Slot(Kind.REPLICA, each.region): "" for each in config.replica_regions}


def _new_version() -> str:
    """The id of the version that a write makes. Its attempts share it, so that however many there are, one counts."""
    return str(uuid.uuid4())
