"""Writes, deletes and brings back. There is no compare-and-set in Key Vault: it is looked, and then written.

A new version has no more beside its value than the request gives it, tags included. So what the version before had is
given to it again, and a write changes the value alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.errors import SecretNotFound
from secretsync_core.metadata_rules import metadata_fault
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.stores.azure_key_vault.answers import Request, is_kept_deleted
from secretsync_core.stores.azure_key_vault.deleting import delete_only
from secretsync_core.stores.azure_key_vault.exchange import Refused
from secretsync_core.stores.azure_key_vault.faults import changed, invalid, of_certificate
from secretsync_core.stores.azure_key_vault.purging import Purging
from secretsync_core.stores.azure_key_vault.replacing import Replacing
from secretsync_core.stores.azure_key_vault.seen import moment, seconds_of
from secretsync_core.stores.azure_key_vault.tags import MARK
from secretsync_core.stores.fit import blob_of
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.metadata import Described
    from secretsync_core.secret import SecretValue
    from secretsync_core.stores.azure_key_vault.calls import Calls
    from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
    from secretsync_core.stores.azure_key_vault.seen import About


class Writing:
    """The writing half of one store."""

    def __init__(self, calls: Calls, config: AzureKeyVaultConfig, mark: str, facts: StoreFacts) -> None:
        self._calls = calls
        self._facts = facts
        self._store = facts.name
        self._mark = {MARK: mark} if mark else {}
        self._creation = _beside(asked_of(config), self._mark)
        self._replacing = Replacing(calls)
        self._purging = Purging(calls, mark) if config.purge_on_delete else None

    async def write(self, key: str, value: SecretValue) -> str:
        """Make a new version of the secret; create or recover it where that is needed."""
        text = blob_of(value, self._facts, key).decode()
        # Not within the second of the version before: it would have the same token, and hide what was written.
        before = await self._calls.look(key, settled=True)
        if before is not None and before.managed:
            raise of_certificate(key, self._store)
        found = await self._calls.put(key, text, self._creation if before is None else _carried(before))
        if not isinstance(found, Refused):
            return found.token
        if is_kept_deleted(found.found):  # perhaps since we looked: what is written now is created
            return await Doubt(unanswered=found.unanswered).of(self._replacing.write(key, text, self._creation))
        raise found.error(self._request("write", key))

    async def delete(self, key: str) -> None:
        """Delete the secret; it can be recovered for as long as the vault says, unless it is to be purged."""
        if self._purging is not None:
            await self._purging.delete(key, None)
        else:
            await self._calls.delete(key)

    async def check_delete(self, key: str, expected: str) -> None:
        """Raise what would keep a secret from being purged, where it is to be."""
        if self._purging is not None:
            await self._purging.check(key, expected)

    async def delete_if(self, key: str, expected: str) -> None:
        """The same, if ``expected`` is the current version; what turns out to be another one is recovered."""
        if self._purging is not None:
            await self._purging.delete(key, expected)
        else:
            await delete_only(self._calls, key, lambda deleted: deleted.token == expected)

    async def check_undelete(self, key: str, version: str) -> None:
        """Raise what would keep :meth:`undelete` from recovering the secret."""
        seen = await self._calls.deleted(key)
        if seen is None:
            if await self._calls.look(key) is not None:
                raise changed(key, self._store)
            raise SecretNotFound(f"{key} is not deleted in {self._store}", store=self._store, key=key)
        if seen.token != version:
            raise changed(key, self._store)

    async def undelete(self, key: str, version: str) -> str:
        """Recover a deleted secret, with all its versions."""
        await self.check_undelete(key, version)
        doubt = Doubt()
        await doubt.of(self._calls.recover(key))
        return (await doubt.of(self._calls.recovered(key))).token

    async def mark(self, key: str) -> None:
        """Tag a secret as ours."""
        seen = await self._there(key)
        self._check_fits(seen, {Slot(Kind.TAG, name): text for name, text in self._mark.items()})
        await self._calls.patch(key, seen.id, {"tags": {**seen.tags, **self._mark}})

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str:
        """Set tags, content type, times and whether it is enabled. None of it makes a version."""
        seen = await self._there(key)
        if version is not None and seen.token != version:
            raise changed(key, self._store)
        self._check_fits(seen, wanted)
        given = _beside(wanted, {})
        if "tags" in given:
            given = {**given, "tags": {**seen.tags, **given["tags"]}}
        await self._calls.patch(key, seen.id, given)
        return seen.token

    async def _there(self, key: str) -> About:
        seen = await self._calls.look(key)
        if seen is None:
            raise SecretNotFound(f"{key} does not exist in {self._store}", store=self._store, key=key)
        return seen

    def _check_fits(self, seen: About, wanted: Described) -> None:
        found = {Slot(Kind.TAG, name): text for name, text in seen.tags.items()}
        rules = self._facts.metadata
        ours = {slot: text for slot, text in wanted.items() if slot.name != MARK}
        fault = metadata_fault(ours, {**found, **wanted}, rules)
        if fault:
            raise invalid(seen.key, self._store, fault)

    def _request(self, action: str, key: str) -> Request:
        return Request(self._store, f"{action} {key}", "set", key)


def asked_of(config: AzureKeyVaultConfig) -> Described:
    """What a document wants beside the value of every secret of a job."""
    asked = {Slot(Kind.TAG, name): text for name, text in config.tags.items()}
    if config.content_type is not None:
        asked[Slot(Kind.CONTENT_TYPE)] = config.content_type
    if config.enabled is not None:
        asked[Slot(Kind.ENABLED)] = "true" if config.enabled else "false"
    if config.not_before is not None:
        asked[Slot(Kind.NOT_BEFORE)] = moment(int(config.not_before.timestamp()))
    if config.expires is not None:
        asked[Slot(Kind.EXPIRES)] = moment(int(config.expires.timestamp()))
    return asked


def _beside(wanted: Described, tags: Mapping[str, str]) -> dict[str, Any]:
    """Pieces of metadata as a request has them."""
    given: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    tagged = {**{slot.name: text for slot, text in wanted.items() if slot.kind is Kind.TAG}, **tags}
    if tagged:
        given["tags"] = tagged
    for slot, text in wanted.items():
        if slot.kind is Kind.CONTENT_TYPE:
            given["contentType"] = text
        elif slot.kind is Kind.ENABLED:
            attributes["enabled"] = text == "true"
        elif slot.kind is Kind.NOT_BEFORE:
            attributes["nbf"] = seconds_of(text)
        elif slot.kind is Kind.EXPIRES:
            attributes["exp"] = seconds_of(text)
    return {**given, "attributes": attributes} if attributes else given


def _carried(seen: About) -> dict[str, Any]:
    """What a new version takes over from the one before."""
    attributes: dict[str, Any] = {"enabled": seen.enabled}
    if seen.not_before is not None:
        attributes["nbf"] = seen.not_before
    if seen.expires is not None:
        attributes["exp"] = seen.expires
    given: dict[str, Any] = {"attributes": attributes}
    if seen.tags:
        given["tags"] = dict(seen.tags)
    if seen.content_type:
        given["contentType"] = seen.content_type
    return given
