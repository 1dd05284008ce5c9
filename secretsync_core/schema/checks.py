"""What can only be checked with all documents at hand: names that repeat or dangle, and permissions that forbid."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from secretsync_core.key_rules import misnomer
from secretsync_core.known import listed, nearest
from secretsync_core.model.capabilities import Feature, Permissions
from secretsync_core.schema.base import NAME_PATTERN
from secretsync_core.schema.documents import JobDocument, StoreDocument
from secretsync_core.schema.job import WritePolicy
from secretsync_core.schema.literals import literals
from secretsync_core.schema.mark_room import check_room
from secretsync_core.schema.positions import dotted
from secretsync_core.schema.providers import key_limits_of, lacking
from secretsync_core.schema.unsupported import check_asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.schema.candidates import Candidate
    from secretsync_core.schema.positions import Path


def check_all(candidates: Sequence[Candidate]) -> None:
    """Note every problem between the documents, and the warnings, at the documents themselves."""
    _names(candidates)
    stores = {found.name: found for found in candidates if found.kind == "SecretStore" and found.name}
    for found in candidates:
        if isinstance(found.document, StoreDocument):
            _credentials(found, found.document.config, ("spec", "provider", found.document.provider))
        elif isinstance(found.document, JobDocument):
            _credentials(found, found.document.spec.notify, ("spec", "notify"))
    for found in candidates:
        if found.kind == "SyncJob":
            _items(found)
            _sources(found, stores)
            _destinations(found, stores)
            _keys(found, stores)
    check_asked(candidates, stores)
    check_room(candidates, stores)


def _names(candidates: Sequence[Candidate]) -> None:
    same: defaultdict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for found in candidates:
        if found.kind and found.name:
            same[found.kind, found.name].append(found)
    for (kind, name), group in same.items():
        for found in group if len(group) > 1 else ():
            others = ", ".join(other.where() for other in group if other is not found)
            found.problem(("metadata", "name"), f"another {kind} is named {name}", f"It is at {others}.")


def _credentials(found: Candidate, part: object, where: Path) -> None:
    for path in literals(part, where):
        found.problem(
            path,
            f"{dotted(path[:-1] if path[-1] == 'value' else path)} is written into the document",
            "Documents end up in git: use {env: NAME} or {file: PATH}.",
            warning=True,
        )


# SyncJob: looked at as it stands in the file, so that a job with other faults shows these as well


def _jobs_spec(found: Candidate) -> dict[str, Any]:
    spec = found.raw.data.get("spec")
    return spec if isinstance(spec, dict) else {}


def _plan(found: Candidate) -> list[dict[str, Any]]:
    plan = _jobs_spec(found).get("plan")
    return [item if isinstance(item, dict) else {} for item in plan] if isinstance(plan, list) else []


def _items(found: Candidate) -> None:
    first: dict[str, int] = {}
    for index, item in enumerate(_plan(found)):
        name = item.get("name")
        if not _is_name(name):
            continue
        path: Path = ("spec", "plan", index, "name")
        line = found.raw.positions.line(path)
        if name in first:
            found.problem(path, f"another plan item is named {name}", f"See line {first[name]}.")
        first.setdefault(str(name), line)


def _sources(found: Candidate, stores: dict[str, Candidate]) -> None:
    # The job's own source has to be fit to read even where every item has another, as the next item may not.
    named: list[tuple[Path, Any]] = [(("spec", "source"), _jobs_spec(found).get("source"))]
    named += [(("spec", "plan", index, "source"), item.get("source")) for index, item in enumerate(_plan(found))]
    for path, name in named:
        store = _store(found, path, name, stores)
        if store is not None and (why := _unreadable(store)):
            hint = _hint_of(store, stores[store.name])
            found.problem(path, f"{dotted(path)} names {name}, which {why}", hint)


def _destinations(found: Candidate, stores: dict[str, Candidate]) -> None:
    spec = _jobs_spec(found)
    given = spec.get("dest")
    names = given if isinstance(given, list) else [given]
    for index, name in enumerate(names):
        path: Path = ("spec", "dest", index)
        if _is_name(name) and name in names[:index]:
            found.problem(path, "spec.dest names the same SecretStore twice")
            continue
        store = _store(found, path, name, stores)
        if store is None:
            continue
        hint = _hint_of(store, stores[name])
        if not store.permissions.may_write:
            found.problem(path, f"spec.dest names {name}, which is read-only", hint)
        elif (why := _unreadable(store)) and any(
            part.get("writePolicy") == WritePolicy.MERGE.value for part in (spec, *_plan(found))
        ):
            found.problem(path, f"writePolicy Merge needs to read {name}, which {why}", hint)
        elif spec.get("driftCheck") is not None and _is_blind(store):
            hint = f"{hint} With look: true its versions may be looked at."
            found.problem(path, f"driftCheck cannot look at {name}, which is write-only", hint, warning=True)


def _hint_of(store: StoreDocument, at: Candidate) -> str:
    """What makes a store unfit."""
    if store.permissions is Permissions.READ_WRITE:
        return f"It is {store.provider} ({at.where()})."
    return f"Its permissions are {store.permissions.value} ({at.where()})."


def _unreadable(store: StoreDocument) -> str:
    """Why a store's values cannot be read, as far as its document tells; empty where they can."""
    if Feature.VALUES in lacking(store.provider, store.config):
        return "shows no values"
    return "" if store.permissions.may_read else "is write-only"


def _is_blind(store: StoreDocument) -> bool:
    """Whether not even versions are looked at."""
    if store.permissions.may_read:
        return False
    return not (Feature.VALUES in lacking(store.provider, store.config) if store.look is None else store.look)


def _keys(found: Candidate, stores: dict[str, Candidate]) -> None:
    """Keys that name a secret in another way of the service: an ARN, say, which is no key in any of its stores."""
    for index, item in enumerate(_plan(found)):
        parts = item.get("combine")
        named: list[tuple[Path, Any]] = [(("spec", "plan", index), item)]
        for at, part in enumerate(parts if isinstance(parts, list) else []):
            named.append((("spec", "plan", index, "combine", at), part))
        target = stores.get(str(item.get("source") or _jobs_spec(found).get("source")))
        if target is None or not isinstance(target.document, StoreDocument):
            continue
        limits = key_limits_of(target.document.provider)
        for path, part in named if limits is not None else ():
            secret = part.get("secret") if isinstance(part, dict) else None
            key = secret.get("key") if isinstance(secret, dict) else None
            if limits is not None and isinstance(key, str) and (fault := misnomer(key, limits)):
                where: Path = (*path, "secret", "key")
                message = f"{dotted(where)} is no key of the SecretStore {target.name}"
                found.problem(where, message, f"{fault[0].upper()}{fault[1:]}.")


def _store(found: Candidate, path: Path, name: object, stores: dict[str, Candidate]) -> StoreDocument | None:
    if not isinstance(name, str) or not _is_name(name):
        return None  # left out, or no name at all: validation tells which
    shown = dotted(found.raw.positions.known(path)) or "spec"
    target = stores.get(name)
    if target is None:
        close = nearest(name, stores)
        known = f"There are: {listed(stores)}." if stores else "There is no SecretStore."
        hint = f"Did you mean {close}?" if close else known
        found.problem(path, f"{shown} names a SecretStore that does not exist", hint)
        return None
    if not target.whole:
        message = f"{shown} names the SecretStore {name}, which has errors itself"
        found.problem(path, message, f"See {target.where()}.", store=name)
    return target.document if isinstance(target.document, StoreDocument) else None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(NAME_PATTERN, value) is not None
