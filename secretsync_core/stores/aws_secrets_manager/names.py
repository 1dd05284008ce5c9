"""Which keys there can be, and which names they stand for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Gap

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_BYTES = 512

# The ! stands in the names of secrets that other services of AWS manage: they can be read, and not written.
_ANY = r"[A-Za-z0-9_+=.@!-]"
_NO_DOT = r"[A-Za-z0-9_+=@!-]"
_SEGMENT = rf"(?:\.{{0,2}}{_NO_DOT}|\.\.\.){_ANY}*"

KEY_PATTERN = rf"{_SEGMENT}(?:/{_SEGMENT})*"
KEY_RULE = "letters, digits and any of _+=.@- in folders that are neither empty nor '.' nor '..'"

_PATTERN = re.compile(KEY_PATTERN)


class Names:
    """The names below one prefix."""

    def __init__(self, prefix: str, store: str) -> None:
        self.prefix = prefix
        self._store = store

    @property
    def max_key_bytes(self) -> int:
        """How long a key can be."""
        return MAX_BYTES - len(self.prefix)

    def name(self, key: str) -> str:
        """The name of a secret. Raises InvalidSecret for a key that cannot be."""
        if not self._holds(key):
            raise self._invalid(key)
        return self.prefix + key

    def new_name(self, key: str) -> str:
        """The same for a secret that is to be written."""
        name = self.name(key)
        if "!" in key:
            raise InvalidSecret(
                f"{self._store} cannot hold the key {key!r}: only services of AWS make names with a '!'",
                store=self._store,
                key=key,
            )
        return name

    def folder(self, prefix: str) -> str:
        """How the names of a folder begin."""
        if prefix and not prefix.endswith("/"):
            raise InvalidSecret(f"{prefix!r} is not a folder: it must end with '/'", store=self._store, key=prefix)
        return self.prefix + prefix

    def key(self, name: str) -> str | Gap:
        """The key of a secret by its name, or a Gap for a name that no key stands for."""
        key = name.removeprefix(self.prefix)
        if self._holds(key):
            return key
        return Gap(
            key,
            InvalidSecret.code,
            f"{self._store} has the name {name!r}, for which there is no key"
            + ("; give the SecretStore a prefix that begins with '/'" if name.startswith("/") else ""),
        )

    def sort_out(self, keys: Collection[str]) -> tuple[list[str], list[Gap]]:
        """The keys that can be, and a Gap for each of the others: nothing is asked about those."""
        good = [key for key in keys if self._holds(key)]
        bad = [Gap(key, InvalidSecret.code, self._invalid(key).message) for key in keys if not self._holds(key)]
        return good, bad

    def _holds(self, key: str) -> bool:
        return len(key) <= self.max_key_bytes and _PATTERN.fullmatch(key) is not None

    def _invalid(self, key: str) -> InvalidSecret:
        hint = f"a key is {KEY_RULE}, {self.max_key_bytes} at most"
        return InvalidSecret(f"{self._store} cannot hold the key {key!r}", store=self._store, key=key, hint=hint)
