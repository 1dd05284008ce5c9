"""Where a store's secrets are, so that two documents that name one place are known to."""

from __future__ import annotations

import hashlib
import json
import re
from typing import NamedTuple, TypeGuard


class Place(NamedTuple):
    """The place of a store: two stores that hold the same secrets have the same one, whatever they are called.

    Attributes:
        service: what kind of service it is, such as ``vault``; stores of one service have keys of one form.
        server: where the service is, as declared and normalised: an address, a region. No credential.
        root: what stands before every key there, the separator included: ``team/secret/``. The address of a key is
            this text and the key in one.
        identity: what the server is by its own account: an alias of a cluster's id, an account's number; empty where
            it does not tell, or was not asked.
    """

    service: str
    server: str
    root: str
    identity: str = ""

    def is_on_server_of(self, other: Place) -> bool:
        """Whether both are on one server: by what it calls itself, or else by what was declared."""
        if self.service != other.service:
            return False
        if self.identity and other.identity:
            return self.identity == other.identity
        return self.server == other.server

    def is_same(self, other: Place) -> bool:
        """Whether both are one and the same."""
        return self.root == other.root and self.is_on_server_of(other)

    def key_at(self, other: Place, key: str) -> str | None:
        """What the secret that ``other`` calls ``key`` is called here; None where it is not within this place."""
        if not self.is_on_server_of(other):
            return None
        address = other.root + key
        return address[len(self.root) :] if address.startswith(self.root) and len(address) > len(self.root) else None

    def overlaps(self, other: Place) -> bool:
        """Whether a secret could be within both."""
        return self.is_on_server_of(other) and (self.root.startswith(other.root) or other.root.startswith(self.root))

    def __str__(self) -> str:
        """For people: ``vault https://vault:8200 team/secret/ (a1b2...)``."""
        told = " ".join(part for part in (self.service, self.server, self.root) if part)
        return f"{told} ({self.identity})" if self.identity else told


def alias_of(identity: str) -> str:
    """What stands for a cluster's own id wherever that is kept or shown: 32 hex digits that do not lead back to it.

    A server may give for its id what it was sent: a credential, or a secret's value, that is a UUID as well.
    """
    return hashlib.sha256(b"cluster\0" + identity.encode()).hexdigest()[:32] if identity else ""


_BARE_ID = re.compile(r"[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}")


def known_identity(kept: str) -> str:
    """An identity of the ledger; empty for a bare id, as it was kept before there were aliases: it counts as untold."""
    return "" if _BARE_ID.fullmatch(kept) else kept


MAX_TEXT = 2000
"""How many characters a place's text has at the most."""


def is_place(given: object) -> TypeGuard[Place]:
    """Whether this is a place that can be told and kept: of printable texts, and bounded."""
    if not isinstance(given, Place):
        return False
    parts: tuple[object, ...] = given  # its types are what its maker says
    return all(isinstance(part, str) and part.isprintable() for part in parts) and len(text_of(given)) <= MAX_TEXT


def place_of_name(name: str) -> Place:
    """The place of a store that does not say where it is: the same as its own, and no other."""
    return Place("", name, "")


def text_of(place: Place) -> str:
    """A place as one line of text, for the ledger."""
    return json.dumps(place, ensure_ascii=False, separators=(",", ":"))


def place_of_text(text: str) -> Place | None:
    """The place that a text of :func:`text_of` says; None for any other text."""
    try:
        parts = json.loads(text)
    except ValueError:
        return None
    if (
        not isinstance(parts, list)
        or len(parts) != len(Place._fields)
        or not all(isinstance(part, str) for part in parts)
    ):
        return None
    place = Place(*parts)
    return place._replace(identity=known_identity(place.identity))
