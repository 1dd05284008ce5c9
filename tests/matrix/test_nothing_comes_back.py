"""Stores that show no values: what arrives there is seen by the service alone, and is what any other store gets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from run.world import World

from matrix.peers import GITHUB_SECRETS, PEERS
from matrix.samples import BLOBS, FIELDS
from secretsync_core.model.change import Action

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARIABLES = next(peer for peer in PEERS if peer.name == "github-variables")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A source in memory, and a fresh ledger."""
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


@pytest.mark.parametrize(("shape", "samples"), [("fields", FIELDS), ("blob", BLOBS)], ids=["fields", "blobs"])
async def test_github_gets_as_a_secret_what_it_gets_as_a_variable(
    request: pytest.FixtureRequest, world: World, tmp_path: Path, shape: str, samples: Any
) -> None:
    """And refuses the same. Variables come back, which the tests of all pairs show."""
    world.store("src", f"memory: {{shape: {shape}}}")
    await world.seed("src", samples)
    refused: dict[str, set[str]] = {}
    names = {}
    for peer in (VARIABLES, GITHUB_SECRETS):
        section = peer.section(request, tmp_path)
        names[peer.name] = json.loads(section.partition(": ")[2])["repository"]
        world.store("dst", section)
        world.job(f"- {{name: all, query: {{}}{PEERS[0].transform_to(peer)}}}")
        world.ledger.close()
        (tmp_path / "ledger.db").unlink()
        world.ledger = world.another_ledger()
        planned = await world.plan()
        refused[peer.name] = {change.key for change in planned.changes if change.action is Action.REFUSE}
        report = await world.sync()
        assert {outcome.change.key for outcome in report.failures} == refused[peer.name]
    assert refused["github-variables"] == refused["github-secrets"] < set(map(GITHUB_SECRETS.named, samples))
    repositories = request.getfixturevalue("plain_github").accounts.repositories
    as_variables = repositories[names["github-variables"]].shelf("actions", "variables").values()
    assert as_variables == repositories[names["github-secrets"]].shelf().values() != {}
