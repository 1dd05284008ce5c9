"""Which keys Vault can hold, and how they stand in a URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from secretsync_core.errors import InvalidSecret
from secretsync_core.key_rules import common_beginning, key_fault
from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.fit import invalid_key

if TYPE_CHECKING:
    from collections.abc import Collection

# Printable as Go understands it (letters, marks, numbers, punctuation, symbols, and the space), which is what the
# server insists on with a 400. `.` and `..` would be resolved on the way, and `//` is one `/`.
_ANY = r"(?:[^/\pC\pZ]| )"
_NO_DOT = r"(?:[^./\pC\pZ]| )"
_SEGMENT = rf"(?:\.{{0,2}}{_NO_DOT}|\.\.\.){_ANY}*"

KEY_PATTERN = rf"{_SEGMENT}(?:/{_SEGMENT})*"
KEY_RULE = "printable characters, in folders that are neither empty nor '.' nor '..', with no '/' at either end"

KEY_LIMITS = StoreLimits(key_pattern=KEY_PATTERN, key_rule=KEY_RULE)

# Most keys are of these letters alone, and asking for them first is twenty times as quick.
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")


def _holds(key: str) -> bool:
    return bool(_PLAIN.fullmatch(key)) or not key_fault(key, KEY_LIMITS)


def check(key: str, store: str) -> None:
    """Raise InvalidSecret for a key that the server would refuse or take for another one."""
    if not _holds(key):
        raise _invalid(key, store)


def sort_out(keys: Collection[str], store: str) -> tuple[Collection[str], list[Gap]]:
    """The keys that the server can hold, and a Gap for each of the others: nothing is asked about those."""
    gaps = [Gap(key, InvalidSecret.code, _invalid(key, store).message) for key in keys if not _holds(key)]
    if not gaps:
        return keys, gaps
    refused = {gap.prefix for gap in gaps}
    return [key for key in keys if key not in refused], gaps


def _invalid(key: str, store: str) -> InvalidSecret:
    return invalid_key(key, store, KEY_RULE)


def can_hold(path: str) -> bool:
    """Whether the server can hold a key, or a folder without its last ``/``; the top, which is empty, it can."""
    return not path or _holds(path)


def encoded(path: str) -> str:
    """A path as it stands in a URL."""
    return quote(path, safe="/")


def folder_of(key: str) -> str:
    """The folder of a key, ending in ``/``; empty for one at the top."""
    return key[: key.rfind("/") + 1]


def common_folder(keys: Collection[str]) -> str:
    """The deepest folder that holds all of ``keys``, ending in ``/``, or empty."""
    return folder_of(common_beginning(keys))
