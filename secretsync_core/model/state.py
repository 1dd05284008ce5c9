"""What we know of a destination key from the last time we wrote it."""

from __future__ import annotations

from typing import NamedTuple


class KeyState(NamedTuple):
    """What the ledger knows of one destination key as of the last time it was written or found right."""

    source_version: str | None
    dest_version: str | None
    definition: str
    owned: bool
    item: str


class Origin(NamedTuple):
    """What a live key came of: the source store and the key there, as the record names it, and its version."""

    store: str
    source_key: str
    version: str | None
    definition: str


class Deleted(NamedTuple):
    """A key that was deleted: its plan item, the version that went, and what it held and came of, by their names.

    ``fields`` names those that went, where others of the secret stayed. ``fingerprint`` and ``source_key`` are empty
    where an older version of this program deleted it.
    """

    item: str
    version: str | None
    definition: str
    fingerprint: str
    source: str
    source_key: str
    fields: str
