"""Changing the ledger's key: all is verified, then sealed anew in one step, and nothing is lost or laundered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.processes import FORKSERVER

from audit.lab import NEW_KEY, SEAL_KEY, done, finished, reseal_and_stay, started
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Event
from secretsync_core.errors import LeaseHeld, LedgerBroken, LedgerError

if TYPE_CHECKING:
    from audit.lab import OtherHand


def fill(ledger: Ledger) -> dict[str, tuple[int, str]]:
    """Two chains; gives their heads."""
    ledger.append("a", [started(), done("one"), done("two"), finished()])
    ledger.append("b", [started(), done("three"), finished()])
    return {report.job: (report.last, report.head) for report in ledger.verify()}


def test_a_ledger_is_sealed_anew(ledger: Ledger, url: str) -> None:
    """Every record stays; each chain says that it was done; the old key opens it no more, and says why."""
    heads = fill(ledger)
    before = {
        job: (list(ledger.records(job=job)), list(ledger.state.keys(job)), ledger.runs.summary(job)) for job in heads
    }
    ledger.seals.renew(NEW_KEY, "rotation-1", expected=heads)
    assert all(report.sound for report in ledger.verify(expected=heads))
    for job, (records, state, summary) in before.items():
        *same, last = ledger.records(job=job)
        assert same == records
        assert (last.draft.event, last.draft.reason, last.draft.run) == (Event.DONE, "key-rotated", "rotation-1")
        assert list(ledger.state.keys(job)) == state
        assert ledger.runs.summary(job).last_run == summary.last_run
        assert ledger.runs.summary(job).last_success == summary.last_success
        assert (ledger.runs.unfinished(job), ledger.runs.unsettled(job)) == ([], [])
    assert ledger.append("a", [done("after")]) == [6]
    assert ledger.append("c", [done("new chain")]) == [1]
    ledger.close()
    with Ledger.open(url, seal_key=NEW_KEY, former=[SEAL_KEY]) as again:
        assert all(report.sound for report in again.verify())
        assert again.migrate() == again.version
    with pytest.raises(LedgerError, match="another key"):
        Ledger.open(url, seal_key=SEAL_KEY)


def test_a_ledger_that_a_former_key_sealed_is_of_no_use_before_it_is_sealed_anew(ledger: Ledger, url: str) -> None:
    """Who has only the key that was given up must not be able to pass an old or forged copy off as the ledger."""
    fill(ledger)
    with pytest.raises(LedgerError, match="still sealed with the key before") as caught:
        Ledger.open(url, seal_key=NEW_KEY, former=[SEAL_KEY])
    assert "rotate-key" in caught.value.hint
    with Ledger.open(url, seal_key=NEW_KEY, former=[b"x" * 32, SEAL_KEY], reseal=True) as pending:
        assert not pending.seals.are_by(NEW_KEY)
        pending.seals.renew(NEW_KEY, "rotation-1")
        assert pending.seals.are_by(NEW_KEY)
    with Ledger.open(url, seal_key=NEW_KEY, former=[SEAL_KEY]) as opened:
        assert all(report.sound for report in opened.verify())


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE ledger SET item = 'forged' WHERE job = 'a' AND seq = 2",
        "DELETE FROM ledger WHERE job = 'b' AND seq = 3",
        "DELETE FROM heads WHERE job = 'b'",
        "UPDATE current SET source_version = 'x'",
        "UPDATE heads SET seal = hash WHERE job = 'a'",
    ],
)
def test_what_somebody_else_made_of_it_is_not_sealed(ledger: Ledger, other_hand: OtherHand, forgery: str) -> None:
    """A broken ledger keeps its old seals, so that whoever looks into it sees what was done."""
    fill(ledger)
    other_hand(forgery)
    seals = other_hand("SELECT job, seal FROM heads ORDER BY job"), other_hand("SELECT * FROM meta ORDER BY name")
    for _ in range(2):
        with pytest.raises(LedgerBroken, match="not resealed"):
            ledger.seals.check()
        with pytest.raises(LedgerBroken):
            ledger.seals.renew(NEW_KEY, "rotation-1")
    assert seals == (
        other_hand("SELECT job, seal FROM heads ORDER BY job"),
        other_hand("SELECT * FROM meta ORDER BY name"),
    )


def test_a_head_that_was_noted_elsewhere_has_to_be_there(ledger: Ledger) -> None:
    """An older copy of the ledger is sound in itself; a noted head tells it before it gets a new seal."""
    heads = fill(ledger)
    with pytest.raises(LedgerBroken, match="noted elsewhere"):
        ledger.seals.renew(NEW_KEY, "rotation-1", expected={"a": (heads["a"][0] + 3, heads["a"][1])})
    assert ledger.seals.are_by(SEAL_KEY)


def test_it_waits_for_no_run_and_stops_none(ledger: Ledger) -> None:
    """While a run goes on with the old key the key is not changed."""
    fill(ledger)
    ledger.leases.acquire("a", "somebody", 60)
    with pytest.raises(LeaseHeld, match="a is being synced by somebody"):
        ledger.seals.renew(NEW_KEY, "rotation-1")
    ledger.leases.release("a", "somebody")
    ledger.seals.renew(NEW_KEY, "rotation-1")


def test_whoever_has_it_open_with_the_old_key_writes_nothing_more(ledger: Ledger, url: str) -> None:
    """It is told that the key was changed, and not that somebody forged the ledger."""
    fill(ledger)
    with Ledger.open(url, seal_key=SEAL_KEY) as slow:
        ledger.seals.renew(NEW_KEY, "rotation-1")
        for job in ("a", "new"):
            with pytest.raises(LedgerError, match="was changed while it was in use") as caught:
                slow.append(job, [done("late")])
            assert not isinstance(caught.value, LedgerBroken)
    assert all(report.sound for report in ledger.verify())


def test_a_change_that_is_killed_leaves_the_old_key(url: str) -> None:
    """By kill -9 right before its end: the ledger is as it was, under the old key, and it can be done again."""
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        heads = fill(ledger)
    ours, theirs = FORKSERVER.Pipe(duplex=False)
    process = FORKSERVER.Process(target=reseal_and_stay, args=(url, theirs))
    process.start()
    assert ours.poll(60)
    process.kill()
    process.join()
    ours.close()
    theirs.close()
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        assert {report.job: (report.last, report.head) for report in ledger.verify()} == heads
        ledger.seals.renew(NEW_KEY, "rotation-2")
        assert all(report.sound for report in ledger.verify(expected=heads))


def test_how_much_is_named_by_former_keys(ledger: Ledger) -> None:
    """Keys that were recorded before the change are counted until they are recorded again."""
    assert ledger.seals.left_behind() == {}
    fill(ledger)
    assert ledger.seals.left_behind() == {}
    ledger.seals.renew(NEW_KEY, "rotation-1")
    assert ledger.seals.left_behind() == {"a": 2, "b": 1}
    ledger.append("a", [done("one", version="2"), done("fresh")])
    ledger.append("b", [done("three", action="delete")])
    assert ledger.seals.left_behind() == {"a": 1}
