"""The soak of ``make soak``: its model, what it finds, and that it notices sabotage of real runs."""

from __future__ import annotations

import http.client
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import pytest
from audit.lab import SEAL_KEY, done, finished, started

from fuzz.fake_server import FakeServer
from fuzz.fake_vault import FakeVault
from secretsync_core.audit.ledger import Ledger
from soak import __main__ as program
from soak.chain import Chain, Line
from soak.dagster_part import is_locked, told_twice
from soak.destinations import Destinations
from soak.findings import Findings
from soak.model import FILES, VAULT, Edit, Sources, changed, surplus
from soak.parts import Task
from soak.proxy import FAULTS, Proxy
from soak.strangers import Strangers
from soak.witness import Witness

if TYPE_CHECKING:
    from soak.vault import Vault

KEY = "copy/app/k"
SECOND = 1_000_000
WRITTEN = "1@2026-01-01T00:00:02Z"
AT = 1_767_225_602 * SECOND
"""The moment of ``WRITTEN``."""


def test_the_model_knows_what_the_documents_make_of_sources() -> None:
    """Fields are left out, renamed, templated, combined and split; what is excluded is not copied."""
    sources = Sources(Random(1), small=True)
    sources.live = {
        "app/a/k": {"user": "u", "pw": "p", "internal": "i"},
        "app/a/skip-1": {"user": "u"},
        "tpl/T1": {"user": "u", "pw": "p", "host": "h", "internal": "i"},
        "cmb/c1": {"value": "1"},
        "cmb/c2": {"value": "2"},
        "split/s": {"user": "u", "host": "h"},
        "mk/a/m": {"user": "u", "internal": "i"},
    }
    expected = {
        "copy/app/a/k": {"user": "u", "password": "p"},
        "copy/tpl/t1": {"dsn": "u:p@h", "who": "u"},
        "copy/combined": {"c1": "1", "c2": "2"},
        "copy/split/s/user": {"value": "u"},
        "copy/split/s/host": {"value": "h"},
        "copym/mk/a/m": {"user": "u", "internal": "i"},
    }
    assert sources.copies() == expected
    files = {key for dest, key in sources.places() if dest == FILES}
    assert files == {key for key in expected if key.startswith("copy/")}


def test_a_seed_repeats_the_changes() -> None:
    """The same seed makes the same changes; carried out one by one, they lead to what the model has."""
    models = [Sources(Random(seed), small=True) for seed in (1, 1, 2)]
    edits = [[*model.fill(), *model.change(200)] for model in models]
    assert edits[0] == edits[1] != edits[2]
    held: dict[str, object] = {}
    for edit in edits[0]:
        if edit.fields is None:
            del held[edit.key]
        else:
            held[edit.key] = edit.fields
    assert held == models[0].live
    assert models[0].gone
    assert not models[0].gone & models[0].live.keys()
    assert any(edit.forget for edit in edits[0])


def test_a_copy_may_be_written_once_for_each_change() -> None:
    """What is new or another counts, what goes does not; more versions than that are told."""
    allowed = changed({"a": {"x": 1}, "b": {"x": 1}, "c": {}}, {"a": {"x": 2}, "b": {"x": 1}, "d": {}})
    assert allowed == {"a": 1, "d": 1}
    assert surplus({"a": ["2"], "b": ["2"], "d": ["1", "2"]}, allowed) == {"b": ["2"], "d": ["1", "2"]}


