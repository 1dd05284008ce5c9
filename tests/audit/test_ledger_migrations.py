"""The versions of the ledger's tables: every older one is brought up to date, and nothing is lost on the way."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from support.processes import FORKSERVER

from audit.lab import SEAL_KEY, OtherHand, append_many, done, intended, make_version, migrate_and_stay, migrate_once
from secretsync_core.audit import migrate, migrations, rows, seal
from secretsync_core.audit.counts import requests_of, results_of
from secretsync_core.audit.databases import open_database
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Draft, Event
from secretsync_core.audit.schema import VERSION, revision
from secretsync_core.audit.state import OF_ITEM
from secretsync_core.distribution import extra_hint
from secretsync_core.errors import LedgerBroken, LedgerError
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.versions import plain_token

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.fixture
def old(url: str) -> str:
    """Where a ledger of the first version stands, with data."""
    make_version(1, url)
    return url


def by_alembic(url: str, to: str) -> None:
    """Make the tables in an empty place by migrations alone."""
    database = open_database(url, read_only=False)
    if database.schema:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("CREATE SCHEMA secretsync")
    with migrate.begun(database) as (connection, _):
        command.upgrade(migrate.alembic_config(connection, database), to)
    database.close()


_CATALOGUE = {
    "columns": "SELECT table_name, column_name, ordinal_position, data_type, character_maximum_length, collation_name,"
    " is_nullable, column_default FROM information_schema.columns WHERE table_schema = 'secretsync'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'secretsync'::regnamespace",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'secretsync'",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'secretsync'::regnamespace",
}


def anatomy(url: str) -> set[tuple[Any, ...]]:
    """Every table, column, rule, index, trigger and function of a ledger, as the database itself describes it."""
    if url.startswith("postgresql"):
        with psycopg.connect(url) as server:
            return {(kind, *row) for kind, sql in _CATALOGUE.items() for row in server.execute(sql).fetchall()}
    file = sqlite3.connect(url.removeprefix("sqlite:///"))
    found = file.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    file.close()
    return {(*row[:3], _plain(row[3])) for row in found}


def _plain(sql: str | None) -> str | None:
    """A statement without the line breaks that only make it readable."""
    return " ".join(sql.split()).replace("( ", "(").replace(" )", ")") if sql else None


def told(ledger: Ledger) -> dict[str, Any]:
    """All that a ledger tells of its jobs."""
    return {
        job: (
            list(ledger.records(job=job)),
            list(ledger.state.keys(job)),
            [list(ledger.state.fingerprints(job, dest)) for dest in ("k8s", "vault-b")],
            [list(ledger.state.origins(job, f"item-{number}")) for number in range(3)],
            ledger.runs.summary(job),
            ledger.runs.unfinished(job),
            ledger.runs.unsettled(job),
        )
        for job in ledger.jobs()
    }


def without_alembic(found: Iterable[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """An anatomy without Alembic's own table."""
    return {part for part in found if not any("alembic_version" in str(word) for word in part)}


def test_a_new_ledger_and_a_migrated_one_have_the_same_tables(url: str, tmp_path: Path, request: Any) -> None:
    """Whether made by plain statements or by all migrations in a row, it is the same down to each rule."""
    Ledger.open(url, seal_key=SEAL_KEY).close()
    expected = anatomy(url)
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("DROP SCHEMA secretsync CASCADE")
        other = url
    else:
        other = f"sqlite:///{tmp_path / 'other.db'}"
    del request
    by_alembic(other, "head")
    assert anatomy(other) == expected
    assert len(expected) > 10


def test_the_first_migration_makes_the_first_version(url: str, tmp_path: Path) -> None:
    """What the first program made is what revision 0001 makes."""
    make_version(1, url)
    expected = anatomy(url)
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("DROP SCHEMA secretsync CASCADE")
        other = url
    else:
        other = f"sqlite:///{tmp_path / 'other.db'}"
    by_alembic(other, "0001")
    assert without_alembic(anatomy(other)) == expected


