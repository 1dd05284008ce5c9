"""Stores without versions and compare-and-set, such as KV version 1: values decide, and the same promises hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run.plain import Plain
from run.truth import compare
from run.world import counted, reasons, wrote
from secretsync_core.run import opening

if TYPE_CHECKING:
    from run.world import World

ALL = "- {name: all, query: {}}"


@pytest.fixture(params=[("src",), ("dst",), ("src", "dst")], ids="+".join)
async def plain(world: World, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> World:
    """A synced world whose source, destination or both have no versions."""

    async def opened(document: Any, context: Any) -> Any:
        store = await world._open(document, context)
        return Plain(store) if document.name in request.param else store

    monkeypatch.setattr(opening, "open_store", opened)
    world.job(ALL, deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    assert counted(await world.sync()) == {"created": 2}
    return world


async def test_nothing_to_do_reads_but_writes_nothing(plain: World) -> None:
    """Values are compared every time; nothing is written, and the ledger does not grow by keys."""
    before = len(plain.records())
    for _ in range(2):
        report = await plain.sync()
        assert (counted(report), wrote(report)) == ({"unchanged": 2}, 0)
    assert len(plain.records()) == before + 4  # two runs, each with a beginning and an end


async def test_changes_and_drift(plain: World) -> None:
    """A changed source is no drift; what others changed or removed at the destination is, and is put right."""
    await plain.put("src", "a", {"x": "2"})
    await plain.put("dst", "b", {"x": "theirs"})
    assert reasons((await plain.check()).drifted) == {"b": "drifted"}
    report = await plain.sync()
    assert (counted(report), reasons(report.drifted)) == ({"updated": 2}, {"b": "drifted"})
    assert await plain.all("dst") == {"a": {"x": "2"}, "b": {"x": "1"}}
    await plain.remove("dst", "a")
    report = await plain.sync()
    assert (counted(report), reasons(report.drifted)) == ({"created": 1, "unchanged": 1}, {"a": "removed-outside"})


async def test_deletes_only_what_is_as_we_left_it(plain: World) -> None:
    """Without versions the value tells whether a secret is still ours to delete."""
    await plain.put("dst", "b", {"x": "theirs"})
    await plain.remove("src", "a")
    await plain.remove("src", "b")
    report = await plain.sync()
    assert (counted(report), reasons(report.failures)) == ({"deleted": 1, "refused": 1}, {"b": "changed-outside"})
    assert await plain.all("dst") == {"b": {"x": "theirs"}}


async def test_merge(plain: World) -> None:
    """Siblings survive, ours go when the source drops them, and the last of ours leaves the siblings behind."""
    plain.job(ALL, deletionPolicy="Delete", maxDelete="5", writePolicy="Merge")
    await plain.sync()
    await plain.put("dst", "a", {"x": "1", "theirs": "t"})
    report = await plain.sync()
    assert (wrote(report), report.drifted_count) == (0, 0)
    await plain.put("src", "a", {"y": "2"})
    await plain.sync()
    assert await plain.get("dst", "a") == {"y": "2", "theirs": "t"}
    await plain.remove("src", "a")
    assert counted(await plain.sync()) == {"deleted": 1, "unchanged": 1}
    assert await plain.get("dst", "a") == {"theirs": "t"}


async def test_a_plan_says_what_is_not_deleted(plain: World) -> None:
    """What somebody changed since is refused by the plan as by the sync, which only its value can tell."""
    await plain.put("dst", "b", {"x": "theirs"})
    await plain.remove("src", "a")
    await plain.remove("src", "b")
    both = await compare(plain)
    assert reasons(both.report.failures) == {"b": "changed-outside"}
    assert {change.key: change.action.value for change in both.planned.changes} == {"a": "delete", "b": "refuse"}
