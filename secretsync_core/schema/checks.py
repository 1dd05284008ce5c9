"""What can only be checked with all documents at hand: names that repeat or dangle, and permissions that forbid."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel

from secretsync_core.schema.base import Credential
from secretsync_core.schema.documents import JobDocument, StoreDocument
from secretsync_core.schema.job import WritePolicy
from secretsync_core.schema.positions import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.schema.candidates import Candidate
    from secretsync_core.schema.positions import Path


def check_all(candidates: Sequence[Candidate]) -> None:
    """Note every problem between the documents, and the warnings, at the documents themselves."""
    _names(candidates)
    stores = {found.name: found for found in candidates if found.kind == "SecretStore" and found.name}
    for found in candidates:
        if isinstance(found.document, StoreDocument):
            _credentials(found, found.document)
            _address(found, found.document)
    for found in candidates:
        if isinstance(found.document, JobDocument):
            _items(found, found.document)
            _references(found, found.document, stores)


def _names(candidates: Sequence[Candidate]) -> None:
    same: defaultdict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for found in candidates:
        if found.kind and found.name:
            same[found.kind, found.name].append(found)
    for (kind, name), group in same.items():
        for found in group if len(group) > 1 else ():
            others = ", ".join(other.where() for other in group if other is not found)
            found.problem(("metadata", "name"), f"there is another {kind} called {name}", f"It is at {others}.")


# SecretStore


def _credentials(found: Candidate, store: StoreDocument) -> None:
    for path in _literals(store.config, ("spec", "provider", store.provider)):
        found.problem(
            path,
            f"{dotted(path[:-1])} stands in the document itself",
            "Documents end up in git: use {env: NAME} or {file: PATH}.",
            warning=True,
        )


def _literals(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, Credential):
        if value.value is not None:
            yield (*path, "value")
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _literals(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _literals(part, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _literals(part, (*path, index))


def _address(found: Candidate, store: StoreDocument) -> None:
    address = getattr(store.config, "address", None)
    if not isinstance(address, str) or not address.lower().startswith("http://"):
        return
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return
    if host != "localhost" and not host.startswith("127.") and host != "::1" and not host.endswith(".localhost"):
        found.problem(
            ("spec", "provider", store.provider, "address"),
            "the address is not https: tokens and secrets would cross the network for all to read",
            "Use https://, with tls.caFile where the certificate is your own.",
            warning=True,
        )


# SyncJob


def _items(found: Candidate, job: JobDocument) -> None:
    counts = Counter(item.name for item in job.spec.plan)
    first: dict[str | None, int] = {}
    for index, item in enumerate(job.spec.plan):
        if counts[item.name] > 1 and item.name in first:
            line = found.raw.positions.line(("spec", "plan", first[item.name], "name"))
            path: Path = ("spec", "plan", index, "name")
            found.problem(path, f"there is another plan item called {item.name}", f"It is in line {line}.")
        first.setdefault(item.name, index)
    for index, dest in enumerate(job.spec.dest):
        if dest in job.spec.dest[:index]:
            found.problem(("spec", "dest", index), f"spec.dest names {dest} twice")


def _references(found: Candidate, job: JobDocument, stores: dict[str, Candidate]) -> None:
    spec = job.spec
    sources: list[tuple[Path, str]] = []
    # The job's own source need not be fit to read if no item reads from it; but it has to be there.
    sources.append((("spec", "source"), spec.source))
    sources += [
        (("spec", "plan", index, "source"), item.source)
        for index, item in enumerate(spec.plan)
        if item.source is not None
    ]
    for path, name in sources:
        store = _store(found, path, name, stores)
        if store is not None and not store.permissions.may_read:
            hint = f"Its permissions are {store.permissions.value} ({stores[name].where()})."
            found.problem(path, f"{dotted(path)} is {name}, which may only be written", hint)
    for index, name in enumerate(spec.dest):
        path = ("spec", "dest", index)
        store = _store(found, path, name, stores)
        if store is None:
            continue
        hint = f"Its permissions are {store.permissions.value} ({stores[name].where()})."
        if not store.permissions.may_write:
            found.problem(path, f"spec.dest names {name}, which may only be read", hint)
        elif spec.write_policy is WritePolicy.MERGE and not store.permissions.may_read:
            found.problem(path, f"writePolicy Merge has to read {name}, which may only be written", hint)


def _store(found: Candidate, path: Path, name: str, stores: dict[str, Candidate]) -> StoreDocument | None:
    shown = dotted(found.raw.positions.known(path)) or "spec"
    target = stores.get(name)
    if target is None:
        close = difflib.get_close_matches(name, stores, 1)
        known = f"There are: {', '.join(sorted(stores)[:20])}." if stores else "There is no SecretStore at all."
        hint = f"Did you mean {close[0]}?" if close else known
        found.problem(path, f"{shown} names the SecretStore {name}, which there is not", hint)
        return None
    if not isinstance(target.document, StoreDocument) or not target.whole:
        found.problem(
            path, f"{shown} names the SecretStore {name}, which has problems of its own", f"See {target.where()}."
        )
    return target.document if isinstance(target.document, StoreDocument) else None
