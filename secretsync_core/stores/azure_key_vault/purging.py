"""Deletes for good: where the document says so, and what this job has made from its first version to its last.

A purge takes all versions. So each of them has to carry this job's mark; one that somebody else made would be lost with
ours. There is no condition on a purge, and what is deleted is looked at right before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.counting import plural
from secretsync_core.errors import NotOurs, SecretSyncError, StoreError
from secretsync_core.stores.azure_key_vault.deleting import delete_only
from secretsync_core.stores.azure_key_vault.faults import changed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.stores.azure_key_vault.calls import Calls
    from secretsync_core.stores.azure_key_vault.seen import About

_NO_SOFT_DELETE = "Purgeable"
"""The recovery level of a vault without soft delete: there a delete is for good, and nothing is left to purge."""

_OR = "or leave purgeOnDelete out of the SecretStore: then it can be recovered for as long as the vault says"


class Purging:
    """The deletes of one store that are for good."""

    def __init__(self, calls: Calls, mark: str) -> None:
        self._calls = calls
        self._store = calls.store
        self._mark = mark

    async def check(self, key: str, expected: str | None) -> About | None:
        """Raise what keeps a secret from being purged; gives its current version, None where it is absent.

        Raises Conflict where ``expected`` is another version, NotOurs where one of its versions is not this job's.
        """
        versions = [each async for each in self._calls.versions(key)]
        if not versions:
            return None
        current = max(versions, key=lambda each: each.created)
        if expected is not None and current.token != expected:
            raise changed(key, self._store)
        if current.recovery and "Purgeable" not in current.recovery:
            raise StoreError(
                f"{key} cannot be deleted for good: {self._store} has purge protection",
                store=self._store,
                key=key,
                hint="leave purgeOnDelete out of the SecretStore; nobody can purge there",
            )
        self._check_ours(key, versions)
        return current

    async def delete(self, key: str, expected: str | None) -> None:
        """Delete and purge a secret; raises as :meth:`check`, and then nothing is deleted."""
        current = await self.check(key, expected)
        if current is None:
            return
        await delete_only(self._calls, key, lambda deleted: deleted.token == current.token)
        if current.recovery == _NO_SOFT_DELETE:
            return
        try:
            gone = await self._calls.deleted(key, surely=True)
            # Somebody may have recovered, written and deleted it since.
            if gone is not None and (not gone.is_same(current) or gone.mark != self._mark):
                raise changed(key, self._store)
            if not await self._calls.purge(key) and await self._calls.look(key) is not None:
                raise changed(key, self._store)  # and not purged by somebody else
        except SecretSyncError as error:
            raise self._kept(key, error) from None

    def _check_ours(self, key: str, versions: Sequence[About]) -> None:
        others = [each for each in versions if not self._mark or each.mark != self._mark]
        if not others:
            return
        if self._mark:
            whose = f"{plural(len(others), 'version')} of it in {self._store} without this job's mark"
            why = f"there {'is' if len(others) == 1 else 'are'} {whose}, and a purge takes all versions"
        else:
            why = f"this job sets no marks in {self._store}, which would show that every version is its own"
        raise NotOurs(
            f"{key} cannot be deleted for good: {why}", store=self._store, key=key, hint=f"delete it by hand, {_OR}"
        )

    def _kept(self, key: str, error: SecretSyncError) -> StoreError:
        """The error for what is deleted, and not purged. The deletion had its answer, so nothing of it is open."""
        return StoreError(
            f"{key} is deleted in {self._store}, and is not purged: {error.message}",
            store=self._store,
            key=key,
            hint=f"{f'{error.hint}; ' if error.hint else ''}it can still be recovered, or purged by hand: "
            f"az keyvault secret purge --name {key} --vault-name, and the name of the vault",
        )
