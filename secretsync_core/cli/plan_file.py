"""Saved plans as the command line has them: ``plan --out FILE`` and ``sync --plan FILE``."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from secretsync_core.audit.ledger import LedgerMissing
from secretsync_core.cli import workspace
from secretsync_core.cli.whole_files import replace_file
from secretsync_core.errors import PlanRefused, UsageError
from secretsync_core.run import saved_plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from secretsync_core.cli.call import Call
    from secretsync_core.run.done import Planned
    from secretsync_core.run.options import Options
    from secretsync_core.run.saved_plan import SavedJob
    from secretsync_core.schema.documents import Documents, JobDocument


_LARGEST = 1 << 30  # a million keys take some 270 MB


def save(file: Path, planned: Sequence[tuple[SavedJob, Planned]], key: bytes) -> str:
    """Write a plan to a file, whole or not at all, for its owner alone; gives its digest. Raises UsageError."""
    data = saved_plan.seal([saved_plan.Content(bound, plan.changes, plan.named) for bound, plan in planned], key)
    replace_file(file, [data])
    return saved_plan.digest_of(data)


def approved(file: Path, call: Call, options: Options, documents: Documents) -> list[tuple[JobDocument, Options]]:
    """Read a saved plan and check all of it, before anything is done; gives its jobs, and what to ask of each run.

    Raises UsageError where the call says again what the plan says, or the file cannot be read; PlanRefused where the
    plan must not be carried out.
    """
    _refuse_what_it_says(call, options)
    data = _read(file)
    try:
        pair = workspace.keys(call)
    except LedgerMissing:
        raise PlanRefused(
            ["the saved plan is refused: there is no ledger here yet, so it was made with another one"],
            hint="name the ledger with --ledger or --config, or make a new plan with `secretsync plan --out FILE`",
        ) from None
    plan = saved_plan.unseal(data, (pair.plan, *(former.plan for former in pair.former)))
    with workspace.ledger_if_any(call) as opened:
        saved_plan.check(plan, documents, opened.ledger if opened is not None else None, pair.plan)
    return [(documents.jobs[job.job], plan.options_of(job, pair.plan)) for job in plan.jobs]


def _read(file: Path) -> bytes:
    """The whole file. What is no file, or far larger than any plan, is not waited for."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"the plan {file} cannot be read: it is not a regular file")
            if found.st_size > _LARGEST:
                raise UsageError(f"the plan {file} is larger than any plan: {found.st_size >> 20:,} MiB")
            return stream.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"the plan {file} cannot be read: {error.strerror}") from None


def _refuse_what_it_says(call: Call, options: Options) -> None:
    given = {
        "JOB": call.names,
        "--item": call.items,
        "--verify": options.verify,
        "--max-delete": options.max_delete is not None,
        "--adopt": options.adopt,
        "--restored": options.restored,
    }
    if said := [name for name, there in given.items() if there]:
        raise UsageError(
            f"--plan cannot be combined with {', '.join(said)}: the plan says it already",
            hint="leave it out, or make a new plan with it",
        )