class Told:
    """A chain that tells what a test gives it."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.broken: list[str] = []

    def follow(self) -> list[Line]:
        lines, self.lines = self.lines, []
        return lines

    def leases(self) -> list[tuple[str, str]]:
        return []

    def story(self, dest: str, key: str) -> str:
        return f"{dest} {key}"


def line(event: str, seconds: int, intent: str = "r:1", *, run: str = "r", version: str | None = None) -> Line:
    """A record about ``KEY``, so many seconds before or after the moment of ``WRITTEN``."""
    at = AT + seconds * SECOND
    about = ("", "", "", "", "", None) if event.startswith("run") else (intent, VAULT, KEY, "create", "new", version)
    return Line("main", 1, at, event, run, *about, owned=True)


INTENDED, DONE = line("intended", -1), line("done", 1, version=WRITTEN)
RUN = [line("run-started", -2), line("run-finished", 2)]
LATE = [line("run-started", 6, run="r:late"), line("intended", 6, "r:1:late", run="r:late")]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([RUN[0], INTENDED, DONE, RUN[1]], set()),
        ([], {"a write that was not announced", "a version of which nothing says that it was done"}),
        ([line("intended", 1), DONE], {"a write that was not announced"}),
        ([INTENDED, line("failed", -1), line("done", 1, "r:2", version=WRITTEN)],
         {"an outcome of nothing that was announced"}),
        ([INTENDED], {"an announcement without an outcome", "a version of which nothing says that it was done"}),
        ([INTENDED, DONE, line("failed", 3)], {"two outcomes of one announcement"}),
        ([INTENDED, DONE, line("done", 3, "r:2", version="7@then"), line("intended", 2, "r:2")],
         {"says done of what was not", "an outcome of nothing that was announced"}),
        ([*RUN, INTENDED, DONE, RUN[1]], {"a run finishes twice"}),
        ([RUN[0], INTENDED, RUN[1], DONE, RUN[1]._replace(reason="settled")], set()),
        ([RUN[0], INTENDED, DONE], {"a run without an end"}),
        # Settled by another run, and then written late all the same.
        ([INTENDED, line("failed", -1), DONE._replace(intent="r:9")], {"a write that was not announced"}),
        ([INTENDED, line("failed", -1), *LATE, DONE._replace(intent="r:1:late"), line("run-finished", 7, run="r:late")],
         set()),
    ],
)  # fmt: skip
def test_the_ledger_is_held_to_what_is_there(tmp_path: Path, lines: list[Line], found: set[str]) -> None:
    """A write without its announcement, a record of what is not so, and what was left open are all found."""
    about = {"created_time": WRITTEN.partition("@")[2], "deletion_time": "", "destroyed": False}
    at = Destinations(cast("Vault", None), tmp_path)
    at.secrets = {KEY: {"current_version": 1, "versions": {"1": about}}}
    at.history[KEY] = {WRITTEN}
    told, findings = Told(), Findings()
    told.lines = list(lines)
    sources = Sources(Random(1), small=True)
    witness = Witness(cast("Chain", told), at, Strangers(at, sources, Random(1)), findings)
    witness.follow("now")
    witness.close()
    assert found <= findings.found["start"].keys()
    if not found:
        assert findings.total == 0


@pytest.mark.parametrize(
    ("lines", "by", "found"),
    [
        ([INTENDED, line("failed", 5)._replace(reason="interrupted")], "2@2026-01-01T00:00:03Z", 0),
        ([INTENDED, line("failed", 5)._replace(reason="interrupted")], "3@2026-01-01T00:00:03Z", 1),
        ([INTENDED, line("failed", 5)._replace(reason="interrupted")], "2@2026-01-01T00:00:01Z", 1),
        ([INTENDED, line("failed", 5)], "2@2026-01-01T00:00:03Z", 1),
    ],
    ids=["overwritten at once", "a version between them", "an earlier secret's version", "no run was interrupted"],
)
def test_a_write_that_others_hid_needs_no_record(tmp_path: Path, lines: list[Line], by: str, found: int) -> None:
    """A killed run's version may stay untold only where somebody else wrote the next one before a run could look."""
    about = {"created_time": WRITTEN.partition("@")[2], "deletion_time": "", "destroyed": False}
    at = Destinations(cast("Vault", None), tmp_path)
    at.secrets = {KEY: {"current_version": 1, "versions": {"1": about}}}
    told, findings, sources = Told(), Findings(), Sources(Random(1), small=True)
    told.lines = list(lines)
    strangers = Strangers(at, sources, Random(1))
    strangers.versions = {(KEY, by)}
    witness = Witness(cast("Chain", told), at, strangers, findings)
    witness.follow("now")
    witness.close()
    assert findings.found["start"]["a version of which nothing says that it was done"] == found


def test_the_chain_is_checked_without_the_product(tmp_path: Path) -> None:
    """Every record that the ledger writes fits, requests included; one that is changed does not."""
    path = tmp_path / "ledger.db"
    with Ledger.open(f"sqlite:///{path}", seal_key=SEAL_KEY) as ledger:
        ledger.append("main", [started(), done("a"), finished()._replace(requests=(("store", "read", 1),))])
    chain = Chain(path)
    assert [line.event for line in chain.follow()] == ["run-started", "done", "run-finished"]
    assert chain.broken == []
    assert chain.follow() == []
    assert chain.leases() == []
    with closing(sqlite3.connect(path)) as file:
        file.execute("DROP TRIGGER ledger_no_update")
        file.execute("UPDATE ledger SET key = 'other' WHERE event = 'done'")
        file.commit()
    chain = Chain(path)
    chain.follow()
    assert chain.broken == ["main 2 has another hash than its own"]


