"""The exit codes, and which one wins when several apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OK = 0
FAILED = 1  # some secrets failed
WRONG = 2  # the documents or the call are wrong
STORE = 3  # a store or the ledger cannot be reached, or refuses us
DIFFERENT = 10  # ``plan --detailed-exitcode``: there are changes; ``check``: there is drift
INTERNAL = 70  # a fault of ours
OUTPUT = 74  # stdout cannot be written (a full disk); a reader who left is no error
INTERRUPTED = 130
TERMINATED = 143

_GRAVEST_FIRST = (INTERRUPTED, TERMINATED, INTERNAL, OUTPUT, WRONG, STORE, FAILED, DIFFERENT, OK)


def gravest(codes: Iterable[int]) -> int:
    """The code that a command ends with whose parts ended with ``codes``; 0 for no parts."""
    found = set(codes)
    return next((code for code in _GRAVEST_FIRST if code in found), max(found, default=OK))
