"""Tells from a refusal of Vault which of our errors it is.

A body is looked at for a few known phrases and is never copied: some servers and proxies echo what they were sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import orjson

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    RateLimited,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.known import named
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.http import Unhealable, failing, refuses, retry_after, undecided

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.answers import Part

_LOOKED_AT = 4096  # bytes of a body; the phrases stand at its start

CAS_MISMATCH = b"check-and-set parameter did not match"
TOO_COMPLEX = b"due to high complexity"
CAS_REQUIRED = b"check-and-set parameter required"
NO_ROUTE = b"no handler for route"
NO_NAMESPACE = b"namespace not found"
VERSIONED = b"nvalid path for a versioned"  # what version 2 says of a path that only version 1 has
NO_FIELDS = b"missing data fields"  # what version 1 says of a write of nothing
NO_DATA = b"no data provided"  # what version 2 says of it
NO_SUCH_NUMBER = b"ield validation failed"  # what version 2 says of a version that is no number


class Request(NamedTuple):
    """What was asked of whom, for the text of an error. ``action`` continues the sentence ``<store> refuses to``."""

    store: str
    mount: str
    action: str
    key: str | None = None
    namespace: str | None = None

    @property
    def protocol(self) -> str:
        """What the answer is to be."""
        return "Vault's protocol"


LOCKED = b"access to this namespace has been locked"
"""How a server says that somebody has locked the API of a namespace, in lower case."""


class NoMount(StoreError):
    """Nothing is mounted there. Never raised in doubt: a server that hides a mount says something else."""


def is_vaults(body: bytes) -> bool:
    """Whether a refusal has the form that Vault's have: a proxy's are pages, or empty."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and ("errors" in answer or "request_id" in answer)


def wrong_version(request: Request, found: Literal[1, 2]) -> StoreError:
    """The error for a mount that runs another version than it was asked by."""
    return StoreError(
        f"{request.store} runs KV version {found} at {named(request.mount)}, and not version {3 - found}",
        store=request.store,
        key=request.key,
        hint=f"leave kvVersion out of the SecretStore, or set it to {found}",
    )


def refusal(request: Request, status: int, body: bytes, headers: Mapping[str, str]) -> StoreError:
    """The error that an answer other than what was asked for stands for."""
    text = body[:_LOOKED_AT].lower()
    store, _, action, key, _ = request
    if not refuses(status):
        return undecided(request, status)
    if status == 429:
        return RateLimited(
            f"{store} asks us to slow down", store=store, key=key, retry_after=retry_after(headers.get("Retry-After"))
        )
    if status in (401, 403) and not is_vaults(body):
        return AccessDenied(
            f"{store} refuses to {action} (HTTP {status}), and the answer is not Vault's",
            store=store,
            key=key,
            hint="a proxy or firewall in front of it must let LIST and SCAN through, or GET with ?list=true and ?scan"
            if action.startswith("list ")
            else "a proxy or firewall in front of it must let this request through",
        )
    if status in (401, 403):
        return AccessDenied(
            f"{store} refuses to {action}: permission denied",
            store=store,
            key=key,
            hint=f"the policies of our token must allow this on mount {named(request.mount)}",
        )
    if 300 <= status < 400:
        # Not followed: it would hand our token to whichever address the answer names.
        return StoreUnavailable(
            f"{store} answers with a redirect (HTTP {status})",
            store=store,
            key=key,
            hint="give the address of the active node, or of a load balancer that finds it",
        )
    if status < 500:
        return _client_error(request, status, text)
    if b"too large" in text and b"value" in text:
        return _too_large(request)
    if b"relative path" in text and key is not None and ".." in key:  # HashiCorp Vault, of a key in KV version 1
        return InvalidSecret(f"{store} refuses the key {key!r}", store=store, key=key, hint="it takes no '..' in a key")
    if LOCKED in text:
        # Its own administrators may do that, and those of the namespaces around it: no retry helps.
        return AccessDenied(
            f"{store} refuses to {action}: the namespace {named(request.namespace or '')} is locked",
            store=store,
            key=key,
            hint="whoever has locked it can unlock it: sys/namespaces/api-lock/unlock",
        )
    if b"sealed" in text:
        return StoreUnavailable(f"{store} is sealed", store=store, key=key, hint="unseal it")
    return failing(store, action, status, key, its_own=is_vaults(body))


def _client_error(request: Request, status: int, text: bytes) -> StoreError:
    store, mount, action, key, namespace = request
    if status == 412 or b"upgrading from non-versioned" in text or b"waiting for the primary to upgrade" in text:
        return StoreUnavailable(f"{store} is not ready to {action} (HTTP {status})", store=store, key=key)
    if CAS_MISMATCH in text:
        return Conflict(f"{key} in {store} changed meanwhile", store=store, key=key)
    if CAS_REQUIRED in text:
        return StoreError(f"{store} takes {key} only with check-and-set", store=store, key=key)
    if status == 413:
        return _too_large(request)
    if TOO_COMPLEX in text:
        return InvalidSecret(
            f"{store} refuses {key}: too many fields",
            store=store,
            key=key,
            hint="split the secret, or raise max_request_json_strings in the server's listener",
        )
    if VERSIONED in text:
        return wrong_version(request, 2)
    if NO_FIELDS in text:
        return InvalidSecret(f"{store} cannot hold {key}: it has no fields", store=store, key=key)
    if NO_ROUTE in text:
        return NoMount(
            f"{store} has no mount {named(mount)}",
            store=store,
            key=key,
            hint="check mount and namespace in the SecretStore",
        )
    if NO_NAMESPACE in text:
        return StoreError(f"{store} has no namespace {named(namespace or '')}", store=store, key=key)
    if b"client sent an http request to an https server" in text:
        return Unhealable(f"{store} speaks HTTPS only", store=store, hint="its address should start with https://")
    if status == 400 and not text and key is not None:
        return InvalidSecret(
            f"{store} refuses the key {key!r}", store=store, key=key, hint="it has a character that Vault cannot hold"
        )
    return StoreError(f"{store} refuses to {action} (HTTP {status})", store=store, key=key)


def _too_large(request: Request) -> InvalidSecret:
    return InvalidSecret(f"{request.store} refuses {request.key}: too large", store=request.store, key=request.key)


def says_nothing(root: Part) -> bool:
    """Whether a SCAN has nothing to say, as of an empty folder: that is an answer of the server's own all the same."""
    if root.part("data").fields or not root.text("request_id"):
        return False
    without_a_word(root)
    return True


def without_a_word(root: Part) -> None:
    """Raise MalformedAnswer where an answer that holds nothing comes with a warning: it was not asked what we asked.

    An empty folder is told without one, by every version of both servers.
    """
    if root.has("warnings") and root.items("warnings"):
        raise malformed(root.call, "it holds nothing but a warning")
