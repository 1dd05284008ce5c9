"""Before a run builds on a chain it looks at the end of it and at the state, at a cost that does not grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.lab import SEAL_KEY, done, finished, intended, started
from audit.test_ledger_verify import DRAFTS, ENDS, EVERY_EXAMPLE_ITS_OWN_JOB, new_job
from secretsync_core.audit import standing
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.places import binding_of
from secretsync_core.audit.rows import rehash
from secretsync_core.errors import LeaseHeld, LedgerBroken
from secretsync_core.model.place import place_of_name

if TYPE_CHECKING:
    from audit.lab import OtherHand
    from secretsync_core.audit.record import Draft


def _fill(ledger: Ledger, *, killed: bool) -> None:
    """A run that ended, and where ``killed`` another one that did not."""
    placed = binding_of("run-1", "k8s", place_of_name("k8s"))
    assert placed is not None
    keys = [f"key-{number}" for number in range(4)]
    ledger.append("job", [started(), placed, *map(intended, keys), *map(done, keys), finished()])
    ledger.standings.keep("job")
    ledger.append("other", [started()])
    if killed:
        again = [done("key-0", action="update", version="2"), done("key-1", action="delete"), done("new")]
        ledger.append("job", [started("run-2"), *again])
    ledger.standings.check("job")


TAMPERED = {
    "a record edited": "UPDATE ledger SET owned = 0 WHERE job = 'job' AND seq = 8",
    "a record removed": "DELETE FROM ledger WHERE job = 'job' AND seq = 4",
    "two records swapped": """UPDATE ledger SET key = CASE seq WHEN 7 THEN 'key-1' ELSE 'key-0' END
                              WHERE job = 'job' AND seq IN (7, 8)""",
    "the end cut off": "DELETE FROM ledger WHERE job = 'job' AND seq >= 11",
    "the state emptied": "DELETE FROM current WHERE job = 'job'",
    "a key removed from the state": "DELETE FROM current WHERE job = 'job' AND key = 'key-3'",
    "a key added to the state": """INSERT INTO current SELECT job, dest, 'more', seq, source_version, dest_version,
        definition, owned, item, fingerprint, fields FROM current WHERE job = 'job' AND key = 'key-3'""",
    "a key changed in the state": "UPDATE current SET dest_version = '9' WHERE job = 'job' AND key = 'key-2'",
    "a key of the last records changed": "UPDATE current SET dest_version = '9' WHERE job = 'job' AND key = 'key-0'",
    "another's state taken": "UPDATE current SET seq = seq + 1 WHERE job = 'job' AND key = 'key-2'",
    "a place changed": "UPDATE places SET place = 'elsewhere' WHERE job = 'job'",
    "the head edited": "UPDATE heads SET seq = seq - 1 WHERE job = 'job'",
    "the head removed": "DELETE FROM heads WHERE job = 'job'",
    "the standing edited": "UPDATE meta SET value = '1:1:0:00' WHERE name = 'standing-1'",
}


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("sql", TAMPERED.values(), ids=TAMPERED)
def test_what_another_hand_did_is_found(ledger: Ledger, other_hand: OtherHand, sql: str, killed: bool) -> None:
    """Records edited, removed or swapped, and the state changed or emptied, also after a run that was killed.

    Of the keys that a killed run touched nobody knows how many were there before: so many removed are not missed.
    """
    _fill(ledger, killed=killed)
    other_hand(sql)
    if killed and sql == TAMPERED["a key removed from the state"]:
        ledger.standings.check("job")
        assert any(not report.sound for report in ledger.verify("job"))
        return
    with pytest.raises(LedgerBroken, match="job is not synced with it") as caught:
        ledger.standings.check("job")
    assert "audit verify" in caught.value.hint


@pytest.mark.parametrize("sql", ["", *TAMPERED.values()], ids=["nothing", *TAMPERED])
def test_whoever_watches_sees_what_a_run_would_stop_at(ledger: Ledger, other_hand: OtherHand, sql: str) -> None:
    """All jobs at once: the one that another hand has been at is told of, with the words that stop its next run."""
    _fill(ledger, killed=False)
    if sql:
        other_hand(sql)
    fault = ""
    try:
        ledger.standings.check("job")
    except LedgerBroken as error:
        fault = error.message
    first, second, third = ledger.standings.look(["job", "other", "new"])
    assert (first.job, second.job, third.job) == ("job", "new", "other")
    assert bool(first.fault) == bool(fault) == bool(sql)
    assert fault.endswith(first.fault)
    if not sql:
        assert (first.records, first.first, first.head) == (11, 1, ledger.hash_at("job", 11))
        assert (second.records, second.fault, third.records, third.fault) == (0, "", 1, "")
        assert ledger.standings.look(["job"], looked_at=3)[0].first == 9


def test_a_chain_that_was_dropped_is_found(ledger: Ledger, other_hand: OtherHand) -> None:
    """All of a job removed, its head and its standing too, looks like a new job: the number of chains tells."""
    _fill(ledger, killed=False)
    for table in ("ledger", "heads", "current", "places"):
        other_hand(f"DELETE FROM {table} WHERE job = 'job'")
    other_hand("DELETE FROM meta WHERE name = 'standing-1'")
    with pytest.raises(LedgerBroken, match="chain 1 of 2 is gone"):
        ledger.standings.check("job")


def test_without_a_standing_all_is_looked_at(
    ledger: Ledger, other_hand: OtherHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger of before, or one whose standing somebody removed: its first record counts too."""
    monkeypatch.setattr(standing, "LOOKED_AT", 2)
    _fill(ledger, killed=False)
    other_hand("UPDATE ledger SET time = time + 1 WHERE job = 'job' AND seq = 1")
    ledger.standings.check("job")
    other_hand("DELETE FROM meta WHERE name = 'standing-1'")
    with pytest.raises(LedgerBroken, match="record 1: edited"):
        ledger.standings.check("job")


