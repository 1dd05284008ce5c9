"""``secretsync rebind``: say what it means that a destination has another place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from secretsync_core.cli import event_loop, exits, workspace
from secretsync_core.errors import UsageError
from secretsync_core.run.rebinding import rebind

if TYPE_CHECKING:
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output


def run(output: Output, call: Call, store: str, *, moved: bool, new: bool) -> int:
    """Bind a destination of the call's job to where its SecretStore leads now."""
    if moved == new:
        raise UsageError(
            "give --moved or --new",
            hint="--moved: the same secrets are at the new place; --new: they are not",
        )
    documents = workspace.load(call, output)
    job = workspace.jobs(call, documents, output, suspended=True)[0]
    with workspace.ledger_there(call) as opened:
        before, now = event_loop.run(
            lambda: rebind(job, store, documents, opened.ledger, same_secrets=moved, environ=os.environ)
        )
    if output.json:
        output.document({"job": job.name, "store": store, "before": str(before or ""), "now": str(now), "exitCode": 0})
        return exits.OK
    if before is not None and before.is_same(now):
        output.line(f"{job.name}: {store} is {now}, as the ledger has it: nothing to do")
    else:
        what = "with the same secrets" if moved else "and begins anew there"
        output.line(f"{job.name}: {store} is {now} from now on, {what}" + (f"; it was {before}" if before else ""))
    output.flush()
    return exits.OK
