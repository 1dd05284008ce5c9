"""What the API server insists on in Secrets of the types that it knows, whoever writes them.

The fields, and that a Docker configuration is a JSON object. What is in a certificate or a key it does not look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.model.capabilities import Needs, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = {
    "kubernetes.io/tls": Needs(all_of=("tls.crt", "tls.key")),
    "kubernetes.io/dockerconfigjson": Needs(all_of=(".dockerconfigjson",), objects=(".dockerconfigjson",)),
    "kubernetes.io/dockercfg": Needs(all_of=(".dockercfg",), objects=(".dockercfg",)),
    "kubernetes.io/ssh-auth": Needs(all_of=("ssh-privatekey",), filled=("ssh-privatekey",)),
    "kubernetes.io/basic-auth": Needs(any_of=("password", "username")),
}

NEEDED = frozenset(name for needs in _TYPES.values() for name in (*needs.all_of, *needs.any_of))
"""Every field that some type needs."""


def needs_of(kind: str) -> Needs | None:
    """What a Secret of a type needs; ``None`` where it is free."""
    needs = _TYPES.get(kind)
    return needs.of(f"a Secret of type {kind}") if needs is not None else None


def standing_of(secret: Mapping[str, Any]) -> Standing | None:
    """What a Secret says of the data that can be put in the place of its own; ``None`` where it says nothing."""
    kind = secret.get("type")
    needs = needs_of(kind) if isinstance(kind, str) else None
    if secret.get("immutable") is True:
        return Standing("that Secret is immutable", "delete it there, and the next sync creates it anew", needs)
    return Standing(needs=needs) if needs is not None else None
