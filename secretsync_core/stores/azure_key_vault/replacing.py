"""Writes in the place of a deleted secret, which Azure allows only once that is recovered.

From the recovery to the write it is live again, with the value that somebody wanted gone. So whatever keeps us from
writing, what we have recovered is deleted again, or the error says that it is live.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from secretsync_core.endurance import GOODBYE_SECONDS
from secretsync_core.errors import Conflict, SecretNotFound, SecretSyncError, StoreError
from secretsync_core.stores.azure_key_vault.answers import Request, is_kept_deleted
from secretsync_core.stores.azure_key_vault.deleting import delete_only
from secretsync_core.stores.azure_key_vault.exchange import Refused
from secretsync_core.stores.azure_key_vault.faults import changed, of_certificate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.azure_key_vault.calls import Calls
    from secretsync_core.stores.azure_key_vault.seen import About


class Replacing:
    """The writes of one store to names that are deleted."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._store = calls.store

    async def write(self, key: str, text: str, beside: Mapping[str, Any]) -> str:
        """Recover the secret and write a new version; gives its token.

        Raises Conflict where somebody else has recovered it, or has written or deleted it after we had: then it is
        theirs.
        """
        gone = await self._calls.deleted(key)
        if gone is None:
            raise changed(key, self._store)
        if gone.managed:
            raise of_certificate(key, self._store)
        try:
            ours = await self._calls.recover(key)
        except SecretNotFound:
            raise changed(key, self._store) from None
        except StoreError as error:
            if error.unanswered:
                await self._tell_unless_deleted(key, error)
            raise
        try:
            written = await self._put(key, text, beside, ours or gone)
        except (Exception, asyncio.CancelledError) as error:
            await self._take_back(key, ours, gone, error)
            raise
        if written is None:
            raise changed(key, self._store)
        return written

    async def _put(self, key: str, text: str, beside: Mapping[str, Any], recovered: About) -> str | None:
        """Write over what was recovered. None where it is so no longer."""
        try:
            before = await self._calls.recovered(key)
        except SecretSyncError as error:
            error.unanswered = False  # nothing of ours has been sent so far
            raise
        if not before.is_same(recovered):
            return None
        found = await self._calls.put(key, text, beside)
        if not isinstance(found, Refused):
            return found.token
        if is_kept_deleted(found.found) and not found.unanswered:
            return None
        raise found.error(Request(self._store, f"write {key}", "set", key))

    async def _take_back(self, key: str, ours: About | None, gone: About, error: BaseException) -> None:
        """Delete again what was recovered for a write that then failed, and nothing else.

        Where nobody knows who has recovered it (``ours`` is None), or somebody has changed it since, it is left alone.
        """
        live = False
        # Who is cancelled has to end soon.
        with contextlib.suppress(SecretSyncError, TimeoutError):
            async with asyncio.timeout(None if isinstance(error, Exception) else GOODBYE_SECONDS):
                seen = await self._calls.recovered(key)
                if not seen.is_same(gone):
                    return  # somebody has written since, or our own write was carried out after all
                live = True
                if ours is not None and (seen.tags, seen.enabled) == (ours.tags, ours.enabled):
                    with contextlib.suppress(Conflict):  # the same, in that very moment
                        await delete_only(self._calls, key, lambda deleted: deleted.is_same(ours))
                    return
        _tell(key, error, live=live)

    async def _tell_unless_deleted(self, key: str, error: StoreError) -> None:
        """Have the error of a recovery that may have been carried out say so."""
        with contextlib.suppress(SecretSyncError):
            if await self._calls.deleted(key) is not None:
                return
        _tell(key, error, live=False)


def _tell(key: str, error: BaseException, *, live: bool) -> None:
    """Have an error say that the old value is there; ``live``: that it is so for sure."""
    if isinstance(error, StoreError):
        is_live = "is live" if live else "may be live"
        error.message += f"; {key} was deleted, had to be recovered to be written, and {is_live} with its old value"
        error.args = (error.message,)
        error.hint = (
            f"where it is not to be live, delete it: az keyvault secret delete --name {key} --vault-name, and the name "
            f"of the vault{f'; then {error.hint}' if error.hint else ''}"
        )
