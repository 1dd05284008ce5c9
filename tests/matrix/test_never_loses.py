"""Nothing is lost that is not the job's: shown on every store, with the default policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from run.world import World, counted, reasons

from matrix.peers import PEERS, Peer
from secretsync_core.cli.results import of_plan, of_sync
from secretsync_core.model.capabilities import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from secretsync_core.secret import FieldValue

THEIRS: dict[Shape, dict[str, FieldValue] | bytes] = {
    Shape.FIELDS: {"x": "theirs", "note": "keep"},
    Shape.BINARY_FIELDS: {"x": b"theirs", "note": b"keep"},
    Shape.BLOB: b'{"x": "theirs", "note": "keep"}',
}
EQUAL: dict[Shape, dict[str, FieldValue] | bytes] = {
    Shape.FIELDS: {"x": "1"},
    Shape.BINARY_FIELDS: {"x": b"1"},
    Shape.BLOB: b'{"x":"1"}',
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A source in memory, and a fresh ledger."""
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
async def test_what_is_not_the_jobs_stays(
    request: pytest.FixtureRequest, world: World, tmp_path: Path, peer: Peer
) -> None:
    """A foreign secret is refused and stays untouched, the others are copied, and --adopt takes it over."""
    world.store("there", peer.section(request, tmp_path))
    shape = (await world.handle("there")).facts.shape
    foreign, equal, new = map(peer.named, ("foreign", "equal", "new"))
    await world.seed("src", {key: {"x": "1"} for key in (foreign, equal, new)})
    await world.put("there", foreign, THEIRS[shape])
    await world.put("there", equal, EQUAL[shape])
    world.job("- {name: all, query: {}}", dest="there", deletionPolicy="Delete", maxDelete="100%")
    before = await world.versions("there")

    planned = await world.plan()
    assert {change.key: change.action.value for change in planned.changes} == {
        foreign: "refuse",
        equal: "unchanged",
        new: "create",
    }
    (refused,) = (change for change in planned.changes if change.key == foreign)
    assert refused.differs is not None
    assert (refused.differs.changed, refused.differs.dropped) == (("x",), ("note",))
    assert of_plan(planned, detailed=False) == 1

    report = await world.sync()
    assert (counted(report), of_sync(report)) == ({"refused": 1, "unchanged": 1, "created": 1}, 1)
    assert reasons(report.failures) == {foreign: "not-managed"}
    assert f"secretsync sync job --adopt {foreign}" in report.failures[0].hint
    after = await world.versions("there")
    assert (after[foreign], after[equal]) == (before[foreign], before[equal])
    assert await world.get("there", foreign) == THEIRS[shape]

    adopted = await world.sync(adopt=[foreign])
    assert (counted(adopted), of_sync(adopted)) == ({"updated": 1, "unchanged": 2}, 0)
    assert await world.get("there", foreign) == EQUAL[shape]
    assert any(record.draft.reason == "adopted" for record in world.records())
    for key in (foreign, equal, new):
        await world.remove("src", key)
    assert (await world.sync()).ok
    assert set(await world.all("there")) == {equal}, "only what the job created or took over goes"
    assert world.sound()
