"""``suspend: true``: such a SyncJob is synced on purpose only. One rule, for the command line and for Dagster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import UsageError

if TYPE_CHECKING:
    from secretsync_core.schema.documents import JobDocument


def why_suspended(job: JobDocument, *, on_purpose: bool, hint: str) -> UsageError | None:
    """Why a SyncJob is not to be synced now; None where it may be.

    Args:
        job: the document.
        on_purpose: whether whoever asks for the sync has said that it is meant for this one, though it is suspended.
        hint: how to say so.
    """
    if not job.spec.suspend or on_purpose:
        return None
    return UsageError(f"SyncJob {job.name} is suspended: its document says suspend: true", hint=hint)
