"""``secretsync audit export``: every record as a line of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.audit.export import export
from secretsync_core.cli import exits, workspace
from secretsync_core.cli.escape import safe_json
from secretsync_core.cli.whole_files import replace_file
from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_core.known import hint_of

if TYPE_CHECKING:
    from pathlib import Path

    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output


def run(output: Output, call: Call, *, job: str | None, file: Path | None) -> int:
    """Write the records of one job or of all to a file, or to stdout."""
    with workspace.ledger(call) as opened:
        if job is not None and job not in (jobs := opened.ledger.jobs()):
            raise UsageError("--job names no job in the ledger", hint=hint_of([job], jobs, there="jobs in the ledger"))
        lines = map(safe_json, export(opened.ledger.records(job=job)))
        if file is None:
            output.data(lines)
        else:
            count = replace_file(file, lines)
            output.note(f"{plural(count, 'record')} written to {file}")
    return exits.OK
