"""What plan items ask of stores that cannot have it, as far as the documents show that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.expression.glob import parts_of
from secretsync_core.model.capabilities import Feature
from secretsync_core.schema.documents import JobDocument, StoreDocument
from secretsync_core.schema.plugins import BUILT_IN
from secretsync_core.schema.positions import dotted
from secretsync_core.schema.providers import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from secretsync_core.schema.candidates import Candidate
    from secretsync_core.schema.job import PlanItem, QuerySelector
    from secretsync_core.schema.positions import Path

_NO_KEYS = ("", ".", "..")
"""Parts that no key has in any of our stores that are elsewhere: they would be resolved on the way there."""


def check_asked(candidates: Sequence[Candidate], stores: Mapping[str, Candidate]) -> None:
    """Note a problem at everything that a store cannot have."""
    for found in candidates:
        if isinstance(found.document, JobDocument):
            for index, item in enumerate(found.document.spec.plan):
                _item(found, found.document, index, item, stores)


def _item(found: Candidate, job: JobDocument, index: int, item: PlanItem, stores: Mapping[str, Candidate]) -> None:
    path: Path = ("spec", "plan", index)
    source = _store(stores, item.source or job.spec.source)
    if source is not None:
        lacks = lacking(source.provider, source.config)
        for where, query in _queries(path, item):
            _query(found, where, query, source, lacks_types=Feature.TYPES in lacks, lacks_all=Feature.METADATA in lacks)
    if item.metadata is None:
        return
    copy: Path = (*path, "metadata", "copy")
    if source is not None and Feature.METADATA in lacks:
        found.problem(copy, f"{dotted(copy)}: the SecretStore {source.name} has no metadata to copy", _told(source))
    for name in job.spec.dest:
        dest = _store(stores, name)
        if dest is not None and Feature.METADATA in lacking(dest.provider, dest.config):
            found.problem(copy, f"{dotted(copy)}: the SecretStore {name} keeps no metadata", _told(dest))


def _queries(path: Path, item: PlanItem) -> Iterator[tuple[Path, QuerySelector]]:
    if item.query is not None:
        yield (*path, "query"), item.query
    for at, part in enumerate(item.combine or ()):
        if part.query is not None:
            yield (*path, "combine", at, "query"), part.query


def _query(
    found: Candidate, path: Path, query: QuerySelector, source: StoreDocument, *, lacks_types: bool, lacks_all: bool
) -> None:
    if query.type is not None and lacks_types:
        where: Path = (*path, "type")
        message = f"{dotted(where)}: the SecretStore {source.name} has no types of secrets to select by"
        found.problem(where, message, f"{_told(source)} Only Secrets of Kubernetes have types.")
    if query.metadata and lacks_all:
        where = (*path, "metadata")
        message = f"{dotted(where)}: the SecretStore {source.name} has no metadata to select by"
        found.problem(where, message, _told(source))
    if source.provider in BUILT_IN and source.provider != "memory":
        where = (*path, "path")
        for part in parts_of(query.path):
            if part.literal in _NO_KEYS:
                what = f"the part '{part.literal}'" if part.literal else "two slashes in a row"
                message = f"{dotted(where)} has {what}, which no key of the SecretStore {source.name} has"
                found.problem(where, message, "Write each folder by its name, with one slash between them.")
                break


def _told(store: StoreDocument) -> str:
    """Why a store has it not."""
    if store.provider == "vault" and getattr(store.config, "kv_version", None) == 1:
        return "It has kvVersion: 1, and custom metadata came with version 2."
    return f"It is {store.provider}."


def _store(stores: Mapping[str, Candidate], name: str) -> StoreDocument | None:
    found = stores.get(name)
    return found.document if found is not None and isinstance(found.document, StoreDocument) else None
