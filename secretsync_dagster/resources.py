"""What ops work with: the documents as they were when the code location was loaded, and the ledger."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path  # noqa: TC003  a field of a dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.audit.home import DIRECTORY
from secretsync_core.audit.opening import open_ledger
from secretsync_core.audit.signed import keys_for_signing
from secretsync_dagster.catalog import Catalog  # noqa: TC001  a field of a dataclass
from secretsync_dagster.on_disk import OnDisk  # noqa: TC001  a field of a dataclass
from secretsync_dagster.programs import serves_a_code_location

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from secretsync_core.audit.keys import KeyPair
    from secretsync_core.audit.opening import OpenLedger
    from secretsync_core.schema.documents import Documents


def make_resource(runtime: Runtime) -> dg.ResourceDefinition:
    """The resource that is ``runtime``, with a name and a description for Dagster's page of resources."""

    def secretsync_documents(_: dg.InitResourceContext) -> Runtime:
        return runtime

    return dg.ResourceDefinition(
        secretsync_documents, description="The documents as the code location has loaded them, and their ledger."
    )


def runtime_of(context: Any, key: str) -> Runtime:
    """The runtime behind a resource's key, from any of Dagster's contexts."""
    found: Runtime = getattr(context.resources, key)
    return found


@dataclass(frozen=True)
class Runtime:
    """The resource that :func:`secretsync_dagster.naming.resource_key` names.

    Attributes:
        catalog: the documents that are whole, and what they are called in Dagster.
        directory: where the documents stand; the ledger is beside them unless ``ledger_url`` says otherwise.
        ledger_url: a path or ``postgresql://…``; empty for the default.
        home: the directory of the ledger and its key, where that is not ``.secretsync`` in ``directory``.
        on_disk: the documents' files, as they may have become since; None where documents are of no files.
    """

    catalog: Catalog
    directory: Path
    ledger_url: str = field(default="", repr=False)  # it may hold a password
    home: Path | None = None
    on_disk: OnDisk | None = None

    @property
    def documents(self) -> Documents:
        """Every document that is whole."""
        return self.catalog.documents

    @property
    def environ(self) -> Mapping[str, str]:
        """Where ``{env: NAME}`` credentials are looked up."""
        return os.environ

    @cached_property
    def keys(self) -> KeyPair | None:
        """What signs the documents that runs are to have; None where there is no key. A code server makes one."""
        home = self.home or self.directory / DIRECTORY
        return keys_for_signing(home, self.ledger_url, environ=os.environ, create=serves_a_code_location())

    def ledger(self, *, write: bool = True) -> AbstractContextManager[OpenLedger]:
        """The ledger, opened; made where there is none, unless it is only to be read.

        Raises LedgerMissing where there is none and not ``write``, LedgerError where it cannot be used.
        """
        home = self.home or self.directory / DIRECTORY
        return open_ledger(home, self.ledger_url, environ=os.environ, write=write, below=self.home is not None)
