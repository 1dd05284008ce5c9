"""What a ledger says of itself: the version of its tables, whose key seals it, and how many chains it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit import seal
from secretsync_core.audit.schema import VERSION
from secretsync_core.errors import LedgerBroken, LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.audit.database import Database, Transaction

BROKEN_HINT = "`secretsync audit verify` shows what is wrong; keep the ledger unchanged for the investigation"


class Facts(NamedTuple):
    """The version of a ledger's tables, and the key that seals it."""

    version: int
    key: bytes


def write(transaction: Transaction, key: bytes) -> None:
    """Write what a new ledger says of itself."""
    facts = {"schema": str(VERSION), "seal-key": seal.key_id(key), "chains": "0"}
    transaction.many(
        "INSERT INTO meta (name, value, seal) VALUES (?, ?, ?)",
        [(name, value, seal.meta_seal(key, name, value)) for name, value in facts.items()],
    )


def version(transaction: Transaction) -> int:
    """The version of the tables, as of this moment: somebody may migrate them while we have the ledger open."""
    found = transaction.one("SELECT value FROM meta WHERE name = 'schema'")
    return int(str(found[0])) if found is not None and str(found[0]).isdecimal() else 0


def check(
    database: Database, key: bytes, oldest: int, former: Sequence[bytes], *, reseal: bool, any_key: bool = False
) -> Facts:
    """Refuse a ledger that is newer than we are, too old, or another key's.

    ``reseal`` takes a ``former`` key too, and ``any_key`` whatever it was sealed with.
    """
    name = database.name
    with database.read() as transaction:
        rows = list(transaction.rows("SELECT name, value, seal FROM meta"))
    facts = {str(name): str(value) for name, value, _ in rows}
    seals = {str(name): sealed for name, _, sealed in rows}
    told = facts.get("schema", "")
    if not told.isdecimal() or "seal-key" not in facts:
        raise LedgerBroken(f"the ledger {name} does not say what it is", hint=BROKEN_HINT)
    ours = facts["seal-key"] == seal.key_id(key)
    if int(told) > VERSION and ours and seals["schema"] != seal.meta_seal(key, "schema", told):
        raise LedgerBroken(
            f"the ledger {name} says that its tables are of version {told}, and that was not sealed with our key",
            hint="restore it from a backup, and keep this one unchanged for the investigation",
        )
    if int(told) > VERSION:
        raise LedgerError(
            f"the ledger {name} was made by a newer SecretSync (tables {told}; this one knows {VERSION})",
            hint="upgrade SecretSync here",
        )
    if int(told) < oldest:
        raise LedgerError(
            f"the ledger {name} has tables of version {told}, and this SecretSync needs version {oldest}",
            hint="back it up, then run `secretsync audit migrate`",
        )
    if ours or any_key:
        return Facts(int(told), key)
    before = next((key for key in former if facts["seal-key"] == seal.key_id(key)), None)
    if before is not None and reseal:
        return Facts(int(told), before)
    if before is not None:
        raise LedgerError(
            f"the ledger {name} is still sealed with the key before the newest one",
            hint="`secretsync audit rotate-key` reseals it; if that was done before, somebody restored an older copy",
        )
    raise LedgerError(
        f"the ledger {name} was sealed with another key ({facts['seal-key']}) than the one given ({seal.key_id(key)})",
        hint="use the key that it was created with (SECRETSYNC_KEY, SECRETSYNC_KEY_FILE or ledger.key); if that key is"
        " lost, move the ledger away and start a new one",
    )


def refuse_if_resealed(transaction: Transaction, key: bytes, name: str) -> None:
    """Tell a key that was changed while we had the ledger open from a hand that has no key."""
    found = transaction.one("SELECT value FROM meta WHERE name = 'seal-key'")
    if found is not None and found[0] != seal.key_id(key):
        raise LedgerError(
            f"the key of the ledger {name} was changed while it was in use", hint="run it again with the new key"
        )
