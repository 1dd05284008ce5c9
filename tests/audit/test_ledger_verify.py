"""Whatever another hand does to the ledger is found, and what was only written by us is sound."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from audit.lab import SEAL_KEY, digest, done, finished, intended, replay, started
from secretsync_core.audit import export
from secretsync_core.audit.record import GENESIS, Draft, Event
from secretsync_core.audit.rows import encode
from secretsync_core.audit.schema import COLUMNS, DIGESTS, VERSIONS
from secretsync_core.audit.verify import MAX_FAULTS
from secretsync_core.errors import LedgerBroken

if TYPE_CHECKING:
    from audit.lab import OtherHand
    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.verify import ChainReport

EVERY_EXAMPLE_ITS_OWN_JOB = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_numbers = itertools.count(1)


def new_job() -> str:
    """A job that no other example has."""
    return f"job-{next(_numbers)}"


def report_of(ledger: Ledger, job: str) -> ChainReport:
    """What verifying says of one chain."""
    return next(report for report in ledger.verify(job) if report.job == job)


DRAFTS = st.builds(
    Draft,
    event=st.sampled_from(Event),
    run=st.sampled_from(["run-1", "run-2"]),
    intent=st.sampled_from(["", "1", "2"]),
    item=st.sampled_from(["", "payments", "billing-db"]),
    dest=st.sampled_from(["k8s", "aws"]),
    key=st.sampled_from(["a", "A", "a/b", "ü", "😀", "z'\"\\"]),
    action=st.sampled_from(["", "create", "update", "delete"]),
    reason=st.sampled_from(["", "same-value", "new"]),
    source=st.sampled_from(["", "vault"]),
    source_key=st.sampled_from(["", "a/b"]),
    source_version=st.none() | st.sampled_from(["0", "1", "2@e"]),
    dest_version=st.none() | st.sampled_from(["1", "7@f"]),
    definition=st.sampled_from(["", digest("1"), digest("2")]),
    fingerprint=st.sampled_from(["", digest("3")]),
    owned=st.booleans(),
    fields=st.sampled_from(["", "0123456789abcdef"]),
    counts=st.sampled_from(["", "created=1 failed=2"]),
    requests=st.just(()),
)
ENDS = st.sets(st.tuples(st.sampled_from(["vault", "k8s-prod"]), st.sampled_from(["list", "read"])), max_size=4).map(
    lambda pairs: Draft(Event.RUN_FINISHED, "run-1", requests=tuple((*pair, 3) for pair in pairs))
)


@pytest.mark.slow
@EVERY_EXAMPLE_ITS_OWN_JOB
@given(batches=st.lists(st.tuples(st.booleans(), st.lists(DRAFTS | ENDS, max_size=8)), max_size=6))
def test_any_interleaving_of_records_is_sound(ledger: Ledger, batches: list[tuple[bool, list[Draft]]]) -> None:
    """Two jobs that take turns give two sound chains, and the states that a naive replay gives."""
    jobs = {True: new_job(), False: new_job()}
    for which, drafts in batches:
        ledger.append(jobs[which], drafts)
    for which, job in jobs.items():
        mine = [draft for chosen, drafts in batches if chosen == which for draft in drafts]
        report = report_of(ledger, job)
        assert report.faults == []
        assert report.records == len(mine)
        state = list(ledger.state.keys(job))
        assert dict(state) == replay(mine)
        assert [key for key, _ in state] == sorted(replay(mine))
        (again,) = export.verify_export(export.export(ledger.records(job=job))) or [report]
        assert (again.sound, again.last, again.head) == (True, report.last, report.head)
        ledger.state.rebuild(job)
        assert list(ledger.state.keys(job)) == state


def fill(ledger: Ledger, job: str) -> None:
    """A chain of twelve records, with a bit of everything."""
    ledger.append(job, [started(), *(intended(f"key-{number}") for number in range(3))])
    ledger.append(job, [*(done(f"key-{number}", owned=number == 1) for number in range(3)), finished()])
    ledger.append(job, [started("run-2"), done("key-0", action="delete", run="run-2"), finished("run-2")])
    ledger.append(job, [done("key-1", version="2")])


def other_value(column: str, value: Any) -> Any:
    """Something else that the column may hold, so that only the chain can find it."""
    if column in DIGESTS:
        return (
            bytes(8)
            if column == "fields" and not value
            else bytes([*value[:-1], value[-1] ^ 1])
            if value
            else bytes(32)
        )
    if column in ("seq", "time"):
        return value + 1000
    if column == "owned":
        return 1 - value
    others = {
        "event": ("failed", "skipped"),
        "action": ("update", "delete"),
        "counts": ("a=1", "a=2"),
        **dict.fromkeys(VERSIONS, ("7", "8")),
    }
    first, second = others.get(column, ("other", "another"))
    return second if value == first else first


@EVERY_EXAMPLE_ITS_OWN_JOB
@given(column=st.sampled_from(COLUMNS), seq=st.integers(1, 12))
def test_an_edited_column_is_found(ledger: Ledger, other_hand: OtherHand, column: str, seq: int) -> None:
    """Whatever column of whatever record is changed, verifying finds it, and where it is."""
    job = new_job()
    fill(ledger, job)
    ((value,),) = other_hand(f"SELECT {column} FROM ledger WHERE job = ? AND seq = ?", job, seq)
    changed = other_value(column, value)
    if column == "job":
        changed = new_job()
    other_hand(f"UPDATE ledger SET {column} = ? WHERE job = ? AND seq = ?", changed, job, seq)
    report = report_of(ledger, job)
    assert not report.sound
    assert {seq, seq + 1} & {fault.seq for fault in report.faults}
    export_lines = list(export.export(ledger.records(job=job)))
    expected = {job: (12, digest("another head"))}
    assert any(not chain.sound for chain in export.verify_export(export_lines, expected=expected))


@EVERY_EXAMPLE_ITS_OWN_JOB
@given(first=st.integers(1, 12), count=st.integers(1, 12))
def test_removed_records_are_found(ledger: Ledger, other_hand: OtherHand, first: int, count: int) -> None:
    """At the beginning, in the middle, at the end, or all of them."""
    job = new_job()
    fill(ledger, job)
    other_hand("DELETE FROM ledger WHERE job = ? AND seq >= ? AND seq < ?", job, first, first + count)
    report = report_of(ledger, job)
    assert report.faults[0].seq == first
    assert report.faults[0].what.startswith("missing")


@EVERY_EXAMPLE_ITS_OWN_JOB
@given(one=st.integers(1, 12), other=st.integers(1, 12))
def test_swapped_records_are_found(ledger: Ledger, other_hand: OtherHand, one: int, other: int) -> None:
    """Records that change places do not fit there."""
    assume(one != other)
    job = new_job()
    fill(ledger, job)
    for old, new in ((one, 1000), (other, one), (1000, other)):
        other_hand("UPDATE ledger SET seq = ? WHERE job = ? AND seq = ?", new, job, old)
    report = report_of(ledger, job)
    assert {one, other} <= {fault.seq for fault in report.faults}


def write_anew(hand: OtherHand, job: str, drafts: list[Draft]) -> str:
    """Write a whole chain with correct plain hashes; gives the last one."""
    hand("DELETE FROM ledger WHERE job = ?", job)
    last = GENESIS
    for seq, draft in enumerate(drafts, 1):
        row, last = encode(job, seq, 1_700_000_000_000_000, draft, last)
        hand(f"INSERT INTO ledger ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})", *row)
    return last


@pytest.mark.parametrize("with_head", [False, True], ids=["records", "records-and-head"])
@pytest.mark.parametrize("length", [3, 12, 15])
def test_a_chain_written_anew_is_found(ledger: Ledger, other_hand: OtherHand, length: int, with_head: bool) -> None:
    """All plain hashes may be right: without the key the head cannot be sealed."""
    fill(ledger, "job")
    last = write_anew(other_hand, "job", [done(f"forged-{number}") for number in range(length)])
    if with_head:
        other_hand("UPDATE heads SET seq = ?, hash = ?", length, bytes.fromhex(last))
    assert not report_of(ledger, "job").sound


def test_a_forged_head_is_not_sealed_by_going_on(ledger: Ledger, other_hand: OtherHand) -> None:
    """Appending to a chain whose head is not ours would make it ours."""
    fill(ledger, "job")
    other_hand("UPDATE heads SET seq = 4")
    with pytest.raises(LedgerBroken, match="not sealed by us") as caught:
        ledger.append("job", [done("a")])
    assert "audit verify" in caught.value.hint


def test_a_record_that_was_added_behind_our_back_is_found(ledger: Ledger, other_hand: OtherHand) -> None:
    """Also where its hash is right and it follows the last one; and nothing is appended over it."""
    fill(ledger, "job")
    *_, last = ledger.records(job="job")
    row, _ = encode("job", 13, last.time, done("forged"), last.hash)
    other_hand(f"INSERT INTO ledger ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})", *row)
    report = report_of(ledger, "job")
    assert report.faults[0] == (13, "added from outside: the chain was sealed at 12")
    with pytest.raises(LedgerBroken):
        ledger.append("job", [done("a")])


def test_a_dropped_chain_is_found(ledger: Ledger, other_hand: OtherHand) -> None:
    """With its head and its state, also after a new chain of the same name was begun in its place."""
    for job in ("a", "b", "c"):
        fill(ledger, job)
    for table in ("ledger", "heads", "current"):
        other_hand(f"DELETE FROM {table} WHERE job = 'b'")
    whole, *chains = ledger.verify()
    assert (whole.job, whole.faults[0].what) == ("", "chain 2 of 3 is gone")
    assert [(chain.job, chain.sound) for chain in chains] == [("a", True), ("c", True)]
    ledger.append("b", [done("x")])
    whole, *chains = ledger.verify()
    assert whole.faults[0].what == "chain 2 of 4 is gone"
    other_hand("UPDATE meta SET value = '2' WHERE name = 'chains'")
    assert "not sealed" in ledger.verify()[0].faults[0].what
    with pytest.raises(LedgerBroken):
        ledger.append("d", [done("x")])


def test_a_head_that_was_removed_is_found(ledger: Ledger, other_hand: OtherHand) -> None:
    """The records alone do not prove how many there were."""
    fill(ledger, "job")
    other_hand("DELETE FROM heads")
    whole, chain = ledger.verify()
    assert not whole.sound
    assert chain.faults[0].what == "the chain has no sealed head"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE current SET source_version = '9'",
        "UPDATE current SET owned = 1 - owned",
        "UPDATE current SET seq = seq + 1",
        "UPDATE current SET key = 'elsewhere' WHERE key = 'key-2'",
        "DELETE FROM current WHERE key = 'key-2'",
    ],
)
def test_a_state_that_the_records_do_not_say_is_found(ledger: Ledger, other_hand: OtherHand, statement: str) -> None:
    """A sync goes by the state, so the state is held against the records."""
    fill(ledger, "job")
    other_hand(statement)
    faults = report_of(ledger, "job").faults
    assert faults
    assert all("state" in fault.what for fault in faults)


def test_a_head_that_was_noted_elsewhere_finds_an_older_copy(ledger: Ledger) -> None:
    """What is sound in itself is compared with what it once was."""
    fill(ledger, "job")
    before = report_of(ledger, "job")
    noted = {"job": (before.last, before.head)}
    ledger.append("job", [done("later")])
    assert all(report.sound for report in ledger.verify(expected=noted))
    assert not ledger.verify("job", expected={"job": (5, digest("another"))})[0].sound
    assert not ledger.verify("job", expected={"job": (99, digest("later"))})[0].sound
    assert not ledger.verify(expected={"gone": (1, digest(""))})[0].sound


def test_faults_are_bounded(ledger: Ledger, other_hand: OtherHand) -> None:
    """A chain that is wrong everywhere does not fill the memory."""
    ledger.append("job", [done(f"key-{number}") for number in range(150)])
    other_hand("UPDATE ledger SET reason = 'edited'")
    report = report_of(ledger, "job")
    assert len(report.faults) == MAX_FAULTS
    assert report.unnamed == 50


def test_nonsense_in_a_column_is_a_fault_and_no_crash(ledger: Ledger, other_hand: OtherHand) -> None:
    """SQLite takes anything in any column from somebody who switches the checks off."""
    if other_hand.postgres:
        pytest.skip("PostgreSQL keeps types apart")
    fill(ledger, "job")
    other_hand("PRAGMA ignore_check_constraints = ON")
    for seq, column, value in ((2, "event", b"\xff"), (3, "owned", "x"), (4, "definition", "text"), (5, "run", 7)):
        other_hand(f"UPDATE ledger SET {column} = ? WHERE seq = ?", value, seq)
    other_hand("UPDATE heads SET ordinal = 7")
    whole, report = ledger.verify()
    assert [fault.seq for fault in report.faults if fault.what.startswith("edited")] == [2, 3, 4, 5]
    assert whole.faults
    with pytest.raises(LedgerBroken, match="record 2 of job"):
        list(ledger.records())


def test_verifying_an_empty_ledger_is_fine(ledger: Ledger) -> None:
    """Nothing was recorded, so nothing is wrong."""
    assert ledger.verify() == []
    assert ledger.verify("unknown")[0].records == 0
    assert SEAL_KEY


def test_a_time_beyond_the_calendar_is_a_fault_and_no_crash(ledger: Ledger, other_hand: OtherHand) -> None:
    """No record of ours is of a year that cannot be written."""
    fill(ledger, "job")
    other_hand("UPDATE ledger SET time = 9223372036854775807 WHERE seq = 2")
    with pytest.raises(LedgerBroken, match="record 2 of job"):
        list(ledger.records())
    assert not ledger.verify("job")[0].sound
