"""Stores that show no values: what arrives there is seen by the service alone, and is what any other store gets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from run.world import World

from matrix.peers import PEERS
from matrix.samples import BLOBS, FIELDS
from secretsync_core.model.change import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Section = dict[str, Any]

BY_NAME = {peer.name: peer for peer in PEERS}
SAMPLES = {"fields": FIELDS, "blobs": BLOBS}


@dataclass(frozen=True)
class Twins:
    """A store that shows no values, and a peer of the matrix that shows them and takes the same.

    ``altered`` is what each says otherwise than the peer's section, the blind one's last; ``held`` what the service
    itself has.
    """

    peer: str
    altered: tuple[Section, Section]
    held: Callable[[pytest.FixtureRequest, Section], Mapping[str, str]]


def _github(request: pytest.FixtureRequest, section: Section) -> Mapping[str, str]:
    accounts = request.getfixturevalue("plain_github").accounts
    if "organization" in section:
        holder = accounts.organisation(section["organization"])
    else:
        holder = accounts.repository(section["repository"])
        holder = holder.environment(section["environment"]) if "environment" in section else holder
    kind = section["kind"].lower()
    shelf = holder.shelf("actions", "variables") if kind == "variables" else holder.shelf(kind)
    values: Mapping[str, str] = shelf.values()
    return values


def _gitlab(request: pytest.FixtureRequest, section: Section) -> Mapping[str, str]:
    values: Mapping[str, str] = request.getfixturevalue("plain_gitlab").holders.project(section["project"]).values()
    return values


def _http(request: pytest.FixtureRequest, section: Section) -> Mapping[str, str]:
    values: Mapping[str, str] = request.getfixturevalue("plain_inhouse").held(section["vars"]["team"])
    return values


def _of_github(kind: str, **where: str) -> Twins:
    return Twins("github-variables", ({"kind": "Variables", **where}, {"kind": kind, **where}), _github)


OF_ALL = {"repository": None, "organization": "acme", "visibility": "All"}
TWINS = {
    "github-actions": _of_github("Actions"),
    "github-dependabot": _of_github("Dependabot"),
    "github-codespaces": _of_github("Codespaces"),
    "github-environment": _of_github("Actions", environment="production"),
    "github-organization": _of_github("Actions", **OF_ALL),  # type: ignore[arg-type]
    "github-organization-dependabot": _of_github("Dependabot", **OF_ALL),  # type: ignore[arg-type]
    "gitlab-hidden": Twins("gitlab", ({"visibility": "Masked"}, {"visibility": "Hidden"}), _gitlab),
    "http-unread": Twins("http", ({}, {"read": None}), _http),
}
QUICK = {"github-actions", "gitlab-hidden", "http-unread"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A source in memory, and a fresh ledger."""
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


@pytest.mark.parametrize("shape", SAMPLES)
@pytest.mark.parametrize(
    "twins", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in TWINS]
)
async def test_what_shows_no_values_gets_what_its_twin_gets(
    request: pytest.FixtureRequest, world: World, tmp_path: Path, twins: str, shape: str
) -> None:
    """And refuses the same. What the twin has comes back, which the tests of all pairs show."""
    peer = BY_NAME[TWINS[twins].peer]
    world.store("src", f"memory: {{shape: {shape.removesuffix('s') if shape == 'blobs' else shape}}}")
    await world.seed("src", SAMPLES[shape])
    refused, held = [], []
    for altered in TWINS[twins].altered:
        provider, _, rest = peer.section(request, tmp_path).partition(": ")
        section = {name: value for name, value in (json.loads(rest) | altered).items() if value is not None}
        if "organization" in section:
            section["auth"] = {"token": {"value": request.getfixturevalue("plain_github").people.classic("admin:org")}}
        assert not TWINS[twins].held(request, section)  # with which the place itself is made
        world.store("dst", f"{provider}: {json.dumps(section)}")
        world.job(f"- {{name: all, query: {{}}{PEERS[0].transform_to(peer)}}}")
        world.ledger.close()
        (tmp_path / "ledger.db").unlink()
        world.ledger = world.another_ledger()
        planned = await world.plan()
        refused.append({change.key for change in planned.changes if change.action is Action.REFUSE})
        report = await world.sync()
        assert {outcome.change.key for outcome in report.failures} == refused[-1]
        held.append(dict(TWINS[twins].held(request, section)))
    assert refused[0] == refused[1] < set(map(peer.named, SAMPLES[shape]))
    assert held[0] == held[1] != {}
