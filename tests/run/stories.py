"""Random stories of a world: somebody changes the stores or the document, something may fail, and then a job runs.

A story is told by its seed, and is the same for whoever plays it.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import AccessDenied
from secretsync_core.model.inventory import Gap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from run.world import World

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


def tell(
    seed: int,
    faults: Sequence[Callable[[str], tuple[str, str, str]]],
    items: Sequence[str] = ITEMS,
    values: Sequence[dict[str, Any]] = VALUES,
) -> list[Round]:
    """The story of a seed. ``faults`` are what may go wrong with a key: store, operation, key."""
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
            chosen = draw.sample(items, draw.randint(1, 5))
            names = [item.split(",")[0].removeprefix("{name: ") for item in chosen]
            twice = {name for first, *rest in APART if first in names for name in rest}
            plan = "\n".join(f"- {item}" for item, name in zip(chosen, names, strict=True) if name not in twice)
        one = Round(plan, spec, verify=draw.random() < 0.2)
        for key in KEYS:
            if draw.random() < (0.7 if number == 0 else 0.3):
                one.put.append(("src", key, draw.choice(values)))
            elif draw.random() < 0.3:
                one.removed.append(("src", key))
            if draw.random() < 0.2:
                one.put.append(("dst", draw.choice([key, f"moved/{key}"]), draw.choice(values)))
                if draw.random() < 0.4:
                    one.adopt.append(one.put[-1][1])
            if number and draw.random() < 0.1:
                one.removed.append(("dst", key))
            if draw.random() < 0.1:
                one.fails.append(draw.choice(faults)(key))
        if draw.random() < 0.2:
            one.gap = draw.choice(["a/", "b/1"])
        rounds.append(one)
    return rounds


def happen(world: World, one: Round) -> None:
    """Let everything happen that comes before the run of a round, its faults included."""
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
