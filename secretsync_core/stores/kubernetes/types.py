"""The types of Secrets: what the API server insists on in those that it knows, and which type a new Secret gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

OPAQUE = "Opaque"

_NEEDED: dict[str, tuple[frozenset[str], ...]] = {
    "kubernetes.io/tls": (frozenset({"tls.crt"}), frozenset({"tls.key"})),
    "kubernetes.io/dockerconfigjson": (frozenset({".dockerconfigjson"}),),
    "kubernetes.io/dockercfg": (frozenset({".dockercfg"}),),
    "kubernetes.io/ssh-auth": (frozenset({"ssh-privatekey"}),),
    "kubernetes.io/basic-auth": (frozenset({"username", "password"}),),
}
"""One field of each group at the least. It is what the API server itself checks."""

NEEDED = frozenset(name for groups in _NEEDED.values() for group in groups for name in group)
"""Every field that some type needs."""

_BOUND = frozenset({"kubernetes.io/service-account-token"})
"""Types of what belongs to another object of its own cluster: the copy is plain data."""


def type_of_new(document: str | None, source: str, fields: Collection[str]) -> str:
    """The type of a Secret that is created: the document's, or that of the Secret it is a copy of, or Opaque.

    Opaque is also what has lost fields on its way that its type needs.
    """
    if document is not None:
        return document
    if not source or source in _BOUND:
        return OPAQUE
    whole = all(not group.isdisjoint(fields) for group in _NEEDED.get(source, ()))
    return source if whole else OPAQUE
