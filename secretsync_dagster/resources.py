"""What ops work with: the documents as they were when the code location was loaded, and the ledger."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  a field of a dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.audit.keys import load_key
from secretsync_core.audit.ledger import Ledger
from secretsync_dagster.catalog import Catalog  # noqa: TC001  a field of a dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsync_core.schema.documents import Documents

STATE = ".secretsync"


def runtime_of(context: Any, key: str) -> Runtime:
    """The runtime behind a resource's key, from any of Dagster's contexts."""
    found: Runtime = getattr(context.resources, key)
    return found


class OpenLedger(NamedTuple):
    """An open ledger, and the keys that tell values apart in it, the newest first."""

    ledger: Ledger
    fingerprint_key: tuple[bytes, ...]


@dataclass(frozen=True)
class Runtime:
    """The resource that :func:`secretsync_dagster.naming.resource_key` names.

    Attributes:
        catalog: the documents that are whole, and what they are called in Dagster.
        directory: where the documents stand; the ledger is beside them unless ``ledger_url`` says otherwise.
        ledger_url: a path or ``postgresql://…``; empty for the default.
    """

    catalog: Catalog
    directory: Path
    ledger_url: str = ""

    @property
    def documents(self) -> Documents:
        """Every document that is whole."""
        return self.catalog.documents

    @property
    def environ(self) -> Mapping[str, str]:
        """Where ``{env: NAME}`` credentials are looked up."""
        return os.environ

    @contextlib.contextmanager
    def ledger(self, *, write: bool = True) -> Iterator[OpenLedger]:
        """The ledger, opened; made where there is none, unless it is only to be read.

        Raises LedgerMissing where there is none and not ``write``, LedgerError where it cannot be used.
        """
        home = self.directory / STATE
        url: str | Path = self.ledger_url or home / "ledger.db"
        if write and not self.ledger_url:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            ignore = home / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        keys = load_key(environ=os.environ, directory=home, create=write, ledger=url)
        opened = Ledger.open(url, seal_key=keys.seal, former=keys.former_seals, read_only=not write)
        try:
            yield OpenLedger(opened, keys.fingerprints)
        finally:
            opened.close()