def test_the_proxy_hinders_and_strikes() -> None:
    """Each fault is what it is called, and of every write it is known whether it was carried out and told."""
    fake = FakeVault(2)
    server = FakeServer(fake)
    host, port = server.address.removeprefix("http://").split(":")
    proxy = Proxy(host, int(port), Random(1))
    struck: list[int] = []

    def write() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", int(proxy.address.rpartition(":")[2]), timeout=10)
        with closing(connection):
            try:
                connection.request("POST", "/v1/secret/data/a", b'{"data": {"x": "y"}}')
                answer = connection.getresponse()
                answer.read()
            except (http.client.HTTPException, OSError):
                return 0
            return answer.status

    proxy.at(1, "carried", lambda: struck.append(len(fake.writes)))
    assert write() == 200
    assert struck == [1]
    expected = {name: 0 if name in ("reset before", "truncate", "drop after") else 200 for name in FAULTS}
    expected |= {name: int(name.rpartition(" ")[2]) for name in FAULTS if name.startswith("status")}
    for name in FAULTS:
        proxy.writes.clear()
        proxy.rates = {name: 1.0}
        status = write()
        proxy.heal()
        assert proxy.drain()
        assert status in (500, 502, 503) if name == "error after" else status == expected[name], name
        (entry,) = proxy.writes
        assert entry.carried == (name != "reset before" and not name.startswith("status")), name
        assert entry.told == (name == "delay"), name
    server.close()


def test_findings_are_counted_by_their_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is counted, and a few of one kind are shown for each round."""
    findings = Findings()
    findings.begin("kill")
    for number in range(9):
        findings.add("lost", number)
    assert capsys.readouterr().out.count("FOUND in round 1 (kill): lost") == 4
    findings.report("part")
    assert "1 rounds, {'lost': 9}" in capsys.readouterr().out
    assert findings.total == 9


def test_what_is_told_twice_is_found_unless_its_sender_was_killed() -> None:
    """A message may come again where its sender was killed in between; else it is a finding, and so is a third."""
    first, second, third = ({"run": "r", "events": ["recovery"], "at": at} for at in (10.0, 20.0, 30.0))
    assert told_twice([first, {**second, "run": "s"}, {**second, "events": ["failure"]}], []) == []
    assert told_twice([first, second], []) == [("r", "recovery")]
    assert told_twice([first, second], [15.0]) == []
    assert told_twice([first, second, third], [15.0]) == [("r", "recovery")]
    assert told_twice([{**first, "run": None}, {**second, "run": None}], []) == []


def test_a_database_that_somebody_holds_is_locked(tmp_path: Path) -> None:
    """Dagster is not stopped for as long as it would keep others out of its own database."""
    (tmp_path / "below").mkdir()
    with closing(sqlite3.connect(tmp_path / "below" / "runs.db")) as database:
        database.execute("CREATE TABLE t (x)")
        assert not is_locked(tmp_path)
        database.execute("BEGIN IMMEDIATE")
        assert is_locked(tmp_path)


def test_edits_say_whether_versions_go() -> None:
    """What is removed counts as gone, until it is put again."""
    sources = Sources(Random(1), small=True)
    sources.fill()
    key = next(iter(sources.live))
    assert sources.remove([key], forget=True) == [Edit(key, None, forget=True)]
    assert key in sources.gone
    (edit,) = sources.renew([key])
    assert edit.fields == sources.live[key]
    assert key not in sources.gone


def test_a_part_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The parts are known by their numbers."""
    with pytest.raises(SystemExit):
        program.main(["--parts", "0,7"])
    assert "there is no part 7" in capsys.readouterr().err


def test_a_part_that_is_out_of_time_tries_one_round(tmp_path: Path) -> None:
    """Or a slow machine would try nothing, and find nothing."""
    findings = Findings()
    task = Task(tmp_path, "1", until=0.0, rounds=9)
    assert task.goes_on(findings)
    findings.begin("kill")
    assert not task.goes_on(findings)


@pytest.mark.slow
def test_sabotage_is_noticed_and_killed_runs_are_made_up_for(tmp_path: Path) -> None:
    """Whatever is spoiled behind a real sync's back is found; two rounds of kills have nothing to be found."""
    assert program.main(["--seed", "1", "--parts", "9,0", "--rounds", "2", "--directory", str(tmp_path / "soak")]) == 0
    assert not Path(tmp_path / "soak").exists()
