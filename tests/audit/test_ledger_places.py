"""The places of destinations in the ledger: bound by records, moved and forgotten with their keys, and verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from audit.lab import SEAL_KEY, OtherHand, done, make_version
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.places import Holding, binding_of
from secretsync_core.audit.record import Draft, Event
from secretsync_core.audit.schema import VERSION
from secretsync_core.model.place import Place, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Place("vault", "https://vault:8200", "secret/", "cluster-1")
THERE = Place("vault", "https://vault:8200", "secret/team/", "cluster-1")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """An empty ledger."""
    with Ledger.open(url, seal_key=SEAL_KEY) as opened:
        yield opened


def bind(ledger: Ledger, job: str, dest: str, place: Place) -> None:
    """Record the place of a destination."""
    draft = binding_of("run-1", dest, place)
    assert draft is not None
    ledger.append(job, [draft])


def test_the_latest_binding_of_a_name_counts(ledger: Ledger) -> None:
    """A name that is bound again is bound to the new place alone, and other jobs see it."""
    bind(ledger, "a", "dst", HERE)
    bind(ledger, "a", "dst", THERE)
    bind(ledger, "b", "dst", HERE)
    assert ledger.places.of("a") == {"dst": THERE}
    assert [binding[:] for binding in ledger.places.of_others("a")] == [("b", "dst", HERE)]
    assert all(report.sound for report in ledger.verify())


def test_a_key_that_is_moved_is_known_under_its_new_name_alone(ledger: Ledger) -> None:
    """And one that is forgotten is known no more; making the state anew from the records gives the same."""
    ledger.append("a", [done("k", dest="old"), done("gone", dest="old")])
    moved = done("k", dest="new")._replace(event=Event.SKIPPED, action="", reason="moved")
    told = Draft(Event.SKIPPED, "run-2", dest="old", reason="forgotten")
    ledger.append("a", [moved, told._replace(key="k"), told._replace(key="gone")])
    assert [place for place, _ in ledger.state.keys("a")] == [("new", "k")]
    before = list(ledger.state.keys("a"))
    assert all(report.sound for report in ledger.verify())
    ledger.state.rebuild("a")
    assert list(ledger.state.keys("a")) == before


def test_who_holds_a_key_is_asked_by_job_and_destination(ledger: Ledger) -> None:
    """Of many keys, those that are held come back."""
    ledger.append("b", [done(f"k{number}", dest="dst") for number in range(1200)])
    asked = [Holding("b", "dst", f"k{number}") for number in range(0, 2400, 2)]
    assert ledger.places.holders([*asked, Holding("c", "dst", "k0"), Holding("b", "other", "k0")]) == set(asked[:600])


def test_how_far_a_server_had_got_is_kept_by_place(ledger: Ledger) -> None:
    """The newest word counts, and no chain grows by it."""
    assert ledger.places.position(HERE) == ""
    ledger.places.reached(HERE, "7")
    ledger.places.reached(HERE, "9")
    assert (ledger.places.position(HERE), ledger.places.position(THERE)) == ("9", "")
    assert ledger.jobs() == []


def test_a_run_that_slept_takes_no_position_back(ledger: Ledger) -> None:
    """What other runs have kept since it began stays where it is higher, or of another server; so a server that is
    behind is still told. Who knew what was kept may lower it, as after a restore."""
    ledger.places.reached(HERE, '["one",7]')
    ledger.places.reached(HERE, '["one",9]', '["one",7]')
    ledger.places.reached(HERE, '["one",8]', '["one",7]')
    assert ledger.places.position(HERE) == '["one",9]'
    ledger.places.reached(HERE, '["one",11]', '["one",7]')
    assert ledger.places.position(HERE) == '["one",11]'
    ledger.places.reached(HERE, '["two",3]', '["one",11]')
    ledger.places.reached(HERE, '["one",12]', '["one",11]')
    assert ledger.places.position(HERE) == '["two",3]'
    ledger.places.reached(HERE, '["two",1]', '["two",3]')
    assert ledger.places.position(HERE) == '["two",1]'


def test_the_positions_of_all_places_are_read_together(ledger: Ledger) -> None:
    """By the text of a place: a run reads them before it knows which stores will open."""
    ledger.places.reached(HERE, "7")
    ledger.places.reached(THERE, "8")
    assert ledger.places.positions() == {text_of(HERE): "7", text_of(THERE): "8"}


def test_what_the_latest_write_of_a_key_has_replaced(ledger: Ledger) -> None:
    """The version that its announcement names, of young writes at that destination alone."""
    for number, before in ((1, None), (2, "1"), (3, "2")):
        told = done("k", dest="dst")._replace(intent=f"i{number}", dest_version=f"{number}")
        ledger.append("a", [told._replace(event=Event.INTENDED, dest_version=before), told])
    new = done("new", dest="dst")._replace(intent="i4", dest_version="1")
    ledger.append("a", [new._replace(event=Event.INTENDED, dest_version=None), new])
    asked = [f"k{number}" for number in range(600)] + ["k", "new"]
    assert ledger.state.overwritten("a", "dst", asked, 0) == {"k": "2"}
    assert ledger.state.overwritten("a", "other", asked, 0) == {}
    assert ledger.state.overwritten("a", "dst", asked, 2**60) == {}


def test_a_place_that_another_hand_changed_is_found(url: str, ledger: Ledger) -> None:
    """What a name is bound to decides what may be deleted there, so verify compares it with the records."""
    bind(ledger, "a", "dst", HERE)
    hand = OtherHand(url)
    hand("UPDATE places SET dest = 'other'")
    hand.close()
    assert [fault.what for fault in ledger.verify()[0].faults] == [
        "the place of this record's destination is not what the record says"
    ]


def test_a_place_that_is_too_long_is_not_bound() -> None:
    """It could not be told apart from another one that begins alike."""
    assert binding_of("run-1", "dst", HERE._replace(root="x" * 2048)) is None


@pytest.mark.parametrize("number", [1, 2, 3])
def test_older_tables_bind_nothing_until_they_are_migrated(url: str, number: int) -> None:
    """They serve as they did, and what they know is there after the migration, with room for places."""
    make_version(number, url)
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        assert not ledger.places.are_kept
        ledger.places.reached(HERE, "7")
        assert (ledger.places.of("billing"), ledger.places.position(HERE)) == ({}, "")
        before = list(ledger.state.keys("billing"))
        assert ledger.migrate() == number
        assert ledger.version == VERSION
        assert ledger.places.are_kept
        bind(ledger, "billing", "k8s", HERE)
        ledger.places.reached(HERE, "7")
        assert (ledger.places.of("billing"), ledger.places.position(HERE)) == ({"k8s": HERE}, "7")
        assert list(ledger.state.keys("billing")) == before
        assert all(report.sound for report in ledger.verify())
