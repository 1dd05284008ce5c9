"""A delete that comes late, on every store: what was written, or came back, while others were copied is not deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from run.world import World, counted, reasons
from support.slow import one_in

from matrix.peers import PEERS, Peer
from matrix.test_never_loses import EQUAL, THEIRS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A source in memory, and a fresh ledger."""
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


@pytest.mark.parametrize("peer", one_in(4, PEERS))
async def test_what_happened_while_others_were_copied(
    request: pytest.FixtureRequest, world: World, tmp_path: Path, peer: Peer
) -> None:
    """One of three that are to go is written at the destination, one comes back at the source; the third one goes."""
    world.store("there", peer.section(request, tmp_path))
    shape = (await world.handle("there")).facts.shape
    written, back, gone, new = map(peer.named, ("written", "back", "gone", "new"))
    world.job("- {name: all, query: {}}", dest="there", deletionPolicy="Delete", maxDelete="100%")
    await world.seed("src", {key: {"x": "1"} for key in (written, back, gone)})
    assert (await world.sync()).ok
    for key in (written, back, gone):
        await world.remove("src", key)
    await world.put("src", new, {"x": "1"})

    async def meanwhile(_: str) -> None:
        await world.put("there", written, THEIRS[shape])
        await world.put("src", back, {"x": "1"})

    world.fault("src").run("read", meanwhile, key=new)
    report = await world.sync()
    assert counted(report) == {"created": 1, "deleted": 1, "refused": 2}
    assert reasons(report.failures) == {written: "changed-outside", back: "cannot-see"}
    assert await world.all("there") == {written: THEIRS[shape], back: EQUAL[shape], new: EQUAL[shape]}
    assert world.sound()
