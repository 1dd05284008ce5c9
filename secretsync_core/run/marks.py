"""Which secrets say themselves that this job of this installation made them, or will."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from collections.abc import Collection

    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.opening import OpenStores


def marks_what_it_takes(plan: JobPlan, opened: OpenStores, dest: str) -> bool:
    """Whether what a job takes over at a destination carries its mark from then on."""
    return opened.get(dest).marker is not None and bool(opened.mark) and plan.spec.ownership.mark is not False


async def carrying_our_mark(opened: OpenStores, dest: str, keys: Collection[str]) -> set[str]:
    """Those of ``keys`` that carry our mark, or one of ours from before. A mark that we may not see proves nothing."""
    halves, ours = opened.get(dest), {opened.mark, *opened.former_marks} - {""}
    if halves.marker is None or not ours:
        return set()
    try:
        marks = await halves.marker.marks(keys)
    except CredentialsRefused:
        raise
    except AccessDenied:
        return set()
    return {key for key, mark in marks.items() if mark in ours}
