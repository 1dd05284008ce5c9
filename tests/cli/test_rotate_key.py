"""``secretsync audit rotate-key``: from a key file of ours, from one that others keep, and after a cut in between."""

from __future__ import annotations

import base64
import os
import sqlite3
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Cli

FIRST, SECOND = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))


def _key(cli: Cli) -> Path:
    return cli.directory / "secretsync/.secretsync/ledger.key"


def test_a_key_of_our_own_is_replaced(started: Cli) -> None:
    """A new key before the old one in the file, every chain verified and sealed anew, and syncs go on as before."""
    started("sync")
    old = _key(started).read_text().strip()
    noted = started("audit", "verify", "--output", "json").json["chains"][0]
    head = f"example={noted['seq']}:{noted['head']}"
    ran = started("audit", "rotate-key", "--expect", head)
    assert ran.code == 0
    assert "verified and resealed with the new key" in ran.out
    assert "example: 4 fingerprints made with a former key" in ran.out
    new, former = _key(started).read_text().splitlines()
    assert new != old
    assert former == f"former {old}"
    assert stat.S_IMODE(_key(started).stat().st_mode) == 0o600
    assert {path.name for path in _key(started).parent.iterdir()} <= {
        "ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.key", ".gitignore",
    }  # fmt: skip
    assert started("audit", "verify", "--expect", head).code == 0
    assert started("sync", "--output", "json").json["jobs"][0]["counts"] == {"unchanged": 4}
    assert started("check").code == 0
    assert "the ledger's key was replaced" in started("audit", "log", "--limit", "0").out
    for text in (old, new):
        assert text not in ran.out + ran.err


def test_the_former_key_can_go_when_values_were_compared(started: Cli) -> None:
    """`sync --verify` names them by the new key; the status says when none is left, and then the line can go."""
    started("sync")
    started("audit", "rotate-key")
    assert started("audit", "rotate-key", "--status", "--output", "json").json == {
        "ledger": "secretsync/.secretsync/ledger.db", "rotated": False, "pending": False, "formerKeys": 1,
        "namedByFormerKeys": {"example": 4}, "exitCode": 0,
    }  # fmt: skip
    started("sync", "--verify")
    ran = started("audit", "rotate-key", "--status")
    assert "the lines of former keys can be removed" in ran.out
    new = _key(started).read_text().splitlines()[0]
    _key(started).write_text(new + "\n")
    started.write(
        "secretsync/example/dest/mail/smtp", (started.directory / "secretsync/example/source/mail/smtp").read_text()
    )
    assert started("check").code == 0
    assert started("audit", "verify").code == 0


def test_a_key_that_others_keep(started: Cli) -> None:
    """From the environment: the new key is put first by whoever keeps it; until then there is nothing to do."""
    ring = f"{SECOND}\nformer {FIRST}"
    assert started("sync", SECRETSYNC_KEY=FIRST).code == 0
    ran = started("audit", "rotate-key", SECRETSYNC_KEY=FIRST)
    assert ran.code == 2
    assert "put the new key on the first line there" in ran.err
    for command in (["sync"], ["status"], ["check"], ["audit", "verify"], ["health"]):
        ran = started(*command, SECRETSYNC_KEY=ring)
        assert ran.code == 3
        assert "`secretsync audit rotate-key` reseals it" in ran.err
    assert "still sealed with the previous key" in started("audit", "rotate-key", "--status", SECRETSYNC_KEY=ring).out
    assert started("audit", "rotate-key", SECRETSYNC_KEY=ring).code == 0
    assert started("sync", SECRETSYNC_KEY=ring).code == 0
    assert started("audit", "verify", SECRETSYNC_KEY=SECOND).code == 0
    assert started("sync", SECRETSYNC_KEY=FIRST).code == 3
    assert not _key(started).exists()


def test_a_cut_between_the_file_and_the_ledger_is_made_good(started: Cli) -> None:
    """The file has the new key and the ledger still the old seal: the command goes on from there, with no third key."""
    from secretsync_core.audit import keys

    started("sync")
    keys.replace(_key(started).parent)
    text = _key(started).read_text()
    assert started("sync").code == 3
    assert started("audit", "rotate-key").code == 0
    assert _key(started).read_text() == text
    assert started("sync").code == 0
    assert started("audit", "rotate-key").code == 0
    assert len(_key(started).read_text().splitlines()) == 3
    assert started("audit", "verify").code == 0


def test_a_broken_ledger_keeps_its_key(started: Cli) -> None:
    """It is verified before anything changes, the key file too."""
    started("sync")
    text = _key(started).read_text()
    with sqlite3.connect(started.directory / "secretsync/.secretsync/ledger.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE ledger SET item = 'forged' WHERE seq = 3")
    ran = started("audit", "rotate-key")
    assert ran.code == 1
    assert "not resealed" in ran.err
    assert _key(started).read_text() == text


def test_there_is_nothing_to_rotate_yet(started: Cli) -> None:
    """Nothing is made by asking."""
    ran = started("audit", "rotate-key")
    assert ran.code == 3
    assert "the first sync creates it" in ran.err
    assert not _key(started).parent.exists()
