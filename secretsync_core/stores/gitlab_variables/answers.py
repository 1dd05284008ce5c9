"""Tells from a refusal of GitLab which of our errors it is, and sends people the right way.

A body is looked at for a few known phrases and is never copied: it may quote what was sent.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import orjson

from secretsync_core.errors import AccessDenied, Conflict, InvalidSecret, QuotaReached, StoreError
from secretsync_core.stores.http import (
    CredentialsRefused,
    by_a_proxy,
    date_of,
    failing,
    limited,
    redirected,
    retry_after,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.errors import RateLimited
    from secretsync_core.stores.gitlab_variables.scope import Scope

_LOOKED_AT = 4096  # bytes of a body; the phrases stand at its start
_DIGITS = 12


class Request(NamedTuple):
    """What was asked of whom. ``action`` continues the sentence ``<store> refuses to``."""

    store: str
    scope: Scope
    action: str
    key: str | None = None

    @property
    def protocol(self) -> str:
        """What the answer is to be."""
        return "GitLab's API"


def is_gitlabs(body: bytes) -> bool:
    """Whether a refusal has the form that GitLab's have: a proxy's are pages, or empty."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and bool({"message", "error"} & answer.keys())


def says_no_variable(body: bytes) -> bool:
    """Whether the body of a 404 is about one variable, and not about all that holds it (lib/api, ``not_found!``)."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        return False
    message = answer.get("message") if isinstance(answer, dict) else None
    return isinstance(message, str) and message.lower().endswith("variable not found")


def refusal(request: Request, status: int, body: bytes, headers: Mapping[str, str]) -> StoreError:
    """The error that an answer other than success stands for."""
    text = body[:_LOOKED_AT].lower()
    store, scope, action, key = request
    if status == 429:
        return _limited(request, headers)
    if 300 <= status < 400:
        return redirected(
            store, action, status, key,
            hint=f"check the address, with https://; or the {scope.holder} has another path by now",
        )  # fmt: skip
    if status >= 500:
        return failing(store, action, status, key, its_own=is_gitlabs(body))
    if status in (401, 403, 404) and not is_gitlabs(body):
        return by_a_proxy(
            store, "GitLab's", action, status, key,
            hint="a proxy or firewall in front of it must let this request through, or GitLab bars our IP address",
        )  # fmt: skip
    if status == 401:
        return CredentialsRefused(
            f"{store} does not take our token",
            store=store,
            key=key,
            hint="it has expired or was revoked, or it is the token of a job, which may not touch variables",
        )
    if status == 403:
        return AccessDenied(
            f"{store} refuses to {action}: permission denied", store=store, key=key, hint=_way(request, text)
        )
    if status == 404:
        return hidden(request)
    if status == 409:
        return Conflict(f"{key or scope.holder} in {store} changed meanwhile", store=store, key=key)
    if key is not None and status == 400 and b"has already been taken" in text:
        return Conflict(f"{key} is in {store} already", store=store, key=key)
    if key is not None and status == 400 and b"maximum number of" in text:
        return QuotaReached(
            f"{store} has no room for {key}: the {scope.holder} has as many variables as GitLab allows",
            store=store,
            key=key,
            hint="delete variables that nobody needs, or combine several values into one",
        )
    if key is not None and status in (400, 413, 414, 422):
        return InvalidSecret(
            f"{store} refuses {key} (HTTP {status})",
            store=store,
            key=key,
            hint=_unfit(text),
        )
    return StoreError(f"{store} refuses to {action} (HTTP {status})", store=store, key=key)


def hidden(request: Request) -> StoreError:
    """The error for a 404 about all of a place: it is not there, or we may not know of it."""
    scope = request.scope
    return AccessDenied(
        f"{request.store} refuses to {request.action}: there is no {scope.holder}, or our token may not see it",
        store=request.store,
        key=request.key,
        hint=f"check its path; if it is right, {_grant(request)}",
    )


def _unfit(text: bytes) -> str:
    if b"visibility setting" in text or b"updating masked" in text:
        return "it is hidden in GitLab, and stays so: delete it there first, or leave it to visibility: Hidden"
    return "GitLab rejects its name, its value or a setting; the answer is not shown, because it may hold the value"


def _way(request: Request, text: bytes) -> str:
    if b"insufficient_scope" in text or b"insufficient_granular_scope" in text:
        return "our token needs the scope api"
    return _grant(request)


def _grant(request: Request) -> str:
    return f"our token needs the scope api, and {request.scope.role}"


def _limited(request: Request, headers: Mapping[str, str]) -> RateLimited:
    """By doc/administration/settings/user_and_ip_rate_limits.md: Retry-After in seconds, or RateLimit-Reset."""
    wait = retry_after(headers.get("Retry-After"))
    reset = headers.get("RateLimit-Reset", "")
    if wait is None and reset.isascii() and reset.isdecimal() and len(reset) <= _DIGITS:
        # By GitLab's own clock, for ours may be wrong; a second more, for both cut fractions off.
        now = date_of(headers.get("Date", "")) or datetime.now(UTC)
        wait = max(0.0, float(reset) - now.timestamp() + 1.0)
    return limited(request.store, "GitLab's", request.key, wait)
