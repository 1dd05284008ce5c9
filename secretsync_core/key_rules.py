"""What a store's limits say of a key: the one place that applies them, for plans and for the stores themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.expression.regexp import Rewrite, compile_regexp

if TYPE_CHECKING:
    from collections.abc import Collection

    from secretsync_core.model.capabilities import StoreLimits


def key_fault(key: str, limits: StoreLimits) -> str:
    """Why a store cannot hold a key; empty where it can."""
    if fault := misnomer(key, limits):
        return fault
    if limits.max_key_bytes is not None and len(key.encode(errors="surrogatepass")) > limits.max_key_bytes:
        return f"longer than {limits.max_key_bytes} bytes"
    if limits.key_pattern is not None and not whole(limits.key_pattern, key):
        return limits.key_rule or "its characters are not allowed there"
    return ""


def misnomer(key: str, limits: StoreLimits) -> str:
    """What to write in place of a text that names a secret in another way than a key does; empty where it does not."""
    if limits.misnomers is not None and whole(limits.misnomers, key):
        return Rewrite(f"^(?:{limits.misnomers})$", limits.misnomers_rule or "that is no key there").apply(key)
    return ""


def new_key_fault(key: str, limits: StoreLimits) -> str:
    """Why a store would take no secret under a key; empty where it would."""
    if fault := key_fault(key, limits):
        return fault
    if limits.reserved is not None and whole(limits.reserved, key):
        return limits.reserved_rule or "such names are reserved there"
    return ""


def folders_of(key: str) -> list[str]:
    """The folders that a key is in, from the outermost on, without a slash at their end: ``a`` and ``a/b`` of a/b/c."""
    parts = key.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def in_the_way(keys: Collection[str]) -> dict[str, str]:
    """The keys of which one is a folder of the other, each with (one of) those that it excludes."""
    wanted, found = frozenset(keys), dict[str, str]()
    for key in wanted:
        for folder in folders_of(key):
            if folder in wanted:
                found.setdefault(key, folder)
                found[folder] = min(key, found.get(folder, key))
    return found


def whole(pattern: str, text: str) -> bool:
    """Whether an RE2 expression matches all of ``text``. It never matches what is not valid Unicode."""
    return compile_regexp(f"^(?:{pattern})$").found(text)


def common_beginning(keys: Collection[str]) -> str:
    """How all of some keys begin, letter by letter."""
    low, high = min(keys), max(keys)
    return low[: next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]
