"""What loading gives: checked documents, each knowing where it stands. No values, no credentials, no network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from secretsync_core.endurance import Endurance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from secretsync_core.errors import Problem
    from secretsync_core.model.capabilities import Permissions
    from secretsync_core.schema.job import SyncJobSpec


@dataclass(frozen=True, slots=True)
class Where:
    """Where a document stands: the file as the user named it, and the 1-based line of its first key."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class StoreDocument:
    """One checked SecretStore.

    ``config`` is the instance of the provider's own model, paths made absolute; ``labels`` and ``annotations`` are what
    its author says; ``endurance`` is what of the store is put up with; ``look`` is whether it is looked at where it may
    only be written, None where that depends on what the store is. ``data`` is what was read of it, less the
    credentials that stand in it themselves; ``literal`` says that there are any.
    """

    name: str
    permissions: Permissions
    provider: str
    config: BaseModel
    where: Where
    labels: Mapping[str, str] = field(default_factory=dict)
    endurance: Endurance = field(default_factory=Endurance)
    annotations: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    literal: bool = field(default=False, compare=False)
    look: bool | None = None


@dataclass(frozen=True, slots=True)
class JobDocument:
    """One checked SyncJob. Every item of ``spec.plan`` has a name that is unique within the job.

    ``data`` is what was read of it, for display: less the credentials that stand in it themselves. ``literal`` says
    that there are any.
    """

    name: str
    spec: SyncJobSpec
    where: Where
    data: Mapping[str, Any] = field(compare=False, repr=False)
    literal: bool = field(default=False, compare=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The document as YAML, for display: written anew, without its comments, which are for those who have it."""
        import yaml  # here, since only Dagster's pages show it

        dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        return str(yaml.dump(dict(self.data), Dumper=dumper, sort_keys=False, allow_unicode=True))


@dataclass(frozen=True, slots=True)
class BrokenJob:
    """A SyncJob that has errors, or whose stores have: what could be understood of it, to be shown and never to be run.

    ``problems`` are its errors, and of each store with errors that it names the first.
    """

    document: JobDocument
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class BrokenStore:
    """A SecretStore that has errors: what could be understood of it, to be shown and never to be opened."""

    document: StoreDocument
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """The documents that are not whole, as far as they have names.

    ``unread`` are the errors of files, or parts of them, of which nobody knows whose document stood there.
    """

    jobs: Mapping[str, BrokenJob] = field(default_factory=dict)
    stores: Mapping[str, BrokenStore] = field(default_factory=dict)
    unread: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents of one configuration that are whole, by name, and the warnings that came with them.

    ``state`` are the directories and files that hold the ledger and its key: what no store and no credential may be.
    ``broken`` are the others, for those who show them.
    """

    stores: Mapping[str, StoreDocument]
    jobs: Mapping[str, JobDocument]
    warnings: tuple[Problem, ...] = ()
    state: tuple[str, ...] = ()
    broken: Broken = field(default_factory=Broken)
