"""``secretsync rename``: let a job that is called otherwise now keep its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.cli import event_loop, exits, workspace
from secretsync_core.counting import plural
from secretsync_core.run.rebinding import rename_job

if TYPE_CHECKING:
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output


def run(output: Output, call: Call, old: str, new: str) -> int:
    """Bring what the ledger knows of the job ``old`` to the job ``new``."""
    documents = workspace.load(call, output)
    with workspace.ledger_there(call) as opened:
        count = event_loop.run(lambda: rename_job(old, new, documents, opened.ledger))
    if output.json:
        output.document({"from": old, "job": new, "keys": count, "exitCode": 0})
        return exits.OK
    if not count:
        output.line(f"{old} has no keys: nothing to do")
        output.flush()
        return exits.OK
    output.line(f"{plural(count, 'key')} of {old} {'is' if count == 1 else 'are'} {new}'s from now on")
    output.flush()
    return exits.OK
