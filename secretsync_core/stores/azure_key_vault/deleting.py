"""Deletes one version and no other. There is no condition on a deletion, but its answer says which version it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import SecretSyncError, StoreError
from secretsync_core.stores.azure_key_vault.faults import changed
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsync_core.stores.azure_key_vault.calls import Calls
    from secretsync_core.stores.azure_key_vault.seen import About


async def delete_only(calls: Calls, key: str, is_meant: Callable[[About], bool]) -> None:
    """Delete a secret whose current version is the one that is meant.

    Raises Conflict where it turns out to be another one, which is recovered.
    """
    seen = await calls.delete(key)
    if seen is None or is_meant(seen):
        return
    doubt = Doubt()
    try:
        await doubt.of(calls.recover(key, surely=True))
    except SecretSyncError as error:
        if not await _is_there(calls, key):
            raise doubt.on(_lost(calls.store, key, error)) from None
    raise changed(key, calls.store)


async def _is_there(calls: Calls, key: str) -> bool:
    try:
        return await calls.look(key) is not None
    except SecretSyncError:
        return False


def _lost(store: str, key: str, error: SecretSyncError) -> StoreError:
    return StoreError(
        f"{key} was written in {store} right before its deletion, and is deleted with that value: {error.message}",
        store=store,
        key=key,
        hint=f"recover it: az keyvault secret recover --name {key} --vault-name, and the name of the vault",
    )
