"""Opens stores by their documents, and says which kinds of store are installed.

A provider is registered by an entry point: a third party's in the group ``secretsync.stores``, ours in
:mod:`secretsync_core.schema.plugins`. Its name is the provider's name in documents, and it loads to an object (a module
will do) with two attributes: ``config``, a pydantic model class for the provider's part of the document, and ``open``,
an async function of ``(config, context)`` that gives an open store. It is loaded only when a document names it, so a
broken plugin breaks nobody who does not use it.

**Whatever comes out of a store that is opened here is a SecretSyncError**: from opening it, from every method of the
protocols, from the iterators of ``list`` and ``stat`` at any point, from ``facts`` and from ``aclose``. What is not of
our tree becomes a StoreError that names the store and the type, with nothing of the original behind it (see
:mod:`~secretsync_core.stores.boundary`), and so does a result of another type than the protocol's. Cancellation,
KeyboardInterrupt and their like pass. So nobody who has a store from here needs an ``except Exception`` around it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Protocol

from secretsync_core import __version__
from secretsync_core.distribution import NAME, extra_hint
from secretsync_core.errors import StoreError
from secretsync_core.policy.opening import within_bounds
from secretsync_core.schema.plugins import BUILT_IN, GROUP, installed_plugins
from secretsync_core.stores.base import abilities_of
from secretsync_core.stores.boundary import passed_on
from secretsync_core.stores.environment import keep_no_key_log
from secretsync_core.stores.handle import hand_out
from secretsync_core.stores.provider import Provider
from secretsync_core.stores.stalled import TellsActivity, Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.model.capabilities import Ability, StoreLimits
    from secretsync_core.schema.documents import StoreDocument
    from secretsync_core.stores.base import Store, StoreContext
    from secretsync_core.stores.provider import Opening


@dataclass(frozen=True, slots=True)
class StoreTypeInfo:
    """One kind of store that documents may name.

    Attributes:
        provider: its name in a document.
        variant: which form of it, such as ``KV version 2``; empty where there is only one.
        package, version: the distribution that brings it.
        abilities: what it can do; ``None`` where that is not known without loading a third party's code.
        limits: the bounds that it always has; ``None`` where they are not known before it is opened.
        problem: why it cannot be used, with what to do about it; empty where it can.
    """

    provider: str
    variant: str
    package: str
    version: str
    abilities: frozenset[Ability] | None
    limits: StoreLimits | None
    problem: str = ""


async def open_store(document: StoreDocument, context: StoreContext) -> Store:
    """Open the store that a document describes, handed out with what its ``permissions`` allow and no more.

    Raises PolicyDenied where the document names what the operator does not permit: nothing is opened then, and nothing
    read. Raises StoreError where the provider is unknown, its package is missing or broken, or its name is taken twice,
    and what the store itself raises; see the module for what that can be. The caller closes the store.
    """
    keep_no_key_log()
    provider = _find(document.provider, document.name)
    try:
        bounds = within_bounds(document, context.environ, context.state)
        context = replace(context, bounds=bounds, endurance=document.endurance)
        gate = context.gate if isinstance(context.gate, TellsActivity) else None
        watch = Watch(document.name, document.endurance, gate)
        try:
            opened = await watch.wait(provider.open(document.config, context))
        finally:
            watch.end()
        return hand_out(
            opened, document.name, document.permissions, context.gate, document.endurance, look=document.look
        )
    except ModuleNotFoundError as error:
        failure: BaseException = _needs(document.provider, error.name or "a package", provider, document.name)
    except BaseException as raised:  # noqa: BLE001  see secretsync_core.stores.boundary
        failure = passed_on(raised, document.name)
    try:
        raise failure
    finally:
        del failure  # it holds this frame, by its traceback


class _Registered(Protocol):
    """What every provider is registered by."""

    open: Opening


def _find(provider: str, store: str) -> _Registered:
    """Find what stores of this provider are opened by, importing only that."""
    plugins = [point for point in installed_plugins() if point.name == provider]
    taken = len(plugins) + (provider in BUILT_IN)
    if taken == 0:
        raise StoreError(
            f"no installed package brings the provider {provider!r}",
            store=store,
            hint=f"install the package that does, or use one of: {', '.join(sorted(_known()))}",
        )
    if taken > 1:
        raise StoreError(_conflict(provider, plugins), store=store, hint="uninstall all but one")
    loaded = _load(plugins[0] if plugins else BUILT_IN[provider], store)
    if isinstance(loaded, Provider) and (missing := _missing(loaded)):
        raise _needs(provider, missing, loaded, store)
    return loaded


def _load(plugin: EntryPoint, store: str) -> _Registered:
    """Load a provider; whatever goes wrong in there is told as the fault of its package, and by its name."""
    package = plugin.dist.name if plugin.dist else "?"
    try:
        loaded: _Registered = plugin.load()
        loaded.open, loaded.config  # type: ignore[attr-defined]  # noqa: B018  the two halves of a provider
    except Exception as error:  # noqa: BLE001  it is somebody else's code, and whatever it does is this one problem
        kind = type(error).__name__
    else:
        return loaded
    raise StoreError(
        f"the provider {plugin.name!r} of the package {package} cannot be loaded: {kind}",
        store=store,
        hint=f"it must load to an object with 'config' and 'open'; see {GROUP} in the documentation",
    )


def installed() -> list[StoreTypeInfo]:
    """List every provider that documents may name, built-in ones first, with one line for each variant.

    Abilities are read off the classes. A third party's code is not loaded, so its abilities are not known here.
    """
    plugins = sorted(installed_plugins(), key=lambda point: (point.name, point.dist.name if point.dist else ""))
    infos = [info for provider in BUILT_IN for info in _built_in(provider, plugins)]
    for plugin in plugins:
        same = [other for other in plugins if other.name == plugin.name]
        clashes = len(same) > 1 or plugin.name in BUILT_IN
        infos.append(
            StoreTypeInfo(
                provider=plugin.name,
                variant="",
                package=plugin.dist.name if plugin.dist else "?",
                version=plugin.dist.version if plugin.dist else "?",
                abilities=None,
                limits=None,
                problem=_conflict(plugin.name, same) if clashes else "",
            )
        )
    return infos


def _built_in(provider: str, plugins: Sequence[EntryPoint]) -> list[StoreTypeInfo]:
    built_in: Provider = BUILT_IN[provider].load()
    same = [plugin for plugin in plugins if plugin.name == provider]
    infos = []
    missing = _missing(built_in)
    for variant, where in built_in.variants:
        abilities: frozenset[Ability] | None = None
        limits: StoreLimits | None = None
        problem = _conflict(provider, same) if same else ""
        if missing:
            problem = f"needs {missing}: {extra_hint(built_in.extra)}"
        else:
            found = EntryPoint(provider, where, GROUP).load()
            abilities, limits = abilities_of_class(found), getattr(found, "LIMITS", None)
        infos.append(StoreTypeInfo(provider, variant, NAME, __version__, abilities, limits, problem))
    return infos


def abilities_of_class(store: type) -> frozenset[Ability]:
    """What instances of a store class can do, without opening one."""
    # Asked of a stand-in that was never initialised, so that there is one definition of an ability and not two. Its
    # facts are replaced, because checking a protocol evaluates properties before Python 3.12.
    stand_in = type(store.__name__, (store,), {"__init__": lambda self: None, "facts": None})
    return abilities_of(stand_in())


def _known() -> set[str]:
    return {*BUILT_IN, *(plugin.name for plugin in installed_plugins())}


def _conflict(provider: str, plugins: Sequence[EntryPoint]) -> str:
    owners = [NAME] if provider in BUILT_IN else []
    owners += [plugin.dist.name if plugin.dist else "?" for plugin in plugins]
    return f"the provider name {provider!r} is taken by more than one package: {', '.join(owners)}"


def _missing(built_in: Provider) -> str:
    """Name the modules of a store's SDK that are not installed; empty where all are."""
    return ", ".join(name for name in built_in.needs if not _is_there(name))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


def _needs(provider: str, missing: str, registered: object, store: str) -> StoreError:
    hint = (
        extra_hint(registered.extra)
        if isinstance(registered, Provider)
        else "install it, or tell the provider's makers"
    )
    return StoreError(f"the provider {provider!r} needs {missing}", store=store, hint=hint)
