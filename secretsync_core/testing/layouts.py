"""Where the keys of a store can stand: in folders, in none, or in exactly one.

The suite speaks of keys in folders, such as ``a/b``. What it means by one in a store that has no such keys is made of
what the store itself allows: in a flat one ``a/b`` becomes ``a-b``, or ``a_b`` or ``A_B`` where keys are names of
variables, and where every key has a folder ``a`` becomes ``root/a``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import re2

if TYPE_CHECKING:
    from secretsync_core.model.capabilities import StoreLimits

_DEEPEST = 5


class Layout:
    """The shape of one store's keys, read off its limits.

    Attributes:
        depths: how many segments a key may have, of those that were tried; empty where no plain key is allowed.
    """

    def __init__(self, limits: StoreLimits) -> None:
        self._limits = limits
        self._capitals = self.allows("A_B") and not self.allows("a")
        self._words = self.allows("a_B") and not self.allows("a-b")
        self.depths = [depth for depth in range(1, _DEEPEST + 1) if self.allows("/".join("abcde"[:depth]))]
        if self._capitals:
            self.depths = [1]

    @property
    def flat(self) -> bool:
        """Whether there are no folders at all."""
        return self.depths == [1]

    def allows(self, key: str) -> bool:
        """Whether the limits allow a key."""
        pattern, longest = self._limits.key_pattern, self._limits.max_key_bytes
        fits = longest is None or len(key.encode(errors="surrogatepass")) <= longest
        return fits and (pattern is None or re2.fullmatch(pattern, key) is not None)

    def __call__(self, key: str) -> str:
        """What a key in folders is in this store. Different keys stay different, as far as the suite has them."""
        assert self.depths, "limits.key_pattern allows no plain key, such as 'a' or 'a/b'"
        if self._capitals:
            return re.sub("[^A-Z0-9_]", "_", key.upper())
        if self._words:
            return re.sub("[^A-Za-z0-9_]", "_", key)
        segments = key.split("/")
        if len(segments) in self.depths:
            return key
        depth = max((each for each in self.depths if each < len(segments)), default=self.depths[0])
        if depth > len(segments):
            return "/".join(["root"] * (depth - len(segments)) + segments)
        return "/".join([*segments[: depth - 1], "-".join(segments[depth - 1 :])])

    def longest(self, length: int) -> str:
        """A plain key of so many letters; the longest that fits where the first segment may not be so long."""
        if self._capitals:
            return "K" * length
        if self.allows("k" * length):
            return "k" * length
        split = (f"{'k' * first}/{'k' * (length - first - 1)}" for first in range(length - 2, 0, -1))
        return next((key for key in split if self.allows(key)), "k" * length)
