"""Tells from a refusal of GitHub which of our errors it is, and sends people the right way.

A body is looked at for a few known phrases and is never copied. Of headers only words are shown that we know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from secretsync_core.errors import AccessDenied, Conflict, InvalidSecret, StoreError
from secretsync_core.stores.github_secrets.limits import wait_of
from secretsync_core.stores.github_secrets.scope import PERMISSIONS, shown
from secretsync_core.stores.http import CredentialsRefused, by_a_proxy, failing, limited, redirected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.github_secrets.scope import Scope

_LOOKED_AT = 4096  # bytes of a body; the phrases stand at its start

_SCOPES = frozenset({"repo", "public_repo", "admin:org", "write:org", "read:org", "codespace", "codespace:secrets"})
_LEVELS = frozenset({"read", "write", "admin"})


class Request(NamedTuple):
    """What was asked of whom. ``action`` continues the sentence ``<store> refuses to``; ``level`` is what it takes."""

    store: str
    scope: Scope
    action: str
    key: str | None = None
    level: str = "read"

    @property
    def protocol(self) -> str:
        """What the answer is to be."""
        return "GitHub's API"


def is_githubs(body: bytes) -> bool:
    """Whether a refusal has the form that GitHub's have: a proxy's are pages, or empty."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and isinstance(answer.get("message"), str)


def refusal(request: Request, status: int, body: bytes, headers: Mapping[str, str]) -> StoreError:
    """The error that an answer other than success stands for."""
    text = body[:_LOOKED_AT].lower()
    store, scope, action, key, _ = request
    wait = wait_of(status, headers, text)
    if wait is not None:
        return limited(store, "GitHub's", key, wait)
    if 300 <= status < 400:
        holder, field = scope.whole.holder, scope.whole.field
        return redirected(
            store, action, status, key,
            hint=f"the {holder} was renamed or transferred: give its new name as {field} in the SecretStore",
        )  # fmt: skip
    if status >= 500:
        return failing(store, action, status, key, its_own=is_githubs(body))
    if status in (401, 403) and not is_githubs(body):
        return by_a_proxy(store, "GitHub's", action, status, key)
    if status == 401:
        return CredentialsRefused(
            f"{store} does not take our credentials",
            store=store,
            key=key,
            hint="they have expired, or were revoked, or the App's installation is suspended",
        )
    if status == 403:
        return AccessDenied(
            f"{store} refuses to {action}: permission denied", store=store, key=key, hint=_way(request, text, headers)
        )
    if status == 404:
        return hidden(request)
    if status == 409:
        return Conflict(f"{key} in {store} changed meanwhile", store=store, key=key)
    if status in (400, 413, 422) and key is not None:
        return InvalidSecret(
            f"{store} refuses {key} (HTTP {status})",
            store=store,
            key=key,
            hint="GitHub rejects its name or its value; the answer is not shown, because it may hold the value",
        )
    return StoreError(f"{store} refuses to {action} (HTTP {status})", store=store, key=key)


def hidden(request: Request) -> StoreError:
    """The error for a 404 about all of a place: it is not there, or we may not know of it."""
    store, key, field, grant = request.store, request.key, request.scope.field, _grant(request)
    what = f"{store} refuses to {request.action}: there is no {request.scope.holder}, or our token may not see it"
    if field == "environment":
        return AccessDenied(
            what,
            store=store,
            key=key,
            hint=f"make the environment in the repository's settings, or check its name; if it is there, {grant}",
        )
    return AccessDenied(what, store=store, key=key, hint=f"check {field} in the SecretStore; if it is right, {grant}")


def _way(request: Request, text: bytes, headers: Mapping[str, str]) -> str:
    if headers.get("X-GitHub-SSO", "").startswith("required"):
        return (
            "authorize the token for single sign-on of the organization: "
            "Settings, Developer settings, the token, Configure SSO"
        )
    if b"ip allow list" in text:
        return "the organization's list of allowed IP addresses must have ours"
    if b"archived" in text:
        return "the repository is archived, so nothing can be written there"
    if b"by integration" in text and not request.scope.by_app:
        return (
            "auth.token is of an App, perhaps the GITHUB_TOKEN of a workflow, which may not touch secrets: use "
            f"auth.app, or {_grant(request)}"
        )
    permissions = _permissions(headers.get("X-Accepted-GitHub-Permissions", ""))
    return _grant(request, permissions, _scopes(headers.get("X-Accepted-OAuth-Scopes", "")))


def _grant(request: Request, permissions: str = "", scopes: str = "") -> str:
    """Who has to be granted what, by what GitHub says would do, or else by its documentation."""
    scope = request.scope
    needed = permissions or shown(scope.permission, request.level)
    if scope.by_app:
        return (
            f"grant the App of auth.app the permission {needed}, and have its installation accept that: until then "
            "it has what it had"
        )
    return (
        f"grant the token of auth.token the permission {needed}, or where it is a classic one the scope "
        f"{scopes or scope.oauth}"
    )


def _permissions(header: str) -> str:
    """Such as ``Secrets: Read and write``, or several of which all, or any, are needed; empty for an unknown word."""
    ways = [[each.strip().partition("=") for each in way.split(",")] for way in header.split(";")]
    if not all(name in PERMISSIONS and level in _LEVELS for way in ways for name, _, level in way):
        return ""
    return " or ".join(" and ".join(shown(name, level) for name, _, level in way) for way in ways)


def _scopes(header: str) -> str:
    found = [each.strip() for each in header.split(",")]
    return " or ".join(found) if all(each in _SCOPES for each in found) else ""
