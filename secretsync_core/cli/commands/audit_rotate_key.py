"""``secretsync audit rotate-key``: change the ledger's key without losing what it knows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from secretsync_core.audit import keys
from secretsync_core.cli import exits, workspace
from secretsync_core.cli.commands.audit_verify import expected_heads
from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_core.run.run import new_run_id

if TYPE_CHECKING:
    from secretsync_core.audit.keys import KeyPair
    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output


def run(output: Output, call: Call, *, expect: tuple[str, ...], status: bool) -> int:
    """Seal the ledger with the newest key; where it is that already and the key file is ours, make a new one first."""
    expected = expected_heads(expect)
    pair = workspace.keys(call)
    with workspace.ledger(call, write=not status, reseal=True) as opened:
        ledger, rotated = opened.ledger, False
        if not status:
            ledger.seals.check(expected)
            pair = _newest(call, ledger, pair)
            ledger.seals.renew(pair.seal, new_run_id(), expected=expected)
            rotated = True
        pending = not ledger.seals.are_by(pair.seal)
        behind = ledger.seals.left_behind()
    _tell(output, ledger.name, pair, behind, rotated=rotated, pending=pending)
    return exits.OK


def _newest(call: Call, ledger: Ledger, pair: KeyPair) -> KeyPair:
    """The key to seal with: the first of those that were given, or one that is made now."""
    if not ledger.seals.are_by(pair.seal):
        return pair  # the file has it already, and the ledger is to follow
    if keys.is_our_own(os.environ):
        return keys.replace(workspace.state_directory(call))
    raise UsageError(
        f"the ledger is sealed with the key in {keys.where(os.environ, workspace.state_directory(call))} already",
        hint="put the new key on the first line there and `former OLD-KEY` on the second, then run this again",
    )


def _tell(output: Output, name: str, pair: KeyPair, behind: dict[str, int], *, rotated: bool, pending: bool) -> None:
    if output.json:
        output.document(
            {
                "ledger": name,
                "rotated": rotated,
                "pending": pending,
                "formerKeys": len(pair.former),
                "namedByFormerKeys": behind,
                "exitCode": exits.OK,
            }
        )
        return
    if rotated:
        output.line(f"{name}: verified and resealed with the new key")
    elif pending:
        output.line(f"{name}: still sealed with the previous key")
    else:
        output.line(f"{name}: sealed with the newest key; {plural(len(pair.former), 'former key')} kept")
    for job, count in sorted(behind.items()):
        renewed = f"`secretsync sync {job} --verify` renews them"
        output.line(f"  {job}: {plural(count, 'fingerprint')} made with a former key; {renewed}")
    if pair.former and not behind and not pending:
        output.line("  no fingerprint uses a former key: the lines of former keys can be removed")
