"""``secretsync lease break``: end a job's lease, whoever has it, and say whose it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core import known
from secretsync_core.cli import exits, workspace
from secretsync_core.cli.escape import safe
from secretsync_core.cli.times import iso
from secretsync_core.errors import UsageError

if TYPE_CHECKING:
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output


def run(output: Output, call: Call, job: str) -> int:
    """End the lease of ``job``, which the ledger has to know."""
    with workspace.ledger_there(call) as opened:
        leases = opened.ledger.leases
        jobs = {*opened.ledger.jobs(), *(lease.job for lease in leases.held())}
        if job not in jobs:
            raise UsageError(
                "JOB names no job in the ledger", hint=known.hint_of([job], jobs, there="the ledger's jobs are")
            )
        taken = leases.take_away(job)
    if output.json:
        lease = (
            {"holder": taken.holder, "since": iso(taken.acquired / 1e6), "until": iso(taken.expires / 1e6)}
            if taken
            else None
        )
        output.document({"job": job, "lease": lease, "exitCode": exits.OK})
        return exits.OK
    if taken is None:
        output.line(f"nobody holds the lease of {job}: nothing to do")
    else:
        held = f"since {iso(taken.acquired / 1e6)}, until {iso(taken.expires / 1e6)}"
        output.line(f"the lease of {job} was held by {safe(taken.holder)}, {held}, and is free now")
        output.note(
            "if that run is still alive, it records nothing more and stops; the next run finds out what it wrote last"
        )
    output.flush()
    return exits.OK
