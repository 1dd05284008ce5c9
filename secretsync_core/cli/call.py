"""What the commands that work on documents have in common in a call."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  NamedTuple fields are looked up at run time
from typing import NamedTuple


class Call(NamedTuple):
    """Which documents, which jobs, which ledger.

    Attributes:
        config: the directory with the documents; None for the default.
        names: the jobs named; empty for all that are not suspended.
        items: the plan items named; empty for all.
        source, dest, job: the paper's own form: three files instead of a directory.
        ledger: the ledger's URL or path; None for the default.
    """

    config: Path | None = None
    names: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    source: Path | None = None
    dest: Path | None = None
    job: Path | None = None
    ledger: str | None = None