def test_the_newest_migration_is_the_newest_version() -> None:
    """One migration a version, in one line, and the last of them is what a new ledger is stamped with."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in scripts.walk_revisions()] == [
        revision(version) for version in range(VERSION, 0, -1)
    ]


def test_a_ledger_of_the_first_version_is_brought_up_to_date(old: str, tmp_path: Path) -> None:
    """With its data: every record, state and seal is what it was, and it goes on from there."""
    with Ledger.open(old, seal_key=SEAL_KEY) as ledger:
        assert ledger.version == 1
        before, reports = told(ledger), ledger.verify()
        assert [report.sound for report in reports] == [True, True]
        assert ledger.migrate() == 1
        assert (ledger.version, ledger.outdated) == (VERSION, "")
        assert ledger.verify() == reports
        assert told(ledger) == before
    with Ledger.open(old, seal_key=SEAL_KEY) as ledger:
        assert ledger.version == VERSION
        assert ledger.migrate() == VERSION
        assert ledger.append("payments", [done("after")]) == [29]
        assert ledger.append("new", [done("after")]) == [1]
        assert all(report.sound for report in ledger.verify())
    migrated = anatomy(old)
    if old.startswith("postgresql"):
        with psycopg.connect(old, autocommit=True) as server:
            server.execute("DROP SCHEMA secretsync CASCADE")
        fresh = old
    else:
        fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    Ledger.open(fresh, seal_key=SEAL_KEY).close()
    assert anatomy(fresh) == migrated


def test_a_ledger_of_an_older_version_serves_as_it_is(old: str) -> None:
    """So that programs of two versions can share it until all are upgraded; it says what can be done."""
    with Ledger.open(old, seal_key=SEAL_KEY) as ledger:
        assert "`secretsync audit migrate`" in ledger.outdated
        assert ledger.append("billing", [done("more", item="item-1")]) == [27]
        assert sum(1 for _ in ledger.state.origins("billing", "item-1")) == 3
        assert all(report.sound for report in ledger.verify())
    with Ledger.open(old, seal_key=SEAL_KEY, read_only=True) as reader:
        assert reader.version == 1
        assert len(told(reader)) == 2
        with pytest.raises(LedgerError, match="reading only"):
            reader.migrate()
    with Ledger.open(old, seal_key=SEAL_KEY) as ledger:
        assert ledger.version == 1


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_that_is_too_old_says_what_to_do(old: str, read_only: bool) -> None:
    """Where a program cannot work with an older version, nothing is written, and the command is named."""
    with pytest.raises(LedgerError, match=r"tables of version 1, .* needs version 2") as caught:
        Ledger.open(old, seal_key=SEAL_KEY, read_only=read_only, oldest=2)
    assert "secretsync audit migrate" in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_ledger_of_version_2_is_brought_up_to_date(url: str, tmp_path: Path) -> None:
    """With the requests that its runs told in their counts; the next run has them in their own place."""
    make_version(2, url)
    known = {"a-store-zone-2-with-a-long-name": 1, "k8s-prod": 4, "vault": 5}
    asked = (("k8s-prod", "write", 3), ("vault", "list", 1), ("vault", "read", 3))
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        assert ledger.version == 2
        before, reports = told(ledger), ledger.verify()
        assert [report.sound for report in reports] == [True, True]
        assert ledger.migrate() == 2
        assert ledger.verify() == reports
        assert told(ledger) == before
        finished = [record.draft for record in ledger.records(job="billing", events=[Event.RUN_FINISHED])]
        assert [requests_of(draft) for draft in finished] == [{**known, "vault": 5}, {**known, "vault": 6}]
        assert [results_of(draft.counts) for draft in finished] == [{"created": 4}, {"updated": 4, "failed": 1}]
        ledger.runs.start("billing", "run-9")
        ledger.runs.finish("billing", "run-9", reason="", counts="unchanged=4", requests=asked)
        last = ledger.runs.summary("billing").last_run
        assert last is not None
        assert last.requests == {"k8s-prod": 3, "vault": 4}
        assert all(report.sound for report in ledger.verify())
    migrated = anatomy(url)
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("DROP SCHEMA secretsync CASCADE")
    else:
        url = f"sqlite:///{tmp_path / 'fresh.db'}"
    Ledger.open(url, seal_key=SEAL_KEY).close()
    assert anatomy(url) == migrated


@pytest.mark.parametrize("number", [1, 2])
def test_what_has_no_place_in_older_tables_is_not_kept(url: str, number: int) -> None:
    """They serve: a run ends, its chain is sound, and of requests, items and drift there is nothing to be told."""
    make_version(number, url)
    change = Change("item-0", "k8s", "prod/0", Action.COMPARE, Reason.DRIFTED, drift=Drift.CHANGED)
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        ledger.runs.start("billing", "run-9")
        ledger.runs.finish("billing", "run-9", reason="", counts="created=1", requests=(("vault", "list", 1),))
        ledger.items.note("billing", "run-9", out={"item-0"}, well={"item-1"})
        ledger.drift.keep("billing", "look-1", [change], 1)
        assert ledger.items.out_of_sync("billing") == []
        assert ledger.drift.last_look("billing") is None
        last = ledger.runs.summary("billing").last_run
        assert last is not None
        assert (last.counts, last.requests) == ({"created": 1}, {})
        assert all(report.sound for report in ledger.verify())
        assert ledger.version == number
        ledger.migrate()
        assert all(report.sound for report in ledger.verify())


def test_tables_that_are_migrated_while_in_use_are_read_as_they_are_then(url: str) -> None:
    """Whoever had the ledger open with older tables verifies what others write into the new ones."""
    make_version(2, url)
    with Ledger.open(url, seal_key=SEAL_KEY) as early, Ledger.open(url, seal_key=SEAL_KEY) as late:
        late.migrate()
        late.runs.start("billing", "run-9")
        late.runs.finish("billing", "run-9", reason="", counts="created=1", requests=(("vault", "list", 1),))
        assert early.version == 2
        assert all(report.sound for report in early.verify())
        assert list(early.records()) == list(late.records())


@pytest.mark.slow
def test_a_migration_that_is_killed_leaves_the_ledger_as_it_was(old: str) -> None:
    """Right before its end, by kill -9: it is of the old version, whole, usable, and can be migrated again."""
    expected = anatomy(old)
    ours, theirs = FORKSERVER.Pipe(duplex=False)
    process = FORKSERVER.Process(target=migrate_and_stay, args=(old, theirs))
    process.start()
    assert ours.poll(60)
    process.kill()
    process.join()
    ours.close()
    theirs.close()
    with Ledger.open(old, seal_key=SEAL_KEY) as ledger:
        assert ledger.version == 1
        assert ledger.append("payments", [done("between")]) == [29]
        assert all(report.sound for report in ledger.verify())
        assert anatomy(old) == expected
        assert ledger.migrate() == 1
        assert ledger.append("payments", [done("after")]) == [30]
        assert all(report.sound for report in ledger.verify())


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error after the tables were changed takes the change back, and says which without the database's words."""
    expected = anatomy(old)

    sealed = seal.meta_seal

    def fail(key: bytes, name: str, value: str) -> bytes:
        if (name, value) == ("schema", str(VERSION)):
            raise LedgerError("the disk is full")
        return sealed(key, name, value)

    with Ledger.open(old, seal_key=SEAL_KEY) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(seal, "meta_seal", fail)
            with pytest.raises(LedgerError, match="the disk is full"):
                ledger.migrate()
        assert anatomy(old) == expected
        assert ledger.version == 1
        hand = OtherHand(old)
        hand("CREATE INDEX items ON heads (seq)")  # in the way of the migration's own
        with pytest.raises(LedgerError) as caught:
            ledger.migrate()
        assert caught.value.__suppress_context__
        hand("DROP INDEX items")
        hand.close()
        assert ledger.migrate() == 1


