"""``secretsync health``: what it says, with which exit code, how soon, and that it leaves no trace."""

from __future__ import annotations

import hashlib
import socket
import sqlite3
import time
from typing import TYPE_CHECKING

from secretsync_core.audit.schema import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Cli

HEALTH = {"ok", "stores", "key", "ledger", "warnings", "exitCode"}
STORE = {"store", "provider", "permissions", "ok", "asked", "seconds", "requests", "error", "warnings"}


def _snapshot(directory: Path) -> dict[str, str]:
    """Every file and what is in it, but for what SQLite keeps beside a file while it is open."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_all_well_is_0_before_and_after_the_first_sync(started: Cli) -> None:
    """A ledger that is not there yet is no fault; one that is there can be written; stores say what was asked."""
    ran = started("health")
    assert ran.code == 0
    assert "none yet, the first sync creates it" in ran.out
    assert not (started.directory / "secretsync/.secretsync").exists()
    started("sync")
    ran = started("health")
    assert (ran.code, ran.err) == (0, "")
    assert "1 chain, writable" in ran.out
    assert "file, Read: list payments/" in ran.out
    assert started("health", "--quiet").out == ""


def test_it_leaves_no_trace(started: Cli) -> None:
    """No file changes, no record is written, and the chain is as long as before."""
    started("sync")
    head = started("audit", "verify", "--output", "json").json["chains"][0]["head"]
    before = _snapshot(started.directory / "secretsync")
    assert started("health").code == 0
    assert _snapshot(started.directory / "secretsync") == before
    assert started("audit", "verify", "--output", "json").json["chains"] == [
        {"job": "example", "records": 11, "seq": 11, "head": head, "sound": True, "faults": [], "unnamedFaults": 0}
    ]


def test_in_json(started: Cli) -> None:
    """Every part with how it is, and the code that the process ends with."""
    started("sync")
    found = started("health", "--output", "json").json
    assert set(found) == HEALTH
    assert all(set(store) == STORE for store in found["stores"])
    assert (found["ok"], found["exitCode"]) == (True, 0)
    assert [(store["store"], store["ok"], store["permissions"]) for store in found["stores"]] == [
        ("example-dest", True, "ReadWrite"),
        ("example-source", True, "Read"),
    ]
    assert found["key"] == {"where": "secretsync/.secretsync/ledger.key", "ok": True, "error": None}
    assert (found["ledger"]["exists"], found["ledger"]["ok"], found["ledger"]["version"]) == (True, True, VERSION)


def test_a_store_that_refuses_is_3(troubled: Callable[..., Cli]) -> None:
    """The other store is well, the error has its hint, and a defect in a store tells nothing of what it holds."""
    cli = troubled(2, fail={"open": "denied"})
    ran = cli("health", "--output", "json")
    assert (ran.code, ran.json["exitCode"], ran.json["ok"]) == (3, 3, False)
    assert [(store["store"], store["ok"]) for store in ran.json["stores"]] == [("dest", False), ("source", True)]
    assert ran.json["stores"][0]["error"]["code"] == "access-denied"
    ran = cli("health", "--quiet")
    assert ran.out == ""
    assert "give the token another policy" in ran.err
    cli = troubled_again(cli, "bug")
    ran = cli("health")
    assert ran.code == 3
    assert "unexpected ValueError" in ran.err
    assert "canary" not in ran.out + ran.err


def troubled_again(cli: Cli, kind: str) -> Cli:
    """The same directory with another fault in its store."""
    path = cli.directory / "secretsync/stores.yaml"
    path.write_text(path.read_text().replace("denied", kind))
    return cli


def test_only_the_stores_of_the_jobs_that_are_named(troubled: Callable[..., Cli]) -> None:
    """A store of another job may be down."""
    cli = troubled(2, fail={"open": "unavailable"})
    cli.write(
        "secretsync/other.yaml",
        "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: well}\n"
        "spec: {provider: {file: {path: well}}}\n---\n"
        "apiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {name: other}\n"
        "spec: {source: source, dest: well, plan: [{secret: {key: key-000}}]}\n",
    )
    (cli.directory / "secretsync/well").mkdir()
    assert cli("health").code == 3
    found = cli("health", "other", "--output", "json")
    assert (found.code, [store["store"] for store in found.json["stores"]]) == (0, ["source", "well"])
    assert cli("health", "nobody").code == 2


def test_a_login_that_hangs_does_not_hold_up_the_end(cli: Cli) -> None:
    """The login's thread would wait a minute for its answer; the process ends when its time is over."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        cli.write(
            "secretsync/store.yaml",
            "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: silent}\nspec:\n  provider:\n"
            f"    vault: {{address: 'http://127.0.0.1:{silent.getsockname()[1]}', kvVersion: 2, "
            "auth: {userPass: {username: app, password: {env: PASSWORD}}}}\n",
        )
        began = time.monotonic()
        ran = cli("health", "--timeout", "1", "--output", "json", PASSWORD="hunter2-canary")
        assert time.monotonic() - began < 30
    assert ran.code == 3
    assert ran.json["stores"][0]["error"]["message"] == "store silent did not answer within 1 seconds"
    assert "canary" not in ran.out + ran.err


def test_a_ledger_that_cannot_be_reached_is_3(started: Cli) -> None:
    """Its password is not repeated."""
    url = "postgresql://app:hunter2-canary@127.0.0.1:1/ledger"
    ran = started("health", "--ledger", url, SECRETSYNC_KEY="00" * 32)
    assert ran.code == 3
    assert "cannot be reached" in ran.err
    assert "canary" not in ran.out + ran.err


def test_a_key_that_is_gone_or_open_to_others_is_3(started: Cli) -> None:
    """Without its key the ledger is of no use; what is in it is then not looked at."""
    started("sync")
    key = started.directory / "secretsync/.secretsync/ledger.key"
    key.chmod(0o644)
    ran = started("health", "--output", "json")
    assert (ran.code, ran.json["key"]["ok"], ran.json["ledger"]["ok"]) == (3, False, None)
    assert "is accessible to others" in ran.err
    key.unlink()
    ran = started("health")
    assert ran.code == 3
    assert "is missing" in ran.err


def test_a_chain_whose_end_was_changed_is_1(started: Cli) -> None:
    """Found by a look at its head, without walking along it."""
    started("sync")
    with sqlite3.connect(started.directory / "secretsync/.secretsync/ledger.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("DELETE FROM ledger WHERE seq = 11")
    ran = started("health", "--output", "json")
    assert (ran.code, ran.json["ledger"]["ok"]) == (1, False)
    assert "missing: the end of the chain, up to 11" in ran.err


def test_wrong_documents_are_2(started: Cli) -> None:
    """What is not understood is not asked for."""
    started.write("secretsync/bad.yaml", "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\n")
    assert started("health").code == 2
    assert started("health", "--timeout", "0").code == 2
