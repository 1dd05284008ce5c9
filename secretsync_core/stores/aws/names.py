"""Which keys there can be, for services that take letters, digits and a few more in names with folders."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Gap

if TYPE_CHECKING:
    from collections.abc import Collection


def segment(letters: str) -> str:
    """An expression for one folder or name of these letters (as they stand in brackets), neither ``.`` nor ``..``."""
    return rf"(?:\.{{0,2}}[{letters}]|\.\.\.)[.{letters}]*"


class Keys:
    """What a key must be in one store."""

    def __init__(self, store: str, *, pattern: str, rule: str, max_bytes: int) -> None:
        """``pattern`` is matched against a whole key; ``rule`` says the same in words."""
        self.store = store
        self.max_bytes = max_bytes
        self._rule = rule
        self._pattern = re.compile(pattern)

    def check(self, key: str) -> None:
        """Raise InvalidSecret for a key that cannot be."""
        if not self.holds(key):
            raise self._invalid(key)

    def holds(self, key: str) -> bool:
        """Whether a key can be."""
        return len(key) <= self.max_bytes and self._pattern.fullmatch(key) is not None

    def check_folder(self, prefix: str) -> None:
        """Raise InvalidSecret for what is neither empty nor a folder."""
        if prefix and not prefix.endswith("/"):
            raise InvalidSecret(f"{prefix!r} is not a folder: it must end with '/'", store=self.store, key=prefix)

    def sort_out(self, keys: Collection[str]) -> tuple[list[str], list[Gap]]:
        """The keys that can be, and a Gap for each of the others: nothing is asked about those."""
        good = [key for key in keys if self.holds(key)]
        bad = [Gap(key, InvalidSecret.code, self._invalid(key).message) for key in keys if not self.holds(key)]
        return good, bad

    def _invalid(self, key: str) -> InvalidSecret:
        hint = f"a key is {self._rule}, {self.max_bytes} characters at most"
        return InvalidSecret(f"{self.store} cannot hold the key {key!r}", store=self.store, key=key, hint=hint)


def common_beginning(names: Collection[str]) -> str:
    """How all of some names begin."""
    low, high = min(names), max(names)
    return low[: next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]
