"""What a store is registered by: the two things that every provider has, and what we tell of our own besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection

    from pydantic import BaseModel

    from secretsync_core.model.capabilities import Feature, StoreLimits
    from secretsync_core.model.place import Place
    from secretsync_core.stores.base import Store, StoreContext


class Opening(Protocol):
    """Opens a store by its configuration. Raises StoreError where it cannot."""

    def __call__(self, config: Any, context: StoreContext) -> Awaitable[Store]:
        """Give the open store."""
        ...


class Placing(Protocol):
    """Tells where a store is, from its configuration alone: no file is read and nothing is asked.

    What it gives is compared with the places of other documents, and with no open store's. Its identity, where it has
    one, is whatever tells apart what documents alone cannot know to be one.
    """

    def __call__(self, config: Any) -> Place | None:
        """The place; None where only opening the store can tell."""
        ...


class Lacking(Protocol):
    """Tells what a store has not, from its configuration alone."""

    def __call__(self, config: Any) -> Collection[Feature]:
        """Give the features; none where only opening the store can tell."""
        ...


@dataclass(frozen=True, slots=True)
class Provider:
    """One of our own providers. Importing the module that holds it must not import an SDK: documents are checked by it.

    Attributes:
        config: the model of its part of a document.
        open: opens a store.
        variants: what kinds of store it opens: in words (empty where there is only one), and ``module:class``.
        extra: what of our distribution brings its SDK.
        needs: the modules of that SDK.
        place: tells where a store is by its document; None where no document can. A third party's provider may have a
            function of this name too.
        keys: the rules for keys, as far as they hold for every configuration; None where a document tells none.
        lacks: what a store has not, by its configuration: what opening it would tell as well.
    """

    config: type[BaseModel]
    open: Opening
    variants: tuple[tuple[str, str], ...]
    extra: str = ""
    needs: tuple[str, ...] = ()
    place: Placing | None = None
    keys: StoreLimits | None = None
    lacks: Lacking | None = None