def test_its_cost_does_not_grow_with_the_chain(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many records there are, as many are looked at as the last run left, or the same few."""
    monkeypatch.setattr(standing, "LOOKED_AT", 3)
    looked: list[object] = []

    def counted(row: Any, requests: Any) -> Any:
        looked.append(row)
        return rehash(row, requests)

    monkeypatch.setattr(standing, "rehash", counted)
    costs = []
    for _ in range(4):
        ledger.append("job", [started(), *(done(f"key-{number}") for number in range(20)), finished()])
        ledger.standings.keep("job")
        looked.clear()
        ledger.standings.check("job")
        costs.append(len(looked))
    assert costs == [3] * 4
    ledger.append("job", [started("run-2"), done("key-1", run="run-2"), done("key-2", run="run-2"), done("key-3")])
    looked.clear()
    ledger.standings.check("job")
    assert len(looked) == 4


def test_only_the_holder_of_the_lease_says_how_it_stands(ledger: Ledger) -> None:
    """Who was taken over seals nothing."""
    ledger.append("job", [started(), finished()])
    ledger.leases.acquire("job", "next", 60)
    with pytest.raises(LeaseHeld):
        ledger.standings.keep("job", holder="before")
    ledger.standings.keep("job", holder="next")
    ledger.standings.check("job")


def test_a_job_that_nobody_knows_yet_is_sound(url: str) -> None:
    """There is nothing to be wrong before the first run."""
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        ledger.standings.check("job")
        ledger.standings.keep("job")
        ledger.standings.check("job")


@EVERY_EXAMPLE_ITS_OWN_JOB
@given(before=st.lists(DRAFTS | ENDS, max_size=12), since=st.lists(DRAFTS | ENDS, max_size=12))
def test_what_only_we_wrote_is_sound(ledger: Ledger, before: list[Draft], since: list[Draft]) -> None:
    """Whatever a run recorded, and whatever a killed one after it."""
    job = new_job()
    ledger.append(job, before)
    ledger.standings.keep(job)
    ledger.append(job, since)
    ledger.standings.check(job)
