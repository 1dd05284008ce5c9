"""The types of Secrets: what the API server insists on in those that it knows, and which type a new Secret gets.

It insists on fields, and that a Docker configuration is a JSON object. What is in a certificate or a key it does not
look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection


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

OPAQUE = "Opaque"

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
    rule = RULES.get(source, Rule())
    whole = set(rule.all_of) <= set(fields) and (not rule.any_of or not set(rule.any_of).isdisjoint(fields))
    return source if whole else OPAQUE
