"""From a provider's name in a document to the model of its configuration.

A provider is registered by an object (see :mod:`~secretsync_core.schema.plugins`) whose attribute ``config`` is a
pydantic model class. It is loaded only when a document names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from secretsync_core.known import listed, nearest
from secretsync_core.model.place import is_place
from secretsync_core.schema.known_fields import learn
from secretsync_core.schema.named import Kind, Use
from secretsync_core.schema.plugins import BUILT_IN, installed_plugins
from secretsync_core.schema.uses import uses_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from importlib.metadata import EntryPoint

    from secretsync_core.model.capabilities import Feature, StoreLimits
    from secretsync_core.model.place import Place


class ProviderProblem(Exception):
    """A provider that there is not, that there is twice, or that does not load. Safe to print."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def config_model(name: str) -> type[BaseModel]:
    """The model of a provider's configuration. Raises ProviderProblem."""
    found = [point for point in installed_plugins() if point.name == name]
    built_in = BUILT_IN.get(name)
    if found and (built_in is not None or len(found) > 1):
        claims = [*(["secretsync itself"] if built_in is not None else []), *map(_origin, found)]
        raise ProviderProblem(
            f"the provider {name} is provided by more than one package: {', '.join(claims)}",
            "Uninstall all but one.",
        )
    if built_in is not None:
        return _loaded(name, built_in)
    if not found:
        raise _unknown(name)
    return _loaded(name, found[0])


def place_of(name: str, config: BaseModel) -> Place | None:
    """Where a store is by its document; None where its provider does not tell. Raises ProviderProblem where it fails.

    The provider is one that :func:`config_model` has given the model of.
    """
    point = BUILT_IN.get(name) or next((point for point in installed_plugins() if point.name == name), None)
    if point is None:
        return None
    try:
        placing = getattr(point.load(), "place", None)
        place = placing(config) if placing is not None else None
    except Exception as error:  # noqa: BLE001  it is somebody else's code, and whatever it does is this one problem
        why = f"fails to say where the store is ({type(error).__name__})"
    else:
        if place is None or is_place(place):
            return place
        why = "gives a place for the store that is not valid"
    raise ProviderProblem(f"the provider {name} {why}", "Report it to its maintainers.")


def uses_of_store(name: str, config: BaseModel) -> list[Use]:
    """All that a store's configuration names: by its types, and by what its provider adds.

    The provider is one that :func:`config_model` has given the model of. Raises ProviderProblem where it fails.
    """
    found = list(uses_of(config))
    point = BUILT_IN.get(name) or next((point for point in installed_plugins() if point.name == name), None)
    if point is None:
        return found
    try:
        more = getattr(point.load(), "uses", None)
        told = [] if more is None else [Use(Kind(use.kind), str(use.text), tuple(use.path)) for use in more(config)]
    except Exception as error:  # noqa: BLE001  it is somebody else's code, and whatever it does is this one problem
        why = f"fails to say what its configuration names ({type(error).__name__})"
    else:
        return found + told
    raise ProviderProblem(f"the provider {name} {why}", "Report it to its maintainers.")


def key_limits_of(name: str) -> StoreLimits | None:
    """The rules for keys that hold for every store of one of our own providers; None where there are none."""
    point = BUILT_IN.get(name)
    limits: StoreLimits | None = getattr(point.load(), "keys", None) if point is not None else None
    return limits


def lacking(name: str, config: BaseModel) -> Collection[Feature]:
    """What a store of one of our own providers has not, by its document; nothing where only opening it can tell."""
    point = BUILT_IN.get(name)
    lacks = getattr(point.load(), "lacks", None) if point is not None else None
    found: Collection[Feature] = lacks(config) if lacks is not None else ()
    return found


def built_in_models() -> dict[str, type[BaseModel]]:
    """The models of our own providers, by their names."""
    return {name: _loaded(name, point) for name, point in BUILT_IN.items()}


def known_providers() -> list[str]:
    """The names of all providers that a document can name here."""
    return sorted({*BUILT_IN, *(point.name for point in installed_plugins())})


def _unknown(name: str) -> ProviderProblem:
    known = known_providers()
    close = nearest(name, known)
    hint = f"Did you mean {close}? " if close else ""
    return ProviderProblem(
        "there is no provider of that name",
        f"{hint}There are: {listed(known)}; other packages add more.",
    )


def _loaded(name: str, point: EntryPoint) -> type[BaseModel]:
    try:
        config = point.load().config
    except Exception as error:  # noqa: BLE001  it is somebody else's code, and whatever it does is this one problem
        problem = ProviderProblem(
            f"the provider {name} of {_origin(point)} does not load ({type(error).__name__})",
            f"Does it need an extra, or a library that is not installed? It is {point.value}.",
        )
    else:
        if isinstance(config, type) and issubclass(config, BaseModel):
            learn(config, name)
            return config
        problem = ProviderProblem(
            f"the provider {name} of {_origin(point)} has no pydantic model called config",
            "Report it to its maintainers.",
        )
    raise problem


def _origin(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
