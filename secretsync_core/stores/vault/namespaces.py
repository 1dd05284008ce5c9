"""Makes sure that a server has namespaces, where a document names one: one that has none answers for its root.

The Community edition of HashiCorp Vault, and OpenBao before 2.3, ignore the header ``X-Vault-Namespace``: login, reads
and writes would all go to the root, and look well. ``sys/health``, which anybody may ask, without a token, tells the
edition or the version. It is asked before the login, so that no credential goes where the document does not say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from secretsync_core.errors import MalformedAnswer, StoreError
from secretsync_core.known import named
from secretsync_core.stores.places import folders
from secretsync_core.stores.vault.answers import Request
from secretsync_core.stores.vault.transport import Answer

if TYPE_CHECKING:
    from secretsync_core.stores.vault.transport import Received, Transport

_NUMBER = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?!\d)")
_ENTERPRISE = ("+ent", "+prem", "+pro")  # what stands in its versions
_FIRST_OF_OPENBAO = 2  # its major version, where Vault without ``enterprise`` in its health ends at 1.15
_SINCE = (2, 3)  # of OpenBao


def names_one(namespace: str | None) -> bool:
    """Whether a document names a namespace other than the root."""
    return folders(namespace or "") not in ("", "root/")


def has_namespaces(health: bytes) -> bool | None:
    """Whether the server that says this of its health has namespaces; ``None`` where it does not tell."""
    try:
        said = orjson.loads(health)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    enterprise, version = said.get("enterprise"), said.get("version")
    if isinstance(enterprise, bool):  # Vault since 1.16
        return enterprise
    if not isinstance(version, str):
        return None
    if any(sign in version for sign in _ENTERPRISE):
        return True
    number = _NUMBER.match(version)
    if number is None or number[1] == "0":
        return None  # of a build that somebody made
    major, minor = int(number[1]), int(number[2])
    return major >= _FIRST_OF_OPENBAO and (major, minor) >= _SINCE


async def before_login(transport: Transport) -> bytes:
    """The server's health. Raises StoreError where it tells that there are no namespaces, or where nobody answers."""
    health = await transport.health(needed=_request(transport))
    if has_namespaces(health) is False:
        instead = f": it would answer for its root in place of {named(transport.namespace or '')}"
        raise StoreError(
            f"{transport.store} has no namespaces{instead if transport.namespace else ''}",
            store=transport.store,
            hint="leave namespace out; Vault Enterprise, HCP Vault and OpenBao 2.3 and newer have namespaces",
        )
    return health


async def after_login(transport: Transport, health: bytes) -> None:
    """Where health has not told: let the answers so far, or our token, show that there are namespaces.

    OpenBao on raft names its cluster since 2.7, and a token that belongs to a namespace says to which. Raises
    StoreError where they do not show it either.
    """
    if has_namespaces(health) or transport.cluster:
        return
    found = await transport.system("stat", "auth/token/lookup-self", _request(transport), _namespace_of_token)
    if isinstance(found, Answer) or not found:
        raise StoreError(
            f"nothing tells whether {transport.store} has namespaces: it may answer for its root in place of"
            f" {named(transport.namespace or '')}, so nothing is asked of it",
            store=transport.store,
            hint="let us ask its sys/health, which takes no token, or log in with a token of that namespace",
        )


def _request(transport: Transport) -> Request:
    return Request(transport.store, transport.mount, "tell whether it has namespaces", namespace=transport.namespace)


def _namespace_of_token(received: Received) -> str:
    try:
        return received.data().text("namespace_path")
    except MalformedAnswer:  # a server without namespaces does not have it, nor has a token of the root
        return ""
