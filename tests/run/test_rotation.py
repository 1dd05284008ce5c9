"""After the ledger's key was changed: what the former key named is still known, and becomes the new one's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run import world as worlds
from run.world import counted, reasons, wrote
from secretsync_core.run.fingerprint import Fingerprinter
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from run.world import World

OLD, NEW = worlds.FINGERPRINT_KEY, b"n" * 32
ALL = "- {name: all, query: {recursive: true}}"


@pytest.fixture(params=["with the former key", "without it"])
def known(request: pytest.FixtureRequest) -> bool:
    """Whether the former key is still given: each test shows what it is for by what happens without it."""
    return bool(request.param == "with the former key")


def change_key(patch: pytest.MonkeyPatch, *, known: bool) -> None:
    """From here on runs are given the new key, with or without the former one."""
    patch.setattr(worlds, "FINGERPRINT_KEY", (NEW, OLD) if known else NEW)


async def test_a_value_that_a_former_key_named_is_no_drift(
    world: World, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Somebody wrote the same value again: its version moved, and only its fingerprint can say that it is the same."""
    await world.put("src", "a", {"x": "1"})
    world.job(ALL)
    await world.sync()
    change_key(monkeypatch, known=known)
    await world.put("dst", "a", {"x": "1"})
    report = await world.check()
    assert report.drifted_count == (0 if known else 1)
    await world.put("dst", "a", {"x": "2"})
    assert (await world.check()).drifted_count == 1


async def test_fields_that_a_former_key_named_are_still_ours(
    world: World, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """With Merge a field that the source drops goes from the destination, and only then if the ledger knows it."""
    await world.put("src", "a", {"x": "1", "y": "2"})
    await world.put("dst", "a", {"theirs": "3"})
    world.job(ALL, writePolicy="Merge")
    await world.sync()
    change_key(monkeypatch, known=known)
    await world.put("src", "a", {"x": "1"})
    await world.sync()
    assert await world.get("dst", "a") == {"x": "1", "theirs": "3"} | ({} if known else {"y": "2"})


async def test_what_carries_a_former_mark_is_still_ours_to_delete(
    world: World, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """The mark comes of the key; with the former key given it is not taken for another installation's."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "2"}})
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await world.sync()
    change_key(monkeypatch, known=known)
    await world.remove("src", "a")
    report = await world.sync()
    assert reasons(report.failures) == ({} if known else {"a": "not-ours"})
    assert set(await world.all("dst")) == ({"b"} if known else {"a", "b"})


async def test_comparing_values_names_them_by_the_new_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sync --verify` records every fingerprint anew, once; then the former key can go, and nothing was written."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "2"}})
    world.job(ALL)
    await world.sync()
    change_key(monkeypatch, known=True)
    records = len(world.records())
    report = await world.sync(verify=True)
    assert (counted(report), wrote(report)) == ({"unchanged": 2}, 0)
    assert len(world.records()) == records + 2 + 2  # both keys, and the run's own two
    await world.sync(verify=True)
    assert len(world.records()) == records + 4 + 2
    change_key(monkeypatch, known=False)
    await world.put("dst", "a", {"x": "1"})
    assert (await world.check(verify=True)).drifted_count == 0
    assert world.sound()


def test_names_are_made_by_the_newest_key_and_known_by_all() -> None:
    """Of values and of fields; another value is known by none."""
    value = SecretValue({"x": "1", "y": "2"})
    old, new, both = Fingerprinter(OLD), Fingerprinter(NEW), Fingerprinter((NEW, OLD))
    assert both.value("d", "k", value) == new.value("d", "k", value) != old.value("d", "k", value)
    assert both.field_names("d", "k", ["x"]) == new.field_names("d", "k", ["x"])
    for made in (old, new):
        names = made.field_names("d", "k", ["x"])
        assert both.is_value(made.value("d", "k", value), "d", "k", value)
        assert both.is_value(made.value("d", "k", value, names), "d", "k", value, names)
        assert not both.is_value(made.value("d", "k", SecretValue({"x": "2"})), "d", "k", value)
        assert both.named_by("d", "k", names, ["x", "y"]) == {"x"}
        assert both.holds("d", "k", value, names)
    assert not new.is_value(old.value("d", "k", value), "d", "k", value)
    assert (both.has_former_keys, new.has_former_keys) == (True, False)
