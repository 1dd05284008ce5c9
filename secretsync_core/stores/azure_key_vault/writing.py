"""Writes, deletes and brings back. There is no compare-and-set in Key Vault: it is looked, and then written.

A new version has no more beside its value than the request gives it, tags included. So what the version before had is
given to it again, and a write changes the value alone.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import Conflict, SecretNotFound, SecretSyncError, StoreError, StoreUnavailable
from secretsync_core.metadata_rules import metadata_fault
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.stores.azure_key_vault.answers import Request, is_kept_deleted
from secretsync_core.stores.azure_key_vault.calls import invalid
from secretsync_core.stores.azure_key_vault.exchange import Refused
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

    async def write(self, key: str, value: SecretValue) -> str:
        """Make a new version of the secret; create or recover it where that is needed."""
        text = blob_of(value, self._facts, key).decode()
        # Not within the second of the version before: it would have the same token, and hide what was written.
        before, doubt = await self._calls.look(key, settled=True), Doubt()
        if before is None:
            return await self._create(key, text)
        if before.managed:
            raise invalid(key, self._store, "there it belongs to a certificate, and only that can change it")
        found = await doubt.of(self._calls.put(key, text, _carried(before)))
        if isinstance(found, Refused):
            if is_kept_deleted(found.found):  # deleted since we looked: what is written now is created
                return await doubt.of(self._replace(key, text))
            raise found.error(self._request("write", key))
        return found.token

    async def _create(self, key: str, text: str) -> str:
        found = await self._calls.put(key, text, self._creation)
        if not isinstance(found, Refused):
            return found.token
        if is_kept_deleted(found.found):
            return await self._replace(key, text)
        raise found.error(self._request("write", key))

    async def _replace(self, key: str, text: str) -> str:
        """Write in the place of a deleted secret, which Azure allows only once that is recovered."""
        doubt, ours = Doubt(), True
        try:
            await doubt.of(self._calls.recover(key))
        except SecretNotFound:  # somebody was quicker
            ours = False
        before = await doubt.of(self._calls.recovered(key))
        try:
            found = await doubt.of(self._calls.put(key, text, self._creation))
            if isinstance(found, Refused):
                raise doubt.on(found.error(self._request("write", key)))
        except StoreUnavailable:
            raise
        except StoreError:
            if ours:  # what was recovered for a write that then failed must not stay there with its old value
                with contextlib.suppress(StoreError):
                    await self.delete_if(key, before.token)
            raise
        return found.token

    async def delete(self, key: str) -> None:
        """Delete the secret; it can be recovered for as long as the vault says."""
        await self._calls.delete(key)

    async def delete_if(self, key: str, expected: str) -> None:
        """The same, if ``expected`` is the current version; what turns out to be another one is recovered.

        There is no condition on a deletion. But its answer says which version was deleted, and it can be taken back.
        """
        seen = await self._calls.delete(key)
        if seen is None or seen.token == expected:
            return
        doubt = Doubt()
        try:
            await doubt.of(self._calls.recover(key, surely=True))
        except SecretSyncError as error:
            if await doubt.of(self._calls.look(key)) is None:
                raise doubt.on(self._lost(key, error)) from None
        raise self._conflict(key)

    def _lost(self, key: str, error: SecretSyncError) -> StoreError:
        return StoreError(
            f"{key} was written in {self._store} right before its deletion, and is deleted with that value:"
            f" {error.message}",
            store=self._store,
            key=key,
            hint=f"recover it: az keyvault secret recover --name {key} --vault-name, and the name of the vault",
        )

    async def check_undelete(self, key: str, version: str) -> None:
        """Raise what would keep :meth:`undelete` from recovering the secret."""
        seen = await self._calls.deleted(key)
        if seen is None:
            if await self._calls.look(key) is not None:
                raise self._conflict(key)
            raise SecretNotFound(f"{key} is not deleted in {self._store}", store=self._store, key=key)
        if seen.token != version:
            raise self._conflict(key)

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
            raise self._conflict(key)
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

    def _conflict(self, key: str) -> Conflict:
        return Conflict(f"{key} in {self._store} changed meanwhile", store=self._store, key=key)


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
