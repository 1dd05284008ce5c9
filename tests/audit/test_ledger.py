"""Appending, and reading back: records, states, fingerprints, open runs, summaries."""

from __future__ import annotations

import pickle
import time
from enum import StrEnum
from typing import TYPE_CHECKING

import pytest

from audit.lab import SEAL_KEY, digest, done, finished, intended, started
from secretsync_core.audit import seal
from secretsync_core.audit.ledger import Ledger, LedgerMissing
from secretsync_core.audit.record import GENESIS, Draft, Event, KeyState, record_hash
from secretsync_core.errors import LedgerBroken, LedgerError

if TYPE_CHECKING:
    from audit.lab import OtherHand


def test_records_come_back_as_they_were_appended(ledger: Ledger) -> None:
    """Every column survives, and each record carries the hash of the one before it."""
    drafts = [
        started(),
        done("payments/ü 😀", fields=digest("f")[:32], owned=True, source_version=None, dest_version=None),
        finished(counts="created=1 failed=0"),
    ]
    assert ledger.append("job", drafts) == [1, 2, 3]
    records = list(ledger.records(job="job"))
    assert [record.draft for record in records] == drafts
    assert [record.seq for record in records] == [1, 2, 3]
    assert [record.previous for record in records] == [GENESIS, records[0].hash, records[1].hash]
    assert all(abs(record.time / 1e6 - time.time()) < 60 for record in records)
    assert all(
        record.hash == record_hash(record.job, record.seq, record.time, record.draft, record.previous)
        for record in records
    )


def test_nothing_is_appended_of_a_batch_that_holds_one_bad_draft(ledger: Ledger) -> None:
    """A batch is one transaction."""
    ledger.append("job", [started()])
    with pytest.raises(LedgerError):
        ledger.append("job", [done("a"), done("b", reason="Not A Code")])
    assert [record.seq for record in ledger.records()] == [1]
    assert ledger.append("job", [done("a")]) == [2]
    assert ledger.verify()[0].sound


def test_an_empty_batch_does_nothing(ledger: Ledger) -> None:
    """Appending nothing gives no numbers and begins no chain."""
    assert ledger.append("job", []) == []
    assert ledger.jobs() == []


def test_chains_of_jobs_are_apart(ledger: Ledger) -> None:
    """Each job has its own numbers and its own state."""
    assert ledger.append("b", [done("x")]) == [1]
    assert ledger.append("a", [done("x"), done("y")]) == [1, 2]
    assert ledger.jobs() == ["a", "b"]
    assert [key for key, _ in ledger.state.keys("b")] == [("k8s", "x")]


def test_enumerations_may_stand_for_codes(ledger: Ledger) -> None:
    """Actions and reasons are enumerations in the engine, and plain codes in the ledger."""

    class Code(StrEnum):
        CREATE = "create"
        NEW = "new"

    ledger.append("job", [done("a", action=Code.CREATE, reason=Code.NEW)])
    (record,) = ledger.records()
    assert (type(record.draft.action), record.draft.reason) == (str, "new")
    assert ledger.verify()[0].sound


def test_the_state_is_the_last_write_or_same_value(ledger: Ledger) -> None:
    """Failures and intentions do not change it, a delete ends it, and a later create begins it anew."""
    ledger.append("job", [done("a"), done("b"), done("c"), intended("a", version="9"), done("b", action="delete")])
    ledger.append(
        "job",
        [
            done("a", version="8")._replace(event=Event.FAILED, reason="conflict"),
            done("c", version="5")._replace(event=Event.SKIPPED, reason="same-value", item="other", owned=False),
            done("a", version="7")._replace(event=Event.SKIPPED, reason="exists"),
        ],
    )
    assert dict(ledger.state.keys("job")) == {
        ("k8s", "a"): KeyState("1", "1@2e", digest("definition"), True, "payments"),
        ("k8s", "c"): KeyState("5", "5@2e", digest("definition"), False, "other"),
    }
    ledger.append("job", [done("b", version="2")])
    assert [key for key, _ in ledger.state.keys("job")] == [("k8s", "a"), ("k8s", "b"), ("k8s", "c")]


