"""What watches over a ledger: a rehearsed append, a look at the ends of its chains, and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from audit.lab import SEAL_KEY, done, finished, started
from secretsync_core.audit.databases import exists
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Draft, Event
from secretsync_core.errors import LedgerBroken, LedgerError

if TYPE_CHECKING:
    from audit.lab import OtherHand


def fill(ledger: Ledger) -> None:
    """Two chains."""
    ledger.append("a", [started(), done("one"), done("two"), finished(counts="created=2")])
    ledger.append("b", [started(), done("three"), finished()])


def test_a_rehearsal_leaves_no_trace(ledger: Ledger, other_hand: OtherHand) -> None:
    """No record, no chain, no lease, and what was counted is counted the same."""
    fill(ledger)
    tables = ("ledger", "heads", "current", "leases", "meta")
    before = [sorted(map(repr, other_hand(f"SELECT * FROM {table}"))) for table in tables]
    for _ in range(3):
        ledger.rehearse()
    assert before == [sorted(map(repr, other_hand(f"SELECT * FROM {table}"))) for table in tables]
    assert ledger.append("a", [done("after")]) == [5]
    assert all(report.sound for report in ledger.verify())


def test_a_rehearsal_fails_as_an_append_would(ledger: Ledger, url: str, other_hand: OtherHand) -> None:
    """Where nothing may be written, and where somebody forged the list of chains."""
    with (
        Ledger.open(url, seal_key=SEAL_KEY, read_only=True) as reader,
        pytest.raises(LedgerError, match="reading only"),
    ):
        reader.rehearse()
    other_hand("UPDATE meta SET value = '7' WHERE name = 'chains'")
    with pytest.raises(LedgerBroken):
        ledger.rehearse()


@pytest.mark.parametrize(
    ("forgery", "where", "what"),
    [
        ("DELETE FROM ledger WHERE job = 'a' AND seq = 4", "a", "missing: the end of the chain, up to 4"),
        ("DELETE FROM ledger WHERE job = 'b'", "b", "missing: the end of the chain, up to 3"),
        ("UPDATE heads SET seq = 2 WHERE job = 'a'", "a", "not sealed with our key"),
        ("UPDATE heads SET seal = hash WHERE job = 'b'", "b", "not sealed with our key"),
        ("UPDATE ledger SET hash = previous WHERE job = 'b' AND seq = 3", "b", "not the one that was sealed"),
        ("DELETE FROM heads WHERE job = 'b'", "", "chain 2 of 2 is gone"),
    ],
)
def test_the_ends_of_the_chains_tell(
    ledger: Ledger, other_hand: OtherHand, forgery: str, where: str, what: str
) -> None:
    """What was done to an end is found without walking along the chain, and named as `verify` names it."""
    fill(ledger)
    assert [(report.job, report.last, report.head, report.sound) for report in ledger.verify_heads()] == [
        (report.job, report.last, report.head, True) for report in ledger.verify()
    ]
    other_hand(forgery)
    (broken,) = (report for report in ledger.verify_heads() if not report.sound)
    assert broken.job == where
    assert what in broken.faults[0].what
    assert not all(report.sound for report in ledger.verify())


def test_what_is_in_the_middle_is_not_looked_at(ledger: Ledger, other_hand: OtherHand) -> None:
    """That takes `verify`: the quick look says only what it says."""
    fill(ledger)
    other_hand("UPDATE ledger SET item = 'forged' WHERE job = 'a' AND seq = 2")
    assert all(report.sound for report in ledger.verify_heads())
    assert not ledger.verify("a")[0].sound


def test_what_is_counted(ledger: Ledger) -> None:
    """Runs by how they ended and results over all of them; the run that ended last, though another one goes on."""
    fill(ledger)
    ledger.append("a", [started("r2"), finished("r2", "unchanged=2 failed=1", "failed")])
    ledger.append("a", [started("r3"), finished("r3", "unchanged=1", "stopped")])
    ledger.append("a", [started("r4"), Draft(Event.RUN_FINISHED, "r4", reason="interrupted")])
    ledger.append("a", [started("r5"), finished("r5", "unchanged=2 drifted=1"), started("r6")])
    ledger.leases.acquire("a", "me", 60)
    first, second = ledger.runs.measures()
    assert first.runs == {"ok": 2, "failed": 1, "stopped": 1, "interrupted": 1}
    assert first.results == {"created": 2, "unchanged": 5, "failed": 1, "drifted": 1}
    assert (first.open_runs, first.leased) == (1, True)
    assert first.summary == ledger.runs.summary("a")
    assert first.summary.last_run is not None
    assert first.summary.last_run.run == "r6"
    assert first.last_finished is not None
    assert (first.last_finished.run, first.last_finished.ok) == ("r5", True)
    assert (second.runs, second.open_runs, second.leased) == ({"ok": 1}, 0, False)


def test_a_run_that_ended_twice_is_counted_once(ledger: Ledger) -> None:
    """Its last step failed and was tried again: both ends tell of the whole run. What a later run settled of it is told
    beside that."""
    ledger.append("a", [started("r1"), finished("r1", "created=3 failed=1", "failed")])
    ledger.append("a", [started("r1"), finished("r1", "created=4 deleted=1")])
    ledger.append("a", [finished("r1", "updated=1", "settled")])
    (measure,) = ledger.runs.measures()
    assert measure.results == {"created": 4, "failed": 1, "deleted": 1, "updated": 1}


def test_whether_there_is_a_ledger(url: str) -> None:
    """It takes no key to tell, and asking makes none."""
    assert not exists(url)
    assert not exists(url)
    Ledger.open(url, seal_key=SEAL_KEY).close()
    assert exists(url)
