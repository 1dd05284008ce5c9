"""What the plan wants, key by key: the output of phase 2, before anything is compared."""

from __future__ import annotations

from typing import NamedTuple


class SourceRef(NamedTuple):
    """One source secret of a target. ``part`` is the name of the ``combine`` part it belongs to, or empty."""

    store: str
    key: str
    part: str = ""
    relative: str = ""  # within combine: the key below its query's path, by which templates look it up
    field: str | None = None  # with split: the one field of it that the target is


class Target(NamedTuple):
    """One destination secret as the plan wants it, the same for every destination of the job.

    ``version`` says what its sources are at: the version token of a single source, a digest of all of them for
    several, ``None`` where a source has no versions.
    """

    item: str
    key: str
    sources: tuple[SourceRef, ...]
    version: str | None
