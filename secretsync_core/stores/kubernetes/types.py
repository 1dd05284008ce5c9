"""What the API server insists on in Secrets of the types that it knows, whoever writes them.

The fields, and that a Docker configuration is a JSON object. What is in a certificate or a key it does not look at.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """The fields that a Secret of a type must have, whatever else it has.

    Attributes:
        all_of: each of these.
        any_of: one of these at the least; none where it is empty.
        filled: those that cannot be empty.
        objects: those that must hold a JSON object.
    """

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


RULES = {
    "kubernetes.io/tls": Rule(all_of=("tls.crt", "tls.key")),
    "kubernetes.io/dockerconfigjson": Rule(all_of=(".dockerconfigjson",), objects=(".dockerconfigjson",)),
    "kubernetes.io/dockercfg": Rule(all_of=(".dockercfg",), objects=(".dockercfg",)),
    "kubernetes.io/ssh-auth": Rule(all_of=("ssh-privatekey",), filled=("ssh-privatekey",)),
    "kubernetes.io/basic-auth": Rule(any_of=("password", "username")),
}
"""By type. A type that is not here is free."""

NEEDED = frozenset(name for rule in RULES.values() for name in (*rule.all_of, *rule.any_of))
"""Every field that some type needs."""
