"""What we want to do in a store, and what its permissions lack for it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

ANY_NAME = "secretsync-health"
"""Stands in a key for names that are not known; nothing is called so, and a policy that permits any name permits it."""


class Act(StrEnum):
    """One thing that a run does in a store."""

    LIST = "list"  # the keys in a folder
    LOOK = "look"  # that a key is there, and its version, without its value
    READ = "read"  # a value
    CREATE = "create"  # where there was never anything
    UPDATE = "update"  # where something is, or was deleted
    DELETE = "delete"


class Access(NamedTuple):
    """One thing that we want to do at one place.

    ``key`` is a key, or for LIST a folder (ending in ``/``, or empty for the top). LOOK takes either: of a folder it
    means the versions of whatever a listing of that folder shows. The key need not exist.
    """

    act: Act
    key: str


class Missing(NamedTuple):
    """Something that the store would refuse.

    ``access`` is what was asked. ``grant`` is what would permit it, in the store's own words and in one line, to stand
    after "grant": ``update on secret/data/app/*``. It holds no credential.
    """

    access: Access
    grant: str
