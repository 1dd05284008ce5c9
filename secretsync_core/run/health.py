"""Is every store there, and does it let us in? Asked by the cheapest requests that show it, without any value."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from secretsync_core.errors import (
    AccessDenied,
    InvalidSecret,
    SecretSyncError,
    StoreError,
    StoreUnavailable,
    TransformFailed,
)
from secretsync_core.key_rules import key_fault
from secretsync_core.model.access import ANY_NAME as NAME
from secretsync_core.model.access import Access, Act
from secretsync_core.model.capabilities import Ability
from secretsync_core.model.inventory import Gap
from secretsync_core.run.access import missing_of, most_telling, told_of_unversioned
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.run.items import build_plan
from secretsync_core.schema.job import DeletionPolicy, WritePolicy
from secretsync_core.schema.keys import QueryMatcher
from secretsync_core.stores.base import AccessChecker, Lister, Looker, StoreContext, abilities_of
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.registry import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.run.items import Item, Part
    from secretsync_core.schema.documents import Documents, JobDocument
    from secretsync_core.selection import Pattern
from secretsync_core.stores.base import Store

_CONCURRENCY = 4
_FOLDERS = 10
"""So many folders of a store are asked for at the most: each may have a policy of its own."""


_TOLD = 3
"""So many keys are named where permissions are missing."""


@dataclass(slots=True)
class Places:
    """Where the jobs use a store: the folders that they list, and keys that they look at. Policies often differ."""

    folders: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    wanted: dict[Access, bool] = field(default_factory=dict)
    """What they do there, and whether it is surely done like this: of what a query finds we know no names."""


@dataclass(slots=True)
class StoreHealth:
    """What was found of one store.

    Attributes:
        store: the SecretStore's name.
        asked: what it was asked, in words, such as ``list payments/``; just ``open`` where we may do no more.
        seconds: how long that took.
        requests: the requests by kind.
        error: what is wrong; ``None`` where nothing is.
        warnings: what goes on working, at a cost.
        pending: something of it is still under way, a login say, and would hold up the end of the process.
    """

    store: str
    asked: list[str] = field(default_factory=list)
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)
    error: SecretSyncError | None = None
    warnings: list[str] = field(default_factory=list)
    pending: bool = False


def places(jobs: Iterable[JobDocument]) -> dict[str, Places]:
    """Where these jobs use their stores, by store."""
    found: dict[str, Places] = {}
    for job in jobs:
        plan = build_plan(job)
        for item in plan.items:
            for part in item.parts:
                at = found.setdefault(part.store, Places())
                if part.query is not None:
                    _add_query(at, QueryMatcher(part.query).rule.pattern)
                elif part.secret is not None:
                    at.keys.append(part.secret.key)
                    at.wanted[Access(Act.READ, part.secret.key)] = True
            for dest in plan.spec.dest:
                at = found.setdefault(dest, Places())
                keys = list(_destinations(item))
                at.keys.extend(keys)
                surely = not any(_leaves_choice(part) for part in item.parts)
                at.wanted |= {Access(act, key): surely for key in keys for act in _acts(item)}
    return found


def _add_query(at: Places, pattern: Pattern) -> None:
    """Where a query lists; below a glob's fixed folders as if one of its choices were called as nothing is."""
    inner, key = pattern.folder_with(NAME), pattern.key_with(NAME)
    names_one = pattern.name.literal is not None
    if names_one:
        at.keys.append(key)
    else:
        at.folders.append(inner)
    at.wanted |= {Access(Act.LIST, pattern.folder): True, Access(Act.LOOK, key if names_one else inner): False}
    if pattern.matches(key):  # a glob may have no place for a name of ours
        at.wanted.setdefault(Access(Act.READ, key), False)


def _leaves_choice(part: Part) -> bool:
    """Whether a part is of folders of which we know no names: those that there are may be permitted one by one."""
    return part.query is not None and NAME in QueryMatcher(part.query).rule.pattern.folder_with(NAME)


def _acts(item: Item) -> Iterable[Act]:
    """What a sync of an item may do at a destination key, besides looking at it."""
    yield Act.CREATE
    if item.write_policy is not WritePolicy.IF_NOT_EXISTS:
        yield Act.READ
        yield Act.UPDATE
    if item.deletion_policy is DeletionPolicy.DELETE:
        yield Act.DELETE


def _destinations(item: Item) -> Iterable[str]:
    """Keys such as an item writes: those of secrets, and what a secret in the folder of its query would become."""
    if item.combined:
        yield item.key
        return
    part = item.parts[0]
    source = part.secret.key if part.secret is not None else NAME
    if part.query is not None:
        source = QueryMatcher(part.query).rule.pattern.folder_with(NAME) + NAME
    # A transform may have no place for a name of ours; another item's will.
    with suppress(TransformFailed):
        yield item.keys.map(f"{source}/{NAME}" if item.split else source)


async def check_stores(
    documents: Documents, where: Mapping[str, Places], *, environ: Mapping[str, str], seconds: float
) -> list[StoreHealth]:
    """Look at every store of ``where``, all at once, each for at most ``seconds``; in the order of their names."""
    return list(
        await asyncio.gather(*(_check(documents, name, where[name], environ, seconds) for name in sorted(where)))
    )


