"""``secretsync metrics``: what the ledger can count, for Prometheus. Touches no store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from secretsync_core.cli import exits, workspace
from secretsync_core.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output


def run(output: Output, call: Call, *, textfile: Path | None, verify: bool) -> int:
    """Write the metrics to a file, whole or not at all, or to stdout. A ledger that cannot be read is one of them."""
    from secretsync_core.cli.exposition import Facts, generate_latest, registry, write_to_textfile
    from secretsync_core.run.findings import findings

    jobs = list(workspace.read(call).jobs.values())
    facts = Facts(jobs, {}, {}, 0, datetime.now(UTC))
    code = exits.OK
    try:
        with workspace.ledger_if_any(call) as opened:
            if opened is not None:
                ledger = opened.ledger
                sound = {"heads": all(report.sound for report in ledger.verify_heads())}
                if verify:
                    sound["records"] = all(report.sound for report in ledger.verify())
                measures = {measure.summary.job: measure for measure in ledger.runs.measures()}
                kept = {job.name: found for job in jobs if job.name in measures and (found := findings(job, ledger))}
                facts = facts._replace(measures=measures, sound=sound, version=ledger.version, findings=kept)
    except LedgerError as error:
        output.failure(error)
        facts = facts._replace(measures=None, sound={})
        code = error.exit_code
    made = registry(facts)
    if textfile is None:
        output.data([generate_latest(made)])
    else:
        try:
            write_to_textfile(str(textfile), made)
        except OSError as error:
            raise UsageError(f"{textfile} cannot be written: {error.strerror}") from None
    return code
