"""What keys must be in a store whose secrets have names of their own there, such as those below a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from secretsync_core.errors import InvalidSecret
from secretsync_core.key_rules import key_fault, misnomer, new_key_fault
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.fit import check_folder, invalid_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from secretsync_core.model.capabilities import StoreLimits


class Keys:
    """What a key must be in one store."""

    way_out: ClassVar[str] = ""
    """What to do about a key that is reserved."""

    def __init__(self, store: str, limits: StoreLimits) -> None:
        """``limits`` are the store's own, in which only the rules for keys count here."""
        self.store = store
        self.limits = limits

    def check(self, key: str) -> None:
        """Raise InvalidSecret for a key that cannot be."""
        if not self.holds(key):
            raise self._invalid(key)

    def holds(self, key: str) -> bool:
        """Whether a key can be."""
        return not key_fault(key, self.limits)

    def check_new(self, key: str) -> None:
        """Raise InvalidSecret for a key that cannot be written."""
        self.check(key)
        if fault := new_key_fault(key, self.limits):
            raise invalid_key(key, self.store, fault, hint=self.way_out)

    def check_folder(self, prefix: str) -> None:
        """Raise InvalidSecret for what is neither empty nor a folder."""
        check_folder(prefix, self.store)

    def sort_out(self, keys: Collection[str]) -> tuple[list[str], list[Gap]]:
        """The keys that can be, and a Gap for each of the others: nothing is asked about those."""
        good = [key for key in keys if self.holds(key)]
        bad = [Gap(key, InvalidSecret.code, self._invalid(key).message) for key in keys if not self.holds(key)]
        return good, bad

    def _invalid(self, key: str) -> InvalidSecret:
        if misnomer(key, self.limits):
            return invalid_key(key, self.store, misnomer(key, self.limits))
        hint = f"a key is {self.limits.key_rule}; {self.limits.max_key_bytes} characters at most"
        return invalid_key(key, self.store, key_fault(key, self.limits), hint=hint)
