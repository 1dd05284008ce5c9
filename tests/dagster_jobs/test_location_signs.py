"""What the instance keeps of the code locations that are loaded, and of the assets that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from secretsync_dagster.location_signs import HOLDS_SECONDS, assets_by_location, mark_of, renew_sign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A, B, C = (dg.AssetKey(["sync", name]) for name in "abc")
SIGNS, ASSETS = "secretsync_code_locations", "secretsync_code_location_assets"


class Clock:
    """The time, as the signs see it."""

    now = 1_800_000_000.0

    def time(self) -> float:
        """Seconds since 1970."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that only the test moves."""
    clock = Clock()
    monkeypatch.setattr("secretsync_dagster.location_signs.time", clock)
    return clock


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance of its own."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def _renew(instance: dg.DagsterInstance, location: str, *keys: dg.AssetKey, scope: str = "", new: bool = True) -> None:
    renew_sign(instance, location, scope, keys, newest=new)


def _held(instance: dg.DagsterInstance) -> dict[str, set[str]]:
    return assets_by_location(instance)


def _marks(*keys: dg.AssetKey) -> set[str]:
    return {mark_of(key) for key in keys}


@pytest.mark.parametrize("location", ["__repository__@prod", "r@a...b", "r@über den\tTeich, 100 % -", "r@" + "x" * 300])
def test_a_location_has_its_assets_until_its_sign_no_longer_holds(
    instance: dg.DagsterInstance, clock: Clock, location: str
) -> None:
    """Whatever it is called: for five minutes after the last renewal, and not for longer."""
    _renew(instance, location, A, B)
    clock.now += HOLDS_SECONDS - 30
    assert _held(instance) == {location: _marks(A, B)}
    _renew(instance, location, A, B)
    clock.now += HOLDS_SECONDS - 30
    assert _held(instance) == {location: _marks(A, B)}
    clock.now += 61
    assert _held(instance) == {}


def test_what_is_loaded_now_replaces_what_was(instance: dg.DagsterInstance) -> None:
    """At once, and without a trace; other scopes of the location, and other locations of the same assets, keep theirs.

    A run that began before keeps its assets too, until the next tick.
    """
    _renew(instance, "r@here", A, B)
    _renew(instance, "r@here", C, scope="team")
    _renew(instance, "r@there", A, B)
    _renew(instance, "r@here", B)
    assert _held(instance) == {"r@here": _marks(B, C), "r@there": _marks(A, B)}
    _renew(instance, "r@here", A, B, new=False)
    assert _held(instance)["r@here"] == _marks(A, B, C)
    _renew(instance, "r@here", B)
    assert _held(instance) == {"r@here": _marks(B, C), "r@there": _marks(A, B)}
    assert len(instance.get_dynamic_partitions(ASSETS)) == 3


@pytest.mark.slow
def test_nothing_piles_up(instance: dg.DagsterInstance, clock: Clock) -> None:
    """A thousand renewals leave one sign and its assets; a location that is gone is cleared away after a day."""
    _renew(instance, "r@gone", A)
    for _ in range(1000):
        clock.now += 100
        _renew(instance, "r@here", B, C)
    assert len(instance.get_dynamic_partitions(SIGNS)) == 1
    assert len(instance.get_dynamic_partitions(ASSETS)) == 1


def test_a_fresh_sign_is_not_written_again(
    instance: dg.DagsterInstance, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within half a minute nothing is written, so that every step of a run may renew it."""
    clock.now = 1_800_000_000.0 // 30 * 30
    _renew(instance, "r@here", A)
    monkeypatch.setattr(instance, "add_dynamic_partitions", lambda *_: pytest.fail("it was written"))
    clock.now += 29
    _renew(instance, "r@here", A)
    _renew(instance, "r@here", A, new=False)


def test_a_location_may_have_thousands_of_assets(instance: dg.DagsterInstance) -> None:
    """In rows that any database can index."""
    keys = [dg.AssetKey(["sync", f"job_{number}"]) for number in range(3000)]
    _renew(instance, "r@here", *keys)
    assert _held(instance) == {"r@here": _marks(*keys)}
    assert max(len(row) for row in instance.get_dynamic_partitions(ASSETS)) < 2000


def test_a_location_without_assets_has_none(instance: dg.DagsterInstance) -> None:
    """Its sign is kept all the same."""
    _renew(instance, "r@here")
    assert _held(instance) == {"r@here": set()}


def test_an_instance_that_keeps_no_partitions(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Knows of no location, which is no error."""

    def refuse(_: str) -> list[str]:
        raise NotImplementedError

    monkeypatch.setattr(instance, "get_dynamic_partitions", refuse)
    assert _held(instance) == {}


def test_other_programs_see_it(tmp_path: Path) -> None:
    """It is in the instance's storage, and survives the program that wrote it."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as one:
        _renew(one, "r@here", A)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as other:
        assert _held(other) == {"r@here": _marks(A)}