@pytest.mark.slow
def test_the_states_of_many_jobs_are_those_of_each(ledger: Ledger) -> None:
    """In one stream, job by job, and of no other job; those that have none are left out."""
    jobs = [f"job-{number:04d}" for number in range(600)]
    for job in jobs[::60]:
        ledger.append(job, [done("a", version=job.removeprefix("job-")), done("b"), done("a", dest="aws")])
    wanted = {*jobs[:599], "unknown"} - {jobs[60]}
    found = list(ledger.state.of_jobs(wanted))
    told = {job: [(place, held) for of, place, held in found if of == job] for job in jobs}
    assert told == {job: list(ledger.state.keys(job)) if job in wanted else [] for job in jobs}
    assert [job for job, _, _ in found] == sorted(job for job, _, _ in found)
    assert len(found) == 27
    assert list(ledger.state.of_jobs([])) == []


def test_a_state_shows_one_moment_while_records_are_appended(ledger: Ledger) -> None:
    """A stream that is read slowly is not disturbed by writes, nor does it hold them up."""
    ledger.append("job", [done(f"key-{number:04d}") for number in range(3000)])
    stream = ledger.state.keys("job")
    next(stream)
    ledger.append("job", [done("key-2999", version="2"), done("later")])
    rest = dict(stream)
    assert len(rest) == 2999
    assert rest["k8s", "key-2999"].source_version == "1"
    assert len(dict(ledger.state.keys("job"))) == 3001


def test_fingerprints_are_those_of_the_state(ledger: Ledger) -> None:
    """Of all live keys of a destination, or of those that are asked for, however many."""
    ledger.append("job", [done(f"key-{number:04d}") for number in range(1200)])
    ledger.append("job", [done("key-0001", version="2", fields="ab" * 8), done("key-0002", action="delete")])
    ledger.append("job", [done("elsewhere", dest="aws")])
    everything = {
        key: (fingerprint, fields) for key, fingerprint, fields in ledger.state.fingerprints("job", "k8s", None)
    }
    assert len(everything) == 1199
    assert everything["key-0001"] == (digest("key-00012"), "ab" * 8)
    some = {f"key-{number:04d}" for number in range(1100)} | {"unknown"}
    found = list(ledger.state.fingerprints("job", "k8s", some))
    assert [key for key, _, _ in found] == sorted(some - {"unknown", "key-0002"})
    assert list(ledger.state.fingerprints("job", "k8s", [])) == []


def test_an_intention_is_open_until_its_run_or_another_settles_it(ledger: Ledger) -> None:
    """Only intentions of runs that never finished are asked for, and any outcome with the same intent settles."""
    ledger.append("job", [started("old"), intended("lost", run="old"), finished("old")])
    ledger.append(
        "job",
        [
            started("dead"),
            intended("a", run="dead", intent="1"),
            intended("b", run="dead", intent="2"),
            intended("c", run="dead", intent="3"),
            done("a", run="dead", intent="1"),
        ],
    )
    ledger.append("other", [started("dead"), done("b", intent="2")])
    assert ledger.runs.unfinished("job") == ["dead"]
    assert [record.draft.key for record in ledger.runs.unsettled("job")] == ["b", "c"]
    ledger.append("job", [started("next"), done("b", run="next", intent="2")])
    assert ledger.runs.unfinished("job") == ["dead", "next"]
    assert [record.draft.key for record in ledger.runs.unsettled("job")] == ["c"]
    settled = done("c", run="dead", intent="3")._replace(event=Event.FAILED, reason="interrupted")
    ledger.append("job", [settled, finished("dead", reason="interrupted")])
    assert ledger.runs.unsettled("job") == []
    assert ledger.runs.unfinished("job") == ["next"]


def test_records_are_filtered_and_ordered(ledger: Ledger) -> None:
    """By job, run, key, destination, time and event; forwards, backwards, and no more than asked for."""
    ledger.append("a", [started("r1"), done("x", run="r1"), done("y", run="r1", dest="aws")])
    time.sleep(0.002)
    moment = time.time_ns() // 1000
    time.sleep(0.002)
    ledger.append("b", [started("r2"), done("x", run="r2")])

    def found(**filters: object) -> list[tuple[str, int]]:
        return [(record.job, record.seq) for record in ledger.records(**filters)]  # type: ignore[arg-type]

    assert found() == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)]
    assert found(key="x") == [("a", 2), ("b", 2)]
    assert found(run="r1", dest="aws") == [("a", 3)]
    assert found(since=moment) == [("b", 1), ("b", 2)]
    assert found(events=[Event.RUN_STARTED]) == [("a", 1), ("b", 1)]
    assert found(events=[]) == []
    assert found(newest_first=True, limit=3) == [("b", 2), ("b", 1), ("a", 3)]
    assert found(job="a", newest_first=True, limit=1) == [("a", 3)]


