"""A SyncJob as the engine works on it: each plan item with its inputs, its key transform and its definition's hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from secretsync_core.errors import UsageError
from secretsync_core.known import hint_of, of_that_name
from secretsync_core.metadata_rules import takes
from secretsync_core.model.metadata import Kind
from secretsync_core.schema.encoding import dumped
from secretsync_core.schema.job import DeletionPolicy, MetadataKind, WritePolicy
from secretsync_core.schema.keys import KeyMapper
from secretsync_core.schema.quantities import Amount

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from secretsync_core.schema.documents import JobDocument
    from secretsync_core.schema.encoding import Encodings
    from secretsync_core.schema.job import (
        PlanItem,
        QuerySelector,
        SecretSelector,
        SyncJobSpec,
        ValueTransform,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One input of an item: a secret or a query in a source store. ``name`` is empty unless the item combines."""

    name: str
    store: str
    secret: SecretSelector | None
    query: QuerySelector | None


@dataclass(frozen=True, slots=True)
class Item:
    """One plan item.

    Attributes:
        name: unique within the job.
        parts: its inputs; exactly one unless ``combined``.
        combined: whether all inputs become one destination secret, at ``key``.
        key: the destination's key of a combined item, else empty.
        keys: maps a source key to the destination's, for items that do not combine.
        steps: the value transform.
        encoding: how bytes and text become each other.
        split: whether each field of a source secret becomes a destination secret of its own.
        definition: hex SHA-256 of everything that decides what the item makes of given sources.
        write_policy, deletion_policy, adopt: its own, or else the job's.
        copied: names of the metadata that is copied with the value, and patterns for them.
        settings: the settings that are copied with it.
        copy_as: the kind that it becomes where there are several.
    """

    name: str
    parts: tuple[Part, ...]
    combined: bool
    key: str
    keys: KeyMapper
    steps: tuple[ValueTransform, ...]
    encoding: Encodings
    split: bool
    definition: str
    write_policy: WritePolicy
    deletion_policy: DeletionPolicy
    adopt: bool
    copied: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    copy_as: Kind | None = None

    @property
    def carries(self) -> bool:
        """Whether anything is copied beside the value."""
        return bool(self.copied or self.settings)

    def copies(self, name: str) -> bool:
        """Whether a piece of metadata is copied, by its name."""
        return any(takes(pattern, name) for pattern in self.copied)


_KINDS = {MetadataKind.LABELS: Kind.LABEL, MetadataKind.ANNOTATIONS: Kind.ANNOTATION}


@dataclass(frozen=True, slots=True)
class JobPlan:
    """The whole job: its items in the order of the document, and the settings that the diff needs.

    ``adopt`` are destination keys, or ``<destination>:<key>``, that this run takes over. ``restored`` are stores that
    this run takes as they are, although the ledger knows a later state of them. ``given`` are keys, by destination,
    of which a look at more items has decided for these, whoever else may claim them. ``rest`` is what the document
    says of the items that this run leaves out, by name.
    """

    job: str
    items: tuple[Item, ...]
    names: frozenset[str]  # of every item in the document, also those that this run leaves out
    partial: bool  # whether this run leaves items out
    spec: SyncJobSpec
    adopt: frozenset[str] = frozenset()
    restored: frozenset[str] = frozenset()
    given: frozenset[tuple[str, str]] = frozenset()
    rest: Mapping[str, PlanItem] = field(default_factory=dict)

    def item(self, name: str) -> Item:
        """An item of the document; one that this run leaves out is made anew each time, for few runs ask."""
        if name in self.rest:
            return _item(self.rest[name], self.spec)
        return next(item for item in self.items if item.name == name)

    def told_by_items(self, names: Iterable[str]) -> set[str]:
        """Items of the document; an empty name, the job as a whole, stands for those that it has no longer."""
        return {name if name in self.names else "" for name in names}

    def adopts(self, dest: str, key: str) -> bool:
        """Whether this run takes over a key by its name."""
        return bool(self.adopt) and (key in self.adopt or f"{dest}:{key}" in self.adopt)

    @property
    def deletes(self) -> dict[str, bool]:
        """Of each item of this run, whether its secrets go with their sources."""
        return {item.name: item.deletion_policy is DeletionPolicy.DELETE for item in self.items}

    @property
    def deletes_gone(self) -> bool:
        """Whether the secrets of items that left the document go."""
        return self.spec.deletion_policy is DeletionPolicy.DELETE

    @property
    def sources(self) -> list[str]:
        """The names of all source stores, each once, in the order of their first use."""
        return list(dict.fromkeys(part.store for item in self.items for part in item.parts))


