"""The exit codes, each brought about for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.cli.exits import gravest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Cli


def test_all_well_is_0(started: Cli) -> None:
    """A sync without failures, with and without work to do, ends with 0."""
    assert [started("sync").code, started("sync").code, started("check").code] == [0, 0, 0]


def test_a_failed_secret_is_1_and_the_others_are_written(troubled: Callable[..., Cli]) -> None:
    """One secret that cannot be written does not stop the others, and shows in the exit code."""
    cli = troubled(3, fail={"write key-001": "denied"})
    ran = cli("sync")
    assert ran.code == 1
    assert "2 created" in ran.out
    assert "key-001" in ran.out
    assert "the store refuses us" in ran.out
    assert "give the token another policy" in ran.out


def test_a_source_that_refuses_is_3(troubled: Callable[..., Cli]) -> None:
    """A store that cannot be opened ends a sync with 3."""
    cli = troubled(2, fail={"open": "denied"})
    ran = cli("sync")
    assert ran.code == 3
    assert "error: " in ran.err


def test_a_ledger_that_cannot_be_opened_is_3(started: Cli) -> None:
    """A ledger that is no ledger ends every command that needs it with 3."""
    started.write("not-a-ledger.db", "this is not a database, and it is long enough to be sure of that" * 20)
    for command in (["sync"], ["check"], ["audit", "log"]):
        assert started(*command, "--ledger", "not-a-ledger.db").code == 3, command


def test_changes_are_10_where_asked_for(started: Cli) -> None:
    """A plan ends with 10 for changes only with --detailed-exitcode."""
    assert [started("plan").code, started("plan", "--detailed-exitcode").code] == [0, 10]
    started("sync")
    assert started("plan", "--detailed-exitcode").code == 0


def test_drift_is_10(started: Cli) -> None:
    """A check ends with 10 where somebody else changed a copy."""
    started("sync")
    started.write("secretsync/example/dest/mail/smtp", "edited")
    assert started("check").code == 10


def test_a_broken_ledger_is_1(started: Cli) -> None:
    """An edited record is found, named, and ends audit verify with 1."""
    import sqlite3

    started("sync")
    with sqlite3.connect(started.directory / "secretsync/.secretsync/ledger.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE ledger SET item = 'forged' WHERE seq = 3")
    ran = started("audit", "verify")
    assert ran.code == 1
    assert "broken" in ran.out
    assert "record 3: " in ran.out
    found = started("audit", "verify", "--output", "json")
    assert (found.code, found.json["sound"], found.json["chains"][0]["faults"][0]["seq"]) == (1, False, 3)


def test_a_head_that_was_noted_elsewhere_is_compared(started: Cli) -> None:
    """--expect accepts the head that verify showed, and finds that it is not there."""
    started("sync")
    chain = started("audit", "verify", "--output", "json").json["chains"][0]
    assert started("audit", "verify", "--expect", f"example={chain['seq']}:{chain['head']}").code == 0
    assert started("audit", "verify", "--expect", f"example={chain['seq']}:{'0' * 64}").code == 1
    assert started("audit", "verify", "--expect", f"example={chain['seq'] + 9}:{chain['head']}").code == 1


def test_one_job_that_fails_leaves_the_others(troubled: Callable[..., Cli]) -> None:
    """Of several jobs each is run, and the gravest code is the command's."""
    cli = troubled(2, fail={"open": "unavailable"})
    cli.write(
        "secretsync/other.yaml",
        "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: well}\n"
        "spec: {provider: {file: {path: well}}}\n---\n"
        "apiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {name: other}\n"
        "spec: {source: source, dest: well, plan: [{secret: {key: key-000}}]}\n",
    )
    (cli.directory / "secretsync/well").mkdir()
    ran = cli("sync")
    assert ran.code == 3
    assert (cli.directory / "secretsync/well/key-000").read_text() == "value-0"


def test_a_plan_ends_as_its_sync_will(started: Cli) -> None:
    """What cannot be rendered is refused with message and hint, in text and JSON, and both commands end with 1."""
    started.write("secretsync/example/source/raw", "\\xff").write_bytes(b"\xff\xfe")
    started.write(
        "secretsync/broken.yaml",
        "apiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {name: broken}\n"
        "spec:\n  source: example-source\n  dest: example-dest\n  plan:\n"
        "  - {secret: {key: raw}, valueTransform: [{template: {text: '{{ value }}'}}], keyTransform: [{prefix: b/}]}\n",
    )
    text, found = started("plan", "broken"), started("plan", "broken", "--output", "json")
    assert (text.code, found.code, found.json["exitCode"]) == (1, 1, 1)
    (change,) = found.json["jobs"][0]["changes"]
    failure = change["failure"]
    assert (change["action"], failure["code"]) == ("refuse", "invalid-secret")
    assert failure["message"] in text.out
    assert f"hint: {failure['hint']}" in text.out
    synced = started("sync", "broken", "--output", "json")
    (outcome,) = synced.json["jobs"][0]["outcomes"]
    assert (synced.code, {name: outcome[name] for name in failure}) == (1, failure)
    assert started("plan", "broken").out == text.out


def test_a_plan_that_renders_nothing_says_so(started: Cli) -> None:
    """--no-render reads no value, ends with 0, warns once, and does not go with --verify."""
    ran = started("plan", "--no-render", "--output", "json")
    job = ran.json["jobs"][0]
    assert (ran.code, job["counts"]) == (0, {"create": 4})
    assert not any("read" in kinds for kinds in job["requests"].values())
    assert [warning for warning in job["warnings"] if "--no-render" in warning] == job["warnings"]
    assert len(job["warnings"]) == 1
    assert started("plan", "--no-render", "--verify").code == 2


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((), 0), ((0, 10), 10), ((10, 1), 1), ((1, 3, 10), 3), ((3, 2, 1), 2), ((2, 70), 70), ((1, 143), 143)],
)
def test_the_gravest_code_wins(codes: tuple[int, ...], expected: int) -> None:
    """2 before 3 before 1 before 10 before 0; our own faults and signals before all."""
    assert gravest(codes) == expected
