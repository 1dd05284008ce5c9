"""Which items are in sync, and what the last look for drift found: how things stand, beside the chains."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from audit.lab import SEAL_KEY
from secretsync_core.audit.drift import DriftedKey
from secretsync_core.audit.ledger import Ledger
from secretsync_core.errors import LeaseHeld
from secretsync_core.model.change import Action, Change, Drift, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence


def _out(ledger: Ledger, job: str = "job") -> list[str]:
    return [item.item for item in ledger.items.out_of_sync(job)]


def test_an_item_stays_out_of_sync_until_a_run_has_put_it_right(ledger: Ledger) -> None:
    """Also if the runs between had other items; it is told since when, and which run left it so."""
    ledger.items.note("job", "run-1", out={"alpha"}, well={"beta"})
    (first,) = ledger.items.out_of_sync("job")
    assert (first.item, first.run) == ("alpha", "run-1")
    ledger.items.note("job", "run-2", out=(), well={"beta"})
    ledger.items.note("job", "run-3", out={"alpha"})
    assert ledger.items.out_of_sync("job") == [first]
    ledger.items.note("job", "run-4", out=(), well={"alpha", "beta"})
    assert ledger.items.out_of_sync("job") == []
    ledger.items.note("job", "run-5", out={"alpha"})
    (again,) = ledger.items.out_of_sync("job")
    assert again.run == "run-5"
    assert again.since >= first.since


def test_the_job_as_a_whole_is_marked_as_an_item_is(ledger: Ledger) -> None:
    """What kept all from being synced stays until a run says that it is over; jobs know nothing of each other."""
    ledger.items.note("job", "run-1", out={""})
    ledger.items.note("other", "run-1", out={"", "alpha"})
    assert _out(ledger) == [""]
    ledger.items.note("job", "run-2", out={"alpha"})
    assert _out(ledger) == ["", "alpha"]
    ledger.items.note("job", "run-3", out={"alpha"}, well={"alpha", "beta"})
    assert _out(ledger) == ["", "alpha"]
    ledger.items.note("job", "run-4", out={"alpha"}, well={"", "beta"})
    assert _out(ledger) == ["alpha"]
    assert _out(ledger, "other") == ["", "alpha"]


def test_what_was_begun_counts_once_nobody_is_at_work_any_more(ledger: Ledger) -> None:
    """Whatever ended the run: an item that it had begun, and of which it said nothing more, is out of sync."""
    ledger.leases.acquire("job", "holder", 60)
    ledger.items.begin("job", "run-1", {"alpha", "beta", "gamma", ""}, holder="holder")
    ledger.items.note("job", "run-1", out=(), well={"alpha"}, as_before={"gamma"}, holder="holder")
    assert _out(ledger) == []
    assert ledger.items.jobs_out_of_sync() == set()
    ledger.leases.release("job", "holder")
    assert _out(ledger) == ["", "beta"]
    assert ledger.items.jobs_out_of_sync() == {"job"}
    assert {item.run for item in ledger.items.out_of_sync("job")} == {"run-1"}
    ledger.items.note("job", "run-2", out=(), well={"", "beta"})
    assert _out(ledger) == []
    ledger.items.begin("job", "run-3", {"beta"})
    assert [(item.item, item.run) for item in ledger.items.out_of_sync("job")] == [("beta", "run-3")]


def test_only_who_has_the_lease_may_say_what_is_begun(ledger: Ledger) -> None:
    """A run that was taken over changes nothing; nor does an expired lease hide what its holder left."""
    ledger.leases.acquire("job", "other", -1)
    with pytest.raises(LeaseHeld):
        ledger.items.begin("job", "run-1", {"alpha"}, holder="holder")
    assert _out(ledger) == []
    ledger.items.begin("job", "run-1", {"alpha"}, holder="other")
    assert _out(ledger) == ["alpha"]


def test_steps_that_fail_at_the_same_time_count_together(ledger: Ledger, url: str) -> None:
    """In processes of their own none knows of the others."""
    del ledger  # it has to be there first

    def step(number: int) -> None:
        with Ledger.open(url, seal_key=SEAL_KEY) as own:
            for turn in range(5):
                items = {f"item-{(number + turn + other) % 12}" for other in range(6)}
                own.items.note("job", f"run-{number}", out=items)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(step, range(4)))
    with Ledger.open(url, seal_key=SEAL_KEY) as found:
        assert _out(found) == sorted(f"item-{number}" for number in range(12))
        assert found.verify() == []


def _drifted(*keys: str, item: str = "alpha", drift: Drift = Drift.CHANGED) -> list[Change]:
    return [Change(item, "k8s", key, Action.COMPARE, Reason.DRIFTED, drift=drift) for key in keys]


def _keys(ledger: Ledger) -> Sequence[DriftedKey]:
    look = ledger.drift.last_look("job")
    return look.keys if look else ()


def test_a_look_takes_the_place_of_the_one_before_it(ledger: Ledger) -> None:
    """With its count, which may be larger than what its report names."""
    assert ledger.drift.last_look("job") is None
    ledger.drift.keep("job", "look-1", [*_drifted("b", "a"), *_drifted("c", drift=Drift.REMOVED)], 5000)
    look = ledger.drift.last_look("job")
    assert look is not None
    assert (look.run, look.count) == ("look-1", 5000)
    assert look.keys == (
        DriftedKey("alpha", "k8s", "a", "changed"),
        DriftedKey("alpha", "k8s", "b", "changed"),
        DriftedKey("alpha", "k8s", "c", "removed"),
    )
    ledger.drift.keep("job", "look-2", [], 0)
    look = ledger.drift.last_look("job")
    assert look is not None
    assert (look.run, look.count, look.keys) == ("look-2", 0, ())
    assert ledger.drift.last_look("other") is None


def test_a_look_at_some_items_tells_of_these_alone(ledger: Ledger, url: str) -> None:
    """What was found of the others stays in the table, under the look that found it."""
    ledger.drift.keep("job", "look-1", [*_drifted("a"), *_drifted("b", item="beta")], 2)
    ledger.drift.keep("job", "look-2", _drifted("c", item="beta"), 1, items={"beta"})
    assert _keys(ledger) == (DriftedKey("beta", "k8s", "c", "changed"),)
    ledger.drift.keep("job", "look-3", [], 0, items={"beta"})
    assert _keys(ledger) == ()
    with Ledger.open(url, seal_key=SEAL_KEY) as other:
        other.drift.keep("job", "look-1", _drifted("a"), 1, items={"alpha"})
        assert _keys(other) == (DriftedKey("alpha", "k8s", "a", "changed"),)


def test_looks_at_the_same_time_do_not_mix(ledger: Ledger, url: str) -> None:
    """One of them is the last, whole."""
    del ledger  # it has to be there first

    def look(number: int) -> None:
        with Ledger.open(url, seal_key=SEAL_KEY) as own:
            for turn in range(5):
                keys = [f"{number}-{turn}-{key}" for key in range(5)] + ["shared"]
                own.drift.keep("job", f"look-{number}-{turn}", _drifted(*keys), 6)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(4)))
    with Ledger.open(url, seal_key=SEAL_KEY) as found:
        last = found.drift.last_look("job")
        assert last is not None
        number = last.run.removeprefix("look-")
        assert [key.key for key in last.keys] == sorted([f"{number}-{key}" for key in range(5)] + ["shared"])
