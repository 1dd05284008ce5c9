"""Tells from a refusal of Key Vault which of our errors it is, and sends people the right way.

A body is looked at for a few known codes and phrases, and is never copied.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import orjson

from secretsync_core.errors import AccessDenied, Conflict, InvalidSecret, SecretFails, StoreError
from secretsync_core.stores.http import CredentialsRefused, by_a_proxy, failing, limited, redirected, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOKED_AT = 16 * 1024  # bytes of a body; errors are far smaller

USER, OFFICER = "Key Vault Secrets User", "Key Vault Secrets Officer"
"""The roles of Azure that permit reading, and everything else, by
https://learn.microsoft.com/azure/key-vault/general/rbac-guide."""


class Request(NamedTuple):
    """What was asked of whom. ``action`` continues ``<store> refuses to``; ``right`` is what an access policy calls it.

    ``key`` is the secret that it is about, if it is about one.
    """

    store: str
    action: str
    right: str
    key: str | None = None

    @property
    def protocol(self) -> str:
        """What the answer is to be."""
        return "Key Vault's API"


class Refusal(NamedTuple):
    """What an error says, as far as it is known here: its codes, and its text in lower case.

    ``is_vaults``: whether it has the form that Key Vault's have. A proxy's are pages, or empty.
    """

    status: int
    code: str = ""
    inner: str = ""
    text: str = ""
    is_vaults: bool = False


def refusal_of(status: int, body: bytes) -> Refusal:
    """Take an error apart. Whatever it holds, this raises nothing."""
    try:
        error = orjson.loads(body[:_LOOKED_AT])["error"]
        code, text = error["code"], error.get("message") or ""
        inner = (error.get("innererror") or {}).get("code") or ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return Refusal(status)
    if not all(isinstance(each, str) for each in (code, text, inner)):
        return Refusal(status)
    return Refusal(status, code, inner, text.lower(), is_vaults=True)


def is_absent(found: Refusal) -> bool:
    """Whether it says that there is no such secret, or no such version."""
    return found.status == 404 and found.is_vaults and found.code == "SecretNotFound"


def is_kept_deleted(found: Refusal) -> bool:
    """Whether it says that a secret of this name is deleted, and has to be recovered first."""
    return found.status == 409 and (
        found.inner == "ObjectIsDeletedButRecoverable" or "deleted but recoverable" in found.text
    )


def is_under_way(found: Refusal) -> bool:
    """Whether it says that the secret is just being deleted or recovered."""
    return found.status == 409 and (
        found.inner in ("ObjectIsBeingDeleted", "ObjectIsBeingRecovered")
        or "being deleted" in found.text
        or "being recovered" in found.text
    )


def is_disabled(found: Refusal) -> bool:
    """Whether it says that the secret, or this version of it, is disabled."""
    return found.status == 403 and (found.inner == "SecretDisabled" or "disabled secret" in found.text)


def error_of(request: Request, found: Refusal, headers: Mapping[str, str]) -> StoreError:
    """The error that a refusal stands for."""
    store, action, _, key = request
    status = found.status
    if status == 429 or (status == 503 and headers.get("Retry-After") is not None):
        return limited(store, "Azure's", key, retry_after(headers.get("Retry-After")))
    if 300 <= status < 400:
        return redirected(
            store, action, status, key,
            hint="check vaultUrl in the SecretStore: something else than Key Vault answers there",
        )  # fmt: skip
    if status >= 500:
        return failing(store, action, status, key, its_own=found.is_vaults)
    if status == 401:
        return CredentialsRefused(
            f"{store} does not take our token (HTTP 401)",
            store=store,
            key=key,
            hint="is the vault in the tenant that we log in to, and authorityHost the one of its cloud?",
        )
    if status == 403:
        return _denied(request, found)
    if is_under_way(found):
        return SecretFails(
            f"{store} is still deleting or recovering {key}", store=store, key=key, hint="sync again in a minute"
        )
    if status == 409 and found.is_vaults:
        return Conflict(f"{key} in {store} changed meanwhile", store=store, key=key)
    if status in (400, 413) and key is not None and found.is_vaults:
        return InvalidSecret(
            f"{store} refuses {key} (HTTP {status})",
            store=store,
            key=key,
            hint="Azure takes its name, its value, or the tags, contentType or times of the SecretStore for wrong; its "
            "answer is not shown, for it may hold the value",
        )
    whose = "" if found.is_vaults else ", and the answer is not Key Vault's"
    return StoreError(
        f"{store} refuses to {action} (HTTP {status}){whose}",
        store=store,
        key=key,
        hint="" if found.is_vaults else "check vaultUrl in the SecretStore, and proxies on the way",
    )


def _denied(request: Request, found: Refusal) -> StoreError:
    store, action, right, key = request
    if is_disabled(found):
        return StoreError(
            f"{key} is disabled in {store}, and what is disabled cannot be read",
            store=store,
            key=key,
            hint="enable it there, or leave it out by exclude",
        )
    if not found.is_vaults:
        return by_a_proxy(store, "Key Vault's", action, found.status, key)
    return AccessDenied(
        f"{store} refuses to {action}: permission denied", store=store, key=key, hint=_way(right, found)
    )


def _way(right: str, found: Refusal) -> str:
    """Who must do what, so that this is permitted. Codes and texts are those that Azure's documents have."""
    role = USER if right in ("get", "list") else OFFICER
    if right == "purge" and re.search("not enabled|not allowed|purge protection", found.text):
        return "the vault has purge protection, and nothing can be purged: leave purgeOnDelete out of its SecretStore"
    if found.inner == "ForbiddenByFirewall" or "client address is not authorized" in found.text:
        return (
            "the vault's firewall must let our address in (Networking), or our network reach it by a private endpoint"
        )
    if found.inner == "ForbiddenByConnection" or "public network access" in found.text:
        return "the vault is closed to public networks: reach it by its private endpoint, or open it (Networking)"
    if found.inner == "ForbiddenByRbac" or "not authorized to perform action" in found.text:
        return f"give our identity the role {role} on the vault; that may take some minutes"
    if found.inner in ("ForbiddenByPolicy", "AccessDenied") or "permission on key vault" in found.text:
        return f"the vault has access policies, and no roles: give our identity the secret permission {right} there"
    return f"give our identity the role {role} on the vault, or where it has access policies the permission {right}"