def check_restored(restored: Collection[str], jobs: Iterable[JobDocument]) -> None:
    """Raise UsageError where a store that was restored, it is said, is none that these jobs read from or write to."""
    specs = [job.spec for job in jobs]
    named = {name for spec in specs for name in (spec.source, *(entry.source for entry in spec.plan), *spec.dest)}
    stores = {name for name in named if name}
    if strange := sorted(set(restored) - stores):
        raise UsageError(
            "no SyncJob of this run uses the store that is said to be restored",
            hint=hint_of(strange, stores, there="its stores are"),
        )


def build_plan(
    job: JobDocument,
    only: Collection[str] = (),
    *,
    max_delete: int | None = None,
    adopt: Collection[str] = (),
    restored: Collection[str] = (),
) -> JobPlan:
    """Turn a checked SyncJob into items; ``only`` names the items to keep (empty: all).

    ``max_delete``, a count, takes the place of the document's. ``adopt`` and ``restored`` are as :class:`JobPlan` has
    them.

    Raises UsageError where ``only`` names an item that the job does not have.
    """
    names = [item.name or "" for item in job.spec.plan]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise UsageError(
            f"SyncJob {job.name} has no item {of_that_name(len(unknown))}",
            hint=hint_of(unknown, names, there="its items are"),
        )
    items = tuple(_item(entry, job.spec) for entry in job.spec.plan if not only or entry.name in only)
    spec = job.spec if max_delete is None else job.spec.model_copy(update={"max_delete": Amount(count=max_delete)})
    return JobPlan(
        job.name,
        items,
        frozenset(names),
        len(items) < len(names),
        spec,
        frozenset(adopt),
        frozenset(restored),
        rest={entry.name or "": entry for entry in job.spec.plan if only and entry.name not in only},
    )


def _item(entry: PlanItem, spec: SyncJobSpec) -> Item:
    store = entry.source or spec.source
    if entry.combine is not None:
        parts = tuple(Part(part.name, store, part.secret, part.query) for part in entry.combine)
    else:
        parts = (Part("", store, entry.secret, entry.query),)
    name = entry.name or ""
    write_policy = entry.write_policy or spec.write_policy
    return Item(
        name=name,
        parts=parts,
        combined=entry.combine is not None,
        key=entry.key or "",
        keys=KeyMapper(entry.key_transform, item=name),
        steps=entry.value_transform,
        encoding=entry.encoding,
        split=entry.split is not None,
        definition=_definition(entry, parts, write_policy),
        write_policy=write_policy,
        deletion_policy=entry.deletion_policy or spec.deletion_policy,
        adopt=entry.ownership.adopt if entry.ownership is not None else spec.ownership.adopt,
        copied=entry.metadata.copy_ if entry.metadata is not None else (),
        settings=tuple(each.value for each in entry.metadata.settings) if entry.metadata is not None else (),
        copy_as=_KINDS[entry.metadata.as_] if entry.metadata is not None and entry.metadata.as_ is not None else None,
    )


def _definition(entry: PlanItem, parts: tuple[Part, ...], policy: WritePolicy) -> str:
    """Hash what decides the value that a given source gives, and nothing that only selects or names keys."""
    facts = {
        "parts": [
            [
                part.name,
                part.store,
                [part.secret.key, part.secret.property, part.secret.version] if part.secret else None,
                # Which keys a query selects matters to the value only where they are combined into one.
                _query(part.query) if part.query and entry.combine is not None else None,
            ]
            for part in parts
        ],
        "steps": [_without_new(step.model_dump(mode="json")) for step in entry.value_transform],
        "encoding": dumped(entry.encoding),
        "split": entry.split,
        "merge": policy is WritePolicy.MERGE,
    }
    return hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _query(query: QuerySelector) -> dict[str, Any]:
    """A query in the same way."""
    unset = {name for name in ("exclude", "type") if not getattr(query, name)}
    return query.model_dump(mode="json", exclude=unset)


def _without_new(step: dict[str, Any]) -> dict[str, Any]:
    """A step as it was dumped before it could say what it does not say: its hash stays what the ledger has."""
    fields = step.get("fields_")
    if fields is not None and not fields["drop_null"]:
        del fields["drop_null"]
    return step
