"""Stores that show versions and no values, as the secrets of a CI service: real ones, less the method that reads.

``installed(patch)`` lets documents name the provider ``ci``: the memory store of the same name, whose values a test may
read by opening it as ``memory``. ``{plain: true}`` leaves it no more than such services have: neither marks, nor
compare-and-set, nor old versions.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from secretsync_core.model.capabilities import Feature, Shape
from secretsync_core.schema.base import Spec
from secretsync_core.schema.plugins import BUILT_IN, GROUP
from secretsync_core.stores.memory import MemoryStore
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    import pytest

    from secretsync_core.stores.base import Store, StoreContext

_MORE = ("write_if", "create", "delete_if", "marks", "mark", "describe", "set_metadata", "undelete", "check_undelete")


def look_only(store: type, *more: str) -> Any:
    """A class with all that this one has, but ``read`` and ``more``: absent, and not only refusing."""
    members: dict[str, Any] = {}
    for each in reversed(store.__mro__[:-1]):
        members |= vars(each)
    without = ("read", "__dict__", "__weakref__", *more)
    kept = {name: member for name, member in members.items() if name not in without}
    return type(f"LookOnly{store.__name__}", (), kept)


class CiConfig(Spec):
    """Whether it has no more than a CI service has."""

    plain: bool = False


async def open_store(config: CiConfig, context: StoreContext) -> Store:
    """Open the memory store of this name, to be looked at and not to be read."""
    store: Store = (_PLAIN if config.plain else _WHOLE)(Shape.FIELDS, context)
    return store


_WHOLE, _PLAIN = look_only(MemoryStore), look_only(MemoryStore, *_MORE)

PROVIDER = Provider(config=CiConfig, open=open_store, variants=(("", f"{__name__}:_WHOLE"),))

TELLING = replace(PROVIDER, lacks=lambda _: (Feature.VALUES,))
"""The same, of which its documents tell that it shows no values."""


def installed(patch: pytest.MonkeyPatch, what: str = "PROVIDER") -> None:
    """Let documents name it."""
    patch.setitem(BUILT_IN, "ci", EntryPoint("ci", f"{__name__}:{what}", GROUP))