def test_a_summary_says_how_a_job_stands(ledger: Ledger) -> None:
    """The last run, the last success, and the keys that failed in the last run and were not put right in it."""
    assert ledger.runs.summary("job").last_run is None
    ledger.append("job", [started("r1"), done("a", run="r1"), finished("r1", "created=1 failed=0")])
    first = ledger.runs.summary("job")
    assert first.last_run is not None
    assert first.last_run.ok
    assert (first.records, first.live_keys, first.failed_keys) == (3, 1, 0)
    assert first.last_success == first.last_run.finished

    failed = done("b", run="r2")._replace(event=Event.FAILED, reason="conflict")
    ledger.append("job", [started("r2"), failed, failed._replace(key="c"), done("c", run="r2")])
    running = ledger.runs.summary("job").last_run
    assert running is not None
    assert (running.run, running.finished, running.ok, running.failed_keys) == ("r2", None, False, 1)

    ledger.append("job", [finished("r2", "created=1 failed=1")])
    second = ledger.runs.summary("job")
    assert second.last_run is not None
    assert dict(second.last_run.counts) == {"created": 1, "failed": 1}
    assert not second.last_run.ok
    assert second.last_success == first.last_success
    assert second.failed_keys == 1

    ledger.append("job", [started("r3"), finished("r3", "unchanged=2", reason="stopped")])
    third = ledger.runs.summary("job").last_run
    assert third is not None
    assert not third.ok


def test_a_ledger_is_opened_again_as_it_was(ledger: Ledger, url: str) -> None:
    """What was appended is there for the next process, also for one that only reads."""
    ledger.append("job", [done("a")])
    ledger.close()
    ledger.close()
    with Ledger.open(url, seal_key=SEAL_KEY, read_only=True) as reader:
        assert len(list(reader.state.keys("job"))) == 1
        with pytest.raises(LedgerError, match="reading only"):
            reader.append("job", [done("b")])
    with Ledger.open(url, seal_key=SEAL_KEY) as again:
        assert again.append("job", [done("b")]) == [2]


def test_reading_does_not_make_a_ledger(url: str) -> None:
    """A first ``plan`` or ``status`` finds nothing, changes nothing, and can tell that from a failure."""
    with pytest.raises(LedgerMissing):
        Ledger.open(url, seal_key=SEAL_KEY, read_only=True)
    with pytest.raises(LedgerMissing):
        Ledger.open(url, seal_key=SEAL_KEY, read_only=True)


def test_another_key_is_named_as_such(ledger: Ledger, url: str) -> None:
    """It is no tampering when somebody gives the wrong key, and nothing is appended with it."""
    ledger.append("job", [done("a")])
    with pytest.raises(LedgerError, match="another key") as caught:
        Ledger.open(url, seal_key=b"another key, as long as it needs")
    assert not isinstance(caught.value, LedgerBroken)


def test_a_newer_ledger_is_left_alone(ledger: Ledger, url: str, other_hand: OtherHand) -> None:
    """An old program must not write into tables that it does not know."""
    del ledger
    sealed = seal.meta_seal(SEAL_KEY, "schema", "99")
    other_hand("UPDATE meta SET value = '99', seal = ? WHERE name = 'schema'", sealed)
    with pytest.raises(LedgerError, match="newer") as caught:
        Ledger.open(url, seal_key=SEAL_KEY)
    assert "upgrade" in caught.value.hint


def test_the_state_can_be_made_anew(ledger: Ledger, other_hand: OtherHand) -> None:
    """Where the state differs from the records, the records win."""
    ledger.append("job", [done("a"), done("b"), done("c"), done("b", action="delete")])
    before = list(ledger.state.keys("job"))
    other_hand("DELETE FROM current WHERE key = 'a'")
    other_hand("UPDATE current SET source_version = 'x' WHERE key = 'c'")
    assert not ledger.verify("job")[0].sound
    ledger.state.rebuild("job")
    assert list(ledger.state.keys("job")) == before
    assert ledger.verify("job")[0].sound


def test_an_error_about_a_ledger_can_be_shown_anywhere(ledger: Ledger) -> None:
    """It has a message and survives a trip between processes."""
    with pytest.raises(LedgerError) as caught:
        ledger.append("job", [Draft(Event.DONE, "")])
    assert "run must be" in str(pickle.loads(pickle.dumps(caught.value)))
