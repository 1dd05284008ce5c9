"""``secretsync audit migrate``: bring the ledger's tables to the version of this program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.cli import exits, workspace

if TYPE_CHECKING:
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output


def run(output: Output, call: Call) -> int:
    """Migrate the ledger, or say that there is nothing to do; where there is none, make it."""
    with workspace.ledger(call, write=True, oldest=1) as opened:
        ledger = opened.ledger
        before = ledger.version
        if ledger.outdated:
            before = ledger.migrate()
        after = ledger.version
    if output.json:
        output.document({"ledger": ledger.name, "before": before, "after": after, "exitCode": exits.OK})
    elif before < after:
        output.line(f"{ledger.name}: tables upgraded from version {before} to {after}")
    else:
        output.line(f"{ledger.name}: tables already at version {after}")
    return exits.OK
