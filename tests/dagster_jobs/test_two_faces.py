"""The command line and Dagster do the same: over random documents, stores and faults their ledgers, outcomes and
destinations are equal.

Each story is played twice from its seed, once on each face. A story has rounds: somebody changes the stores or the
document, something may fail, and the job runs: after each run all is compared.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest
from run.stories import happen, tell
from run.world import World

from dagster_jobs.lab import Lab
from secretsync_core.model.inventory import display_version
from secretsync_core.run.record import close_run
from secretsync_core.stores import memory
from secretsync_dagster.lease_holders import holder_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from run.stories import Round

STORIES = 3
"""How many are played in `make test`; `make test-slow` plays ten times as many."""

FAULTS: list[Callable[[str], tuple[str, str, str]]] = [
    lambda key: ("src", "read", key),
    lambda key: ("dst", "write_if", key),
    lambda key: ("dst", "read", key),
    lambda key: ("dst", "made", key),  # the answer to a write is lost, and nobody can look
    lambda key: ("dst", "not made", key),
]


def _play(world: World, story: list[Round], run: Callable[[Round], bool]) -> list[dict[str, Any]]:
    """Play a story on one face; gives what was there after each round."""
    told: list[dict[str, Any]] = []
    for one in story:
        happen(world, one)
        ok = run(one)
        if one.fails or one.gap:
            told.append(_told(world, ok=ok))
            world.faults.clear()
            ok = run(one)
        told.append(_told(world, ok=ok))
    assert world.sound()
    return told


def _in_dagster(lab: Lab, one: Round) -> bool:
    """Run the job, and close its books, as the executor of a run worker does."""
    result = lab.run(verify=one.verify, adopt=one.adopt)
    close_run(lab.ledger, "job", result.run_id, holder_of(result.run_id), reason="failed")
    return result.success


def _told(world: World, *, ok: bool) -> dict[str, Any]:
    last = world.ledger.runs.summary("job").last_run
    assert last is not None
    return {
        "ok": ok,
        "source": asyncio.run(world.all("src")),
        "destination": asyncio.run(world.all("dst")),
        "state": {
            at: held._replace(source_version=_plain(held.source_version), dest_version=_plain(held.dest_version))
            for at, held in world.state().items()
        },
        "records": _records(world),
        "out of sync": {each.item for each in world.ledger.items.out_of_sync("job")},
        # Of a run that failed in Dagster nobody counts; and what needed no write the last step looks at once more.
        "results": {name: last.counts.get(name, 0) for name in ("created", "updated", "deleted") if ok},
        "uncertain": last.counts.get("uncertain", 0),
        "open": sorted((draft.dest, draft.key) for draft in (r.draft for r in world.ledger.runs.unsettled("job"))),
    }


def _records(world: World) -> set[tuple[Any, ...]]:
    """What the ledger says of secrets, without the names of runs and of values, and without the time."""
    return {
        (
            str(draft.event), draft.item, draft.dest, draft.key, draft.action, draft.reason, draft.source,
            draft.source_key, _plain(draft.source_version), _plain(draft.dest_version), draft.definition, draft.owned,
        )
        for draft in (record.draft for record in world.records())
        if draft.key
    }  # fmt: skip


def _plain(version: str | None) -> str | None:
    """A version without what is random in it; a digest of several is random all over."""
    if version is None or version.startswith("all:"):
        return None if version is None else "all"
    return display_version(version)


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], tuple[Any, Any]]:
    """Plays a story on both faces; gives what was there after each round on either."""
    number = 0

    def play(seed: int) -> tuple[Any, Any]:
        nonlocal number
        number += 1
        story = tell(seed, FAULTS)
        for face in ("cli", "dagster"):
            (tmp_path / f"{number}-{face}").mkdir()
        world = World(tmp_path / f"{number}-cli", monkeypatch)
        cli = _play(world, story, lambda one: asyncio.run(world.sync(verify=one.verify, adopt=one.adopt)).ok)
        world.close()
        lab = Lab(tmp_path / f"{number}-dagster", monkeypatch)
        dagster = _play(lab, story, lambda one: _in_dagster(lab, one))
        lab.close()
        lab.instance.dispose()
        memory.reset()
        return cli, dagster

    return play


def _compare(faces: Callable[[int], tuple[Any, Any]], seeds: range) -> None:
    for seed in seeds:
        cli, dagster = faces(seed)
        for at, (one, other) in enumerate(zip(cli, dagster, strict=True)):
            for what, found in one.items():
                assert other[what] == found, f"story {seed}, run {at}: {what} differ"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_both_faces_do_the_same(faces: Callable[[int], tuple[Any, Any]]) -> None:
    """Some random stories end the same on the command line and in Dagster, run by run."""
    _compare(faces, range(STORIES))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_both_faces_do_the_same_in_many_stories(faces: Callable[[int], tuple[Any, Any]]) -> None:
    """Many other stories end the same, too. ``SECRETSYNC_TEST_STORIES`` names the first seed of others still."""
    first = int(os.environ.get("SECRETSYNC_TEST_STORIES", "1000"))
    print(f"seeds {first} to {first + 10 * STORIES - 1}")
    _compare(faces, range(first, first + 10 * STORIES))
