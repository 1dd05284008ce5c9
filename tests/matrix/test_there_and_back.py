"""Every store to every other and back again: what was copied is the same, or it was refused with the reason."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from run.world import World
from support.slow import one_in

from matrix.peers import PEERS, Peer
from matrix.samples import same_payload, samples
from secretsync_core.model.change import Action

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from secretsync_core.model.report import Report
    from secretsync_core.run.done import Planned

EXCEPTION = (b'{"value":"x"}', b"x")
"""The one value that comes back as another: as fields, an object with the one field `value` is as plain text is."""

ENCODINGS = ("utf-8", "base64")
CASES = [
    *one_in(11, ((a, b, ENCODINGS[at % 2]) for at, (a, b) in enumerate(itertools.product(PEERS, PEERS)))),
    *(
        pytest.param(a, b, ENCODINGS[1 - at % 2], marks=pytest.mark.nightly)
        for at, (a, b) in enumerate(itertools.product(PEERS, PEERS))
    ),
]
"""Each store to each with one of the two encodings, of which an eleventh is quick; the other encoding by night."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """No store yet but two in memory, and a fresh ledger."""
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


def _refused(planned: Planned) -> dict[str, str]:
    return {change.key: change.detail for change in planned.changes if change.action is Action.REFUSE}


def _failed(report: Report) -> dict[str, str]:
    return {outcome.change.key: outcome.message for outcome in report.failures}


@pytest.mark.parametrize(("one", "other", "encoding"), CASES, ids=lambda each: getattr(each, "name", each))
async def test_there_and_back(
    request: pytest.FixtureRequest, world: World, tmp_path: Path, one: Peer, other: Peer, encoding: str
) -> None:
    """A plan that renders says what will fail; a sync fails just that; what arrived comes back as it was."""
    for name, peer in (("here", one), ("there", other), ("back", one)):
        world.store(name, peer.section(request, tmp_path))
    put: dict[str, Any] = {}
    for key, payload in samples((await world.handle("here")).facts.shape).items():
        try:
            await world.put("here", one.named(key), payload)
        except Exception:  # noqa: BLE001  this store cannot hold it at all, which its own tests look at
            continue
        put[key] = await world.get("here", one.named(key))
    assert put
    plan = f"- {{name: all, encoding: {encoding}, query: {{recursive: true}}"

    world.job(f"{plan}{one.transform_to(other)}}}", source="here", dest="there")
    foreseen = _refused(await world.plan(verify=True))
    report = await world.sync()
    assert _failed(report).keys() == foreseen.keys()
    assert all(foreseen.values()), "a refusal without its reason"
    lost = set(map(other.known, foreseen))
    assert set(map(other.known, await world.all("there"))) == put.keys() - lost
    second = await world.sync(verify=True)
    assert second.total() == len(put)
    assert not {outcome.change.key for outcome in second.failures} - foreseen.keys()
    assert not any(second.requests["there"].get(kind) for kind in ("write", "delete")), "written again for nothing"

    world.job(f"{plan}{other.transform_to(one)}}}", source="there", dest="back")
    refused = _refused(await world.plan(verify=True))
    again = await world.sync()
    assert _failed(again).keys() == refused.keys()
    back = {one.known(key): value for key, value in (await world.all("back")).items()}
    for key, value in back.items():
        same = same_payload(put[key], value) or (put[key], value) == EXCEPTION
        assert same, f"{key} came back as another value"
    arrived = put.keys() - lost - set(map(one.known, refused))
    assert back.keys() == arrived
    assert "text" in arrived or encoding == "base64", "plain text must travel everywhere"