async def _check(
    documents: Documents, name: str, at: Places, environ: Mapping[str, str], seconds: float
) -> StoreHealth:
    health = StoreHealth(name)
    gate = Gate(
        name, concurrency=_CONCURRENCY, policy=RetryPolicy(attempts=1), endurance=documents.stores[name].endurance
    )
    began = time.monotonic()
    answered = False
    try:
        async with asyncio.timeout(seconds):
            store: Store | None = None
            try:
                context = StoreContext(name, gate, environ, _CONCURRENCY, state=documents.state, notes=health.warnings)
                store = await open_store(documents.stores[name], context)
                await _ask(store, at, health, gate)
                answered = True
            except SecretSyncError as error:
                health.error, answered = error, True
            finally:
                health.seconds = time.monotonic() - began
                if store is not None:
                    with suppress(Exception):
                        await store.aclose()
    except TimeoutError:
        health.pending = True
        if not answered:
            health.error = StoreUnavailable(
                f"store {name} did not answer within {seconds:g} seconds",
                store=name,
                hint="check that it is up and that its address can be reached from here",
            )
    health.requests = gate.requests
    return health


async def _ask(store: Store, at: Places, health: StoreHealth, gate: Gate) -> None:
    """List each folder and look at one key, as far as the jobs do such a thing there and our permissions let us."""
    if isinstance(store, Lister):
        for prefix in list(dict.fromkeys(at.folders))[:_FOLDERS]:
            with _made_up(prefix, f"list {prefix}", health):
                await _list(store, prefix, health, gate)
    key = next((key for key in at.keys if not key_fault(key, store.facts.limits)), None)
    if key is not None and isinstance(store, Looker):
        folder = key[: key.rfind("/") + 1]
        with _made_up(folder, f"look at {key}", health):
            await _look(store, key, health)
    if not health.asked:
        # No job says what it is for; whatever answers proves that it is there.
        if isinstance(store, Lister):
            await _list(store, "", health, gate)
        elif isinstance(store, Looker):
            await _look(store, NAME, health)
        else:
            health.asked.append("open")
    if isinstance(store, AccessChecker):
        await _ask_for_access(store, at, health)


@contextmanager
def _made_up(folder: str, act: str, health: StoreHealth) -> Iterator[None]:
    """A refusal in a folder whose name stands for others is a warning: those may be permitted one by one."""
    try:
        yield
    except CredentialsRefused:
        raise
    except AccessDenied:
        if NAME not in folder:
            raise
        told = act.replace(NAME, "*")
        health.warnings.append(f"{health.store} would not let us {told} for every name, perhaps for some")


_TAKES = {Act.LIST: Ability.LIST, Act.LOOK: Ability.LOOK, Act.READ: Ability.READ, Act.DELETE: Ability.DELETE}
"""The ability that goes with each act; any other takes WRITE."""


async def _ask_for_access(store: AccessChecker, at: Places, health: StoreHealth) -> None:
    """Ask what the store permits of what the jobs do there. Raises AccessDenied for what they cannot do without."""
    abilities, limits = abilities_of(store), store.facts.limits
    wanted = [
        access
        for access in at.wanted
        if _TAKES.get(access.act, Ability.WRITE) in abilities
        and (access.act in (Act.LIST, Act.LOOK) or not key_fault(access.key, limits))
    ]
    missing = await missing_of(store, most_telling(wanted))
    grants = [grant.replace(NAME, "*") for access, grant in missing if access.act is Act.LOOK]
    if grants:
        health.warnings.append(told_of_unversioned(store.facts.name, None, grants))
    for access, grant in missing:
        if not at.wanted[access] and access.act is not Act.LOOK:
            health.warnings.append(f"{_would_refuse(store, [access])} (grant {grant.replace(NAME, '*')})")
    needed = [each for each in missing if at.wanted[each.access]]
    if needed:
        lacking = ", ".join(dict.fromkeys(grant.replace(NAME, "*") for _, grant in needed))
        raise AccessDenied(
            _would_refuse(store, [access for access, _ in needed]), store=store.facts.name, hint=f"grant {lacking}"
        )


def _would_refuse(store: Store, accesses: Iterable[Access]) -> str:
    acts: dict[str, list[str]] = {}
    for act, key in dict.fromkeys(accesses):
        acts.setdefault(key.replace(NAME, "*") or "its top folder", []).append(act.value)
    told = [f"{' and '.join(filter(None, (', '.join(done[:-1]), done[-1])))} {key}" for key, done in acts.items()]
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f"{store.facts.name} would not let us {', '.join(told[:_TOLD])}{more}"


async def _list(store: Lister, prefix: str, health: StoreHealth, gate: Gate) -> None:
    health.asked.append(f"list {prefix or 'its top folder'}")
    before = sum(gate.requests.values())
    # Below the folder, where nothing is: permissions are those of the folder, and the answer is empty.
    nowhere = prefix if NAME in prefix else f"{prefix}{NAME}/"
    async for seen in store.list(nowhere, recursive=False, metadata=False):
        _raise_gap(seen, store.facts)
    if sum(gate.requests.values()) > before:
        return
    # A store without such folders knows that without asking anybody: the beginning of the folder itself will tell.
    found = store.list(prefix, recursive=not prefix, metadata=False)
    async for seen in found:
        _raise_gap(seen, store.facts)
        if isinstance(found, AsyncGenerator):
            await found.aclose()
        break


async def _look(store: Looker, key: str, health: StoreHealth) -> None:
    health.asked.append(f"look at {key}")
    async for seen in store.stat([key]):
        _raise_gap(seen, store.facts)


def _raise_gap(seen: object, facts: StoreFacts) -> None:
    """What a listing could not see is what we look for here."""
    if isinstance(seen, Gap):
        kind = _KINDS.get(seen.code, StoreError)
        raise kind(seen.message, store=facts.name)


_KINDS = {kind.code: kind for kind in (AccessDenied, StoreUnavailable, InvalidSecret)}
