"""How people see the keys that a job holds: what each is a copy of, in which versions, and since which run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.cli.escape import safe
from secretsync_core.cli.plan_order import versions_of
from secretsync_core.cli.times import clock, minute
from secretsync_core.cli.wording import reason

if TYPE_CHECKING:
    from secretsync_core.audit.held import FailedKey, HeldKey


def names(key: HeldKey | FailedKey, *, dest: bool, source: bool) -> str:
    """``key <- source key``, the source's where it is another one; with the names of the stores that are asked for."""
    told = f"{key.dest}: {key.key}" if dest else key.key
    if not key.source:
        return safe(f"{told} <- several sources")
    if source:
        return safe(f"{told} <- {key.source}: {key.source_key}")
    return safe(told if key.source_key == key.key else f"{told} <- {key.source_key}")


def versions(key: HeldKey, *, whole: bool) -> str:
    """The destination's version, and the source's; cut where they are long and not wanted ``whole``."""
    return versions_of(key.dest_version, key.source_version, whole=whole)


def since(key: HeldKey, *, whole: bool) -> str:
    """When a run wrote it, or found it there as it would have written it, and which; in short where not ``whole``."""
    if whole:
        return f"{'written' if key.written else 'found the same'} {clock(key.time / 1e6)}, run {key.run}"
    found = "" if key.written else "found the same "
    return f"{found}{minute(key.time / 1e6)}, run {short_run(key.run)}"


def short_run(run: str) -> str:
    """A run's id as people tell runs apart: Dagster's by its first digits, as its own pages have it, and ours, which
    begins with the time, by its last."""
    began, _, last = run.rpartition("-")
    return f"…{last}" if began.endswith("Z") else run[:8]


def failure(key: FailedKey) -> str:
    """Why the last run failed at it."""
    return f"failed {clock(key.time / 1e6)}, run {key.run}: {reason(key.code)}"
