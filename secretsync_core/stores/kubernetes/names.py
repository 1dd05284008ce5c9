"""How keys name Secrets: by their names in one namespace, or as ``<namespace>/<name>`` in all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from secretsync_core.errors import InvalidSecret
from secretsync_core.key_rules import key_fault
from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.model.inventory import Gap

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_NAME = 253  # bytes
MAX_NAMESPACE = 63

_LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAMESPACE = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*"

_RULE = "lower-case letters, digits, '-' and '.', with a letter or a digit at both ends and around every '.'"
_HINT = "a keyTransform can change it"

NAME_LIMITS = StoreLimits(max_key_bytes=MAX_NAME, key_pattern=_NAME, key_rule=f"a Secret's name is {_RULE}; {_HINT}")
KEY_LIMITS = StoreLimits(
    max_key_bytes=MAX_NAMESPACE + 1 + MAX_NAME,
    key_pattern=rf"{_NAMESPACE}/{_NAME}",
    key_rule=f"it is not <namespace>/<name>, in which a name is {_RULE}, and a namespace has no '.'; {_HINT}",
)

# What the API server says of the keys of a Secret's data; `..` at the start of one is what it keeps for itself.
FIELD_PATTERN = r"[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,252}|\.[-_a-zA-Z0-9][-._a-zA-Z0-9]{0,251}"
FIELD_RULE = "letters, digits, '-', '_' and '.', at most 253 of them, and neither '.' alone nor '..' in front"


class Place(NamedTuple):
    """Where a Secret stands."""

    namespace: str
    name: str


class Names(Protocol):
    """The keys of one store."""

    @property
    def namespace(self) -> str | None:
        """The one namespace; ``None`` for all."""
        ...

    def key(self, place: Place) -> str:
        """The key of a Secret."""
        ...

    def find(self, key: str) -> Place | None:
        """The Secret that a key names; ``None`` where it can name none."""
        ...

    def scope(self, prefix: str, *, recursive: bool) -> Scope | None:
        """What to list for a folder; ``None`` where nothing can be in it."""
        ...


class Scope(NamedTuple):
    """What one listing asks for: one namespace, or (``None``) all."""

    namespace: str | None


class OneNamespace:
    """Keys are names."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def key(self, place: Place) -> str:
        """The Secret's name."""
        return place.name

    def find(self, key: str) -> Place | None:
        """The Secret of that name."""
        return None if key_fault(key, NAME_LIMITS) else Place(self.namespace, key)

    def scope(self, prefix: str, *, recursive: bool) -> Scope | None:
        """There are no folders."""
        return None if prefix else Scope(self.namespace)


class AllNamespaces:
    """Keys are ``<namespace>/<name>``: the namespaces are folders."""

    namespace = None

    def key(self, place: Place) -> str:
        """Namespace and name."""
        return f"{place.namespace}/{place.name}"

    def find(self, key: str) -> Place | None:
        """The Secret of that namespace and name."""
        if key_fault(key, KEY_LIMITS):
            return None
        namespace, _, name = key.partition("/")
        return Place(namespace, name) if len(name) <= MAX_NAME else None

    def scope(self, prefix: str, *, recursive: bool) -> Scope | None:
        """A folder is a namespace, and there is nothing beside the folders at the top."""
        if not prefix:
            return Scope(None) if recursive else None
        namespace = prefix.removesuffix("/")
        return Scope(namespace) if re.fullmatch(_NAMESPACE, namespace) else None


def place_of(names: Names, key: str, store: str) -> Place:
    """The Secret that a key names. Raises InvalidSecret where it can name none."""
    place = names.find(key)
    if place is None:
        raise invalid(names, key, store)
    return place


def sort_out(names: Names, keys: Collection[str], store: str) -> tuple[dict[Place, str], list[Gap]]:
    """The Secrets that keys name, each with its key, and a Gap for each key that can name none."""
    found = [(key, names.find(key)) for key in keys]
    gaps = [Gap(key, InvalidSecret.code, invalid(names, key, store).message) for key, place in found if place is None]
    return {place: key for key, place in found if place is not None}, gaps


def invalid(names: Names, key: str, store: str) -> InvalidSecret:
    """The error for a key that can name no Secret."""
    if names.namespace is None:
        what, rule, size = "namespace and name of a Secret", KEY_LIMITS.key_rule, f"{MAX_NAMESPACE} and {MAX_NAME}"
    else:
        what, rule, size = "the name of a Secret", NAME_LIMITS.key_rule, str(MAX_NAME)
    return InvalidSecret(
        f"{store} cannot hold the key {key!r}: it is not {what}",
        store=store,
        key=key,
        hint=f"{rule} (at most {size} characters)",
    )
