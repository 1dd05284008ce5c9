"""Which store is copied into which, as far as Dagster's lineage can show it: assets may not go round in circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secretsync_core.schema.documents import Documents


def links(documents: Documents) -> dict[str, set[str]]:
    """Which stores are copied into which destination, without those links that would close a circle.

    Assets may not depend on themselves in any number of steps; two jobs that copy both ways would.
    """
    into: dict[str, set[str]] = {}
    for job in documents.jobs.values():
        for dest in job.spec.dest:
            if not _reaches(into, job.spec.source, dest):
                into.setdefault(dest, set()).add(job.spec.source)
    return into


def _reaches(into: dict[str, set[str]], start: str, goal: str) -> bool:
    """Whether ``start`` is made, in any number of steps, from ``goal``."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        store = waiting.pop()
        if store == goal:
            return True
        if store not in seen:
            seen.add(store)
            waiting.extend(into.get(store, ()))
    return False
