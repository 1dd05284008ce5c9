"""Stores that show versions and no values, as the secrets of a CI service: real ones, less the method that reads."""

from __future__ import annotations

from typing import Any


def look_only(store: type) -> Any:
    """A class with all that this one has, but ``read``: absent, and not only refusing."""
    members: dict[str, Any] = {}
    for each in reversed(store.__mro__[:-1]):
        members |= vars(each)
    kept = {name: member for name, member in members.items() if name not in ("read", "__dict__", "__weakref__")}
    return type(f"LookOnly{store.__name__}", (), kept)