@pytest.mark.slow
def test_many_migrate_at_once_while_others_append(old: str) -> None:
    """One of them does it, the others find it done, and whoever appends meanwhile loses nothing."""
    ours, theirs = FORKSERVER.Pipe(duplex=False)
    processes = [FORKSERVER.Process(target=migrate_once, args=(old, theirs)) for _ in range(4)]
    processes += [
        FORKSERVER.Process(target=append_many, args=(old, "payments", 20, 5, f"p{number}")) for number in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    assert sorted(ours.recv() for _ in range(4)) == [1, VERSION, VERSION, VERSION]
    ours.close()
    theirs.close()
    with Ledger.open(old, seal_key=SEAL_KEY) as ledger:
        assert ledger.version == VERSION
        assert [(report.job, report.records, report.sound) for report in ledger.verify()] == [
            ("billing", 26, True),
            ("payments", 228, True),
        ]


def test_a_ledger_that_disagrees_with_its_stamp_is_left_alone(url: str) -> None:
    """Its own word and Alembic's table were brought together from two backups: nobody can tell which tables it has."""
    make_version(1, url)
    hand = OtherHand(url)
    hand("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    hand("INSERT INTO alembic_version VALUES ('0002')")
    before = anatomy(url)
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        with pytest.raises(LedgerError, match="alembic_version says 0002") as caught:
            ledger.migrate()
        assert "backup" in caught.value.hint
        assert anatomy(url) == before
    hand.close()


def test_a_version_that_somebody_else_wrote_is_not_believed(old: str) -> None:
    """The number is sealed like everything that a ledger says of itself."""
    hand = OtherHand(old)
    hand("UPDATE meta SET seal = (SELECT seal FROM meta WHERE name = 'chains') WHERE name = 'schema'")
    hand.close()
    with Ledger.open(old, seal_key=SEAL_KEY) as ledger, pytest.raises(LedgerBroken, match="not sealed by us"):
        ledger.migrate()


def test_migrations_of_others_in_the_same_database_are_left_alone(postgres_url: str) -> None:
    """Dagster keeps an alembic_version of its own beside the ledger."""
    make_version(1, postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("CREATE TABLE public.alembic_version (version_num VARCHAR(32) NOT NULL)")
        server.execute("INSERT INTO public.alembic_version VALUES ('16e3655b4d9b')")
        with Ledger.open(postgres_url, seal_key=SEAL_KEY) as ledger:
            assert ledger.migrate() == 1
        assert server.execute("SELECT * FROM public.alembic_version").fetchall() == [("16e3655b4d9b",)]
        assert server.execute("SELECT * FROM secretsync.alembic_version").fetchall() == [(revision(VERSION),)]


def test_a_role_that_only_reads_and_writes_may_sync_and_not_migrate(postgres_url: str) -> None:
    """Migrating is for whoever owns the tables; the refusal leaves everything as it was."""
    make_version(1, postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("CREATE ROLE syncer LOGIN; GRANT USAGE ON SCHEMA secretsync TO syncer")
        server.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA secretsync TO syncer")
        try:
            before = anatomy(postgres_url)
            url = postgres_url.replace("//postgres@", "//syncer@")
            with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
                with pytest.raises(LedgerError, match="may not be used"):
                    ledger.migrate()
                assert ledger.append("billing", [done("after")]) == [27]
            assert anatomy(postgres_url) == before
            with Ledger.open(postgres_url, seal_key=SEAL_KEY) as owner:
                assert owner.migrate() == 1
            with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
                assert ledger.append("billing", [done("later")]) == [28]
                # It needs no grant anew for what was added.
                ledger.runs.start("billing", "run-9")
                assert ledger.runs.finish("billing", "run-9", reason="", counts="", requests=(("vault", "list", 1),))
                ledger.items.note("billing", "run-9", out={"item-0"})
                ledger.drift.keep("billing", "look-1", [], 0)
        finally:
            server.execute("DROP OWNED BY syncer; DROP ROLE syncer")


def test_the_new_index_serves_the_query_that_it_is_for(url: str) -> None:
    """A split item's keys are found by it, and not by a walk over all of the job's."""
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [done(f"key-{number}", item=f"item-{number % 50}") for number in range(500)])
    parts = OF_ITEM.split("?")
    assert len(parts) == 4
    sql = f"{parts[0]}'job'{parts[1]}'job'{parts[2]}'item-7'{parts[3]}"
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True, options="-c search_path=secretsync") as server:
            server.execute("ANALYZE current")
            plan = str(server.execute(f"EXPLAIN {sql}").fetchall())
    else:
        file = sqlite3.connect(url.removeprefix("sqlite:///"))
        plan = str(file.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
        file.close()
    assert "items" in plan


def test_a_missing_alembic_names_the_extra(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installed the small package learns what to install besides, and loses nothing."""
    monkeypatch.setitem(sys.modules, "alembic", None)
    monkeypatch.delitem(sys.modules, "secretsync_core.audit.migrate")
    with Ledger.open(old, seal_key=SEAL_KEY) as ledger:
        with pytest.raises(LedgerError) as caught:
            ledger.migrate()
        assert caught.value.hint == extra_hint("migrate")
        assert ledger.append("payments", [done("after")]) == [29]


ODD = ('W/"etag 7"', "terraform-20230101120000000000000001")
"""Versions of the sample of version 4 that no record may say any more."""


def test_a_ledger_of_version_4_is_brought_up_to_date(url: str, tmp_path: Path) -> None:
    """Its records keep the versions that they have, known by aliases; new ones are held to their form from then on."""
    make_version(4, url)
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        assert ledger.version == 4
        before, reports = told(ledger), ledger.verify()
        places = ledger.places.of("billing")
        assert [report.sound for report in reports] == [True, True]
        assert ledger.migrate() == 4
        assert (ledger.version, ledger.outdated) == (VERSION, "")
        assert (ledger.verify(), told(ledger), ledger.places.of("billing")) == (reports, before, places)
        assert set(ODD) <= {record.draft.source_version for record in ledger.records(job="billing")}
        with pytest.raises(LedgerError, match="source_version must be"):
            ledger.append("billing", [done("after", source_version=ODD[0])])
        assert ledger.append("billing", [done("after")]) == [ledger.verify()[0].last]
        assert all(report.sound for report in ledger.verify())
    migrated = anatomy(url)
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("DROP SCHEMA secretsync CASCADE")
    else:
        url = f"sqlite:///{tmp_path / 'fresh.db'}"
    Ledger.open(url, seal_key=SEAL_KEY).close()
    assert anatomy(url) == migrated


def test_what_older_records_deleted_is_known_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that comes back is told by the version that was deleted: by its alias, as the store says it now."""
    make_version(4, url)
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        monkeypatch.setattr(rows, "is_kept", lambda _: True)  # a program of then held no version to a form
        announced = intended("gone", action="delete", dest="aws", dest_version=ODD[1])
        ledger.append(
            "billing",
            [
                Draft(Event.RUN_STARTED, run="late"),
                announced._replace(run="late"),
                announced._replace(run="late", event=Event.DONE),
                Draft(Event.RUN_FINISHED, run="late", counts="deleted=1"),
            ],
        )
        monkeypatch.undo()
        for _ in range(2):
            assert ledger.state.deleted("billing")["aws", "gone"].version == plain_token(ODD[1])
            ledger.migrate()


@pytest.mark.parametrize("migrate_first", [False, True])
def test_what_older_records_call_a_version_is_known_and_not_said_again(url: str, *, migrate_first: bool) -> None:
    """The state has the alias that a store's listing has too, and keys move under it; so does an open intent."""
    make_version(4, url)
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        if migrate_first:
            ledger.migrate()
        held = dict(ledger.state.keys("billing"))
        assert held["k8s", "prod/3"].source_version == plain_token(ODD[1])
        assert held["vault-b", "prod/4"].source_version == plain_token(ODD[0])
        assert held["vault-b", "prod/1"].source_version == "pin:AWSPREVIOUS"
        assert held["aws", "prod/5"].source_version == "5@fields=2"
        assert ledger.state.rename("billing", "run-2", "vault-b", "vault-c") == 2
        assert ledger.state.take("payments", "billing", "run-3", {"vault-b": "vault-d"}) == 7
        moved = dict(ledger.state.keys("billing"))
        assert moved["vault-c", "prod/4"] == held["vault-b", "prod/4"]
        newest = [record.draft for record in ledger.records(events=[Event.SKIPPED]) if record.draft.reason == "moved"]
        assert newest
        assert not {draft.source_version for draft in newest} & set(ODD)
        ledger.state.rebuild("billing")
        assert dict(ledger.state.keys("billing")) == moved
        assert all(report.sound for report in ledger.verify())
