"""What the pages of a job and of its asset begin with, where there is anything that comes before all else.

Plain text: the lists of jobs and assets show the first line of a description as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.cli.escape import safe
from secretsync_core.cli.markdown import code, note

if TYPE_CHECKING:
    from secretsync_core.errors import UsageError


def banner(broken: UsageError | None, *, suspended: bool) -> str:
    """The first lines of a SyncJob's pages, in Markdown; empty where all is as usual.

    ``broken`` is what is wrong with its document, and ``suspended`` is whether it says ``suspend: true``.
    """
    if broken is not None:
        return f"Broken: its runs fail. {note(broken.message)}\n\nTo mend it, {safe(broken.hint)}.\n\n"
    if suspended:
        return (
            "Suspended: nothing syncs it, neither schedules nor changes nor Materialize.\n\n"
            f"To sync it once, launch it in its Launchpad with {code('runSuspended: true')}.\n\n"
        )
    return ""
