"""The command line and Dagster do the same: over random documents, stores and faults their ledgers, outcomes and
destinations are equal.

Each story is played twice from its seed, once on each face. A story has rounds: somebody changes the stores or the
document, something may fail, and the job runs: after each run all is compared.
"""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from run.world import World

from dagster_jobs.lab import Lab
from secretsync_core.errors import AccessDenied
from secretsync_core.model.inventory import Gap, display_version
from secretsync_core.run.record import close_run
from secretsync_core.stores import memory
from secretsync_dagster.lease_holders import holder_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STORIES = 6
"""How many are played in `make test`; `make test-slow` plays ten times as many."""

KEYS = ["a/1", "a/2", "a/x", "b/1", "b/2", "c", "d"]
VALUES: list[dict[str, Any]] = [{"x": "1"}, {"x": "2", "y": "3"}, {"z": "4"}, {"x": "5", "n": "6"}]
ITEMS = [
    "{name: a, query: {path: a}}",
    "{name: a-but-x, query: {path: a, key: {exclude: [x$]}}}",
    "{name: b, query: {path: b}, keyTransform: [{prefix: moved/}]}",
    "{name: b2, query: {path: b, key: {regexp: 2$}}, keyTransform: [{regexp: {source: ^b, target: two}}]}",
    "{name: c, secret: {key: c}, writePolicy: Replace}",
    "{name: d, secret: {key: d}, deletionPolicy: Retain, keyTransform: [{prefix: static/}]}",
    "{name: fields, query: {path: b}, split: fields, keyTransform: [{prefix: split/}]}",
    "{name: all, key: all, combine: [{name: p, query: {path: a, key: {regexp: '1$'}}}, {name: q, secret: {key: d}}]}",
    "{name: dsn, secret: {key: c}, keyTransform: [{prefix: t/}], valueTransform: [{template: {data: {u: '{{ x }}'}}}]}",
]
LOST = ("made", "not made")
FAULTS: list[Callable[[str], tuple[str, str, str]]] = [
    lambda key: ("src", "read", key),
    lambda key: ("dst", "write_if", key),
    lambda key: ("dst", "read", key),
    lambda key: ("dst", "made", key),  # the answer to a write is lost, and nobody can look
    lambda key: ("dst", "not made", key),
]
APART = [("a", "a-but-x")]
"""Items that claim the same keys: a document has the first of them alone."""


@dataclass
class Round:
    """What happens before a run, and what the run is asked for."""

    plan: str
    spec: dict[str, str]
    put: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    removed: list[tuple[str, str]] = field(default_factory=list)
    fails: list[tuple[str, str, str]] = field(default_factory=list)
    gap: str = ""
    verify: bool = False
    adopt: list[str] = field(default_factory=list)


def _story(seed: int) -> list[Round]:
    draw = random.Random(seed)
    spec = {
        "deletionPolicy": draw.choice(["Delete", "Delete", "Retain"]),
        "maxDelete": draw.choice(["100%", "100%", "2"]),
        "writePolicy": draw.choice(["Managed", "Managed", "Replace", "Merge", "IfNotExists"]),
    }
    if draw.random() < 0.2:
        spec["ownership"] = "{adopt: true}"
    rounds: list[Round] = []
    for number in range(draw.randint(2, 4)):
        if number == 0 or draw.random() < 0.4:
            chosen = draw.sample(ITEMS, draw.randint(1, 5))
            names = [item.split(",")[0].removeprefix("{name: ") for item in chosen]
            twice = {name for first, *rest in APART if first in names for name in rest}
            plan = "\n".join(f"- {item}" for item, name in zip(chosen, names, strict=True) if name not in twice)
        one = Round(plan, spec, verify=draw.random() < 0.2)
        for key in KEYS:
            if draw.random() < (0.7 if number == 0 else 0.3):
                one.put.append(("src", key, draw.choice(VALUES)))
            elif draw.random() < 0.3:
                one.removed.append(("src", key))
            if draw.random() < 0.2:
                one.put.append(("dst", draw.choice([key, f"moved/{key}"]), draw.choice(VALUES)))
                if draw.random() < 0.4:
                    one.adopt.append(one.put[-1][1])
            if number and draw.random() < 0.1:
                one.removed.append(("dst", key))
            if draw.random() < 0.1:
                one.fails.append(draw.choice(FAULTS)(key))
        if draw.random() < 0.2:
            one.gap = draw.choice(["a/", "b/1"])
        rounds.append(one)
    return rounds


def _play(world: World, story: list[Round], run: Callable[[Round], bool]) -> list[dict[str, Any]]:
    """Play a story on one face; gives what was there after each round."""
    told: list[dict[str, Any]] = []
    for one in story:
        world.job(one.plan, **one.spec)
        for store, key, value in one.put:
            asyncio.run(world.put(store, key, value))
        for store, key in one.removed:
            if asyncio.run(world.get(store, key)) is not None:
                asyncio.run(world.remove(store, key))
        for store, operation, key in one.fails:
            if operation in LOST:
                world.lose(key, store=store, done=operation == "made")
            else:
                world.fault(store).fail(operation, AccessDenied("no"), key=key)
        if one.gap:
            world.fault("src").gap("list", Gap(one.gap, "access-denied", "no"))
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
        story = _story(seed)
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
