"""What Dagster says of documents that are not there: one line, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.cli.escape import safe

if TYPE_CHECKING:
    from pathlib import Path


def missing(path: Path, scope: str) -> dg.DagsterInvalidDefinitionError:
    """The error for a file or directory of documents that is not there; ``scope`` is empty outside of components.

    It fails the code location, and with it ``dg check`` and every run: to go on without would say that all is well.
    """
    mend = "`directory` or `documents` in the component's defs.yaml" if scope else "SECRETSYNC_CONFIG"
    return dg.DagsterInvalidDefinitionError(
        f"there are no documents at {safe(str(path))}: create it, or set {mend} to where they are"
    )
