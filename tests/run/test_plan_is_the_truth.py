"""What a plan says is what the sync does: over random documents, stores, values and faults that stand still.

Before each run of a story (see :mod:`run.stories`) its plan is made, and then compared with what the run did with every
single key; what it refused with the code, the message and the hint of the run's own outcome.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from support import look_only
from support.dice import seed as session_seed
from support.dice import told as told_seed

from run.plain import Plain
from run.stories import ITEMS, VALUES, happen, tell
from run.truth import compare_with
from run.world import World
from secretsync_core.errors import PlanRefused, StoreError
from secretsync_core.stores import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from run.stories import Round
    from secretsync_core.schema.documents import StoreDocument
    from secretsync_core.stores.base import Store, StoreContext

QUICK = 10
"""How many stories are played in `make test`, each with some four plans; `make test-all` plays many more."""

MANY = 120

MORE_ITEMS = [
    *ITEMS,
    "{name: pin, secret: {key: c, version: '3'}, keyTransform: [{prefix: pin/}]}",
    "{name: property, secret: {key: c, property: n}, keyTransform: [{prefix: property/}]}",
    "{name: no-name, query: {path: a}, keyTransform: [{prefix: n/}], valueTransform: [{template: {text: '{{ no }}'}}]}",
    "{name: text, secret: {key: d}, keyTransform: [{prefix: text/}], valueTransform: [{template: {text: '{{ x }}'}}]}",
    "{name: renamed, query: {path: b}, keyTransform: [{prefix: r/}], valueTransform: [{fields: {rename: {x: y}}}]}",
    "{name: inner, secret: {key: d}, keyTransform: [{prefix: c/}]}",
    "{name: inner-2, query: {path: b}, keyTransform: [{prefix: d/}], encoding: base64}",
]
MORE_VALUES: list[dict[str, Any]] = [
    *VALUES,
    {"x": 2**60 + 1},
    {"x": None, "y": [1, {"z": True}]},
    {"x": ""},
    {"a b": "odd name"},
    {"x": "//79"},  # the base64 of what is no text
    {"raw": "\xff\xfe"},  # in a store of blobs just these bytes
]
FAULTS: list[Callable[[str], tuple[str, str, str]]] = [
    lambda key: ("src", "read", key),
    lambda key: ("dst", "read", key),
]
STORES = {
    "fields": ("memory: {}", "ReadWrite"),
    "binary-fields": ("memory: {shape: binary-fields}", "ReadWrite"),
    "blob": ("memory: {shape: blob}", "ReadWrite"),
    "file": ("file: {path: $ROOT}", "ReadWrite"),
    "write-only": ("memory: {}", "Write"),
    "plain": ("memory: {}", "ReadWrite"),
    "look-only": ("ci: {}", "ReadWrite"),
    "ci-service": ("ci: {plain: true}", "Write"),
}
UNREAD = ("write-only", "look-only", "ci-service")


class Staged(World):
    """A world whose stores are of any kind: what is put there has the store's shape."""

    kinds: dict[str, str]

    def of(self, **kinds: str) -> None:
        """Make stores of these kinds."""
        self.kinds = kinds
        look_only.installed(self.patch)
        for name, kind in kinds.items():
            provider, permissions = STORES[kind]
            self.store(name, provider.replace("$ROOT", str(self.path / name)), permissions)
            (self.path / name).mkdir(exist_ok=True)

    async def put(self, store: str, key: str, value: Any) -> str | None:
        """Write behind the sync's back; where the store cannot hold it, nothing."""
        kind = self.kinds[store]
        if kind == "write-only":  # only a write could tell that something stands there
            return None
        if kind in ("blob", "file"):
            value = value["raw"].encode("latin-1") if "raw" in value else json.dumps(value).encode()
        elif kind == "binary-fields":
            value = {name: json.dumps(field).encode() for name, field in value.items()}
        try:
            return await super().put(store, key, value)
        except StoreError:  # a folder stands there, say
            return None

    async def get(self, store: str, key: str) -> Any:
        """A secret's value; None also where a folder stands."""
        try:
            return await super().get(store, key)
        except StoreError:
            return None

    async def _open(self, document: StoreDocument, context: StoreContext) -> Store:
        store = await super()._open(document, context)
        kinds = getattr(self, "kinds", {})
        return Plain(store) if kinds.get(document.name) == "plain" else store


async def _compare(world: World, one: Round) -> Counter[str]:
    """Plan, sync and compare; gives how often the plan said what."""
    try:
        planned = await world.plan(verify=one.verify, adopt=one.adopt)
    except PlanRefused as refused:
        with pytest.raises(PlanRefused, match=f"^{re.escape(refused.message)}$"):
            await world.sync(verify=one.verify, adopt=one.adopt)
        return Counter()
    await compare_with(world, planned, verify=one.verify, adopt=one.adopt)
    return Counter(change.action.value for change in planned.changes)


def _play(world: Staged, seed: int) -> Counter[str]:
    """Play a story; gives how often a plan said what."""
    dice = random.Random(f"{seed}:stores")
    src = dice.choice(["fields", "fields", "fields", "blob", "file", "binary-fields"])
    dst = dice.choice(list(STORES))
    world.of(src=src, dst=dst)
    said: Counter[str] = Counter()
    for one in tell(seed, FAULTS, MORE_ITEMS, MORE_VALUES):
        if dst in UNREAD and one.spec["writePolicy"] == "Merge":
            one.spec["writePolicy"] = "Replace"
        if src != "fields":
            one.plan = "\n".join(line for line in one.plan.splitlines() if "name: pin" not in line) or f"- {ITEMS[0]}"
        happen(world, one)
        said += asyncio.run(_compare(world, one))
        if one.fails or one.gap:
            # What failed before is said again while it lasts, and no longer once it is mended.
            asyncio.run(_compare(world, one))
            world.faults.clear()
            asyncio.run(_compare(world, one))
    assert world.sound()
    return said


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[range], Counter[str]]]:
    """Plays the stories of some seeds, each in a world of its own."""
    worlds: list[Staged] = []

    def run(seeds: range) -> Counter[str]:
        said: Counter[str] = Counter()
        for seed in seeds:
            memory.reset()
            path = tmp_path / str(seed)
            path.mkdir()
            worlds.append(Staged(path, monkeypatch))
            try:
                said += _play(worlds[-1], seed)
            except BaseException as error:
                error.add_note(f"story {seed} (run/test_plan_is_the_truth.py); {told_seed()}")
                raise
            worlds.pop().close()
        return said

    yield run
    for world in worlds:
        world.close()


def _first() -> int:
    return int(session_seed()) * 1000


def test_the_sync_does_what_the_plan_says(play: Callable[[range], Counter[str]]) -> None:
    """Over random stories each key ends as the plan said, refused ones with the same code, message and hint."""
    first = _first()
    print(f"stories {first} to {first + QUICK - 1}; {told_seed()}")
    said = play(range(first, first + QUICK))
    assert said.keys() >= {"create", "refuse"}, "these stories hold too little"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_sync_does_what_the_plan_says_in_many_stories(play: Callable[[range], Counter[str]]) -> None:
    """So it does in many other stories."""
    first = _first() + QUICK
    print(f"stories {first} to {first + MANY - 1}; {told_seed()}")
    play(range(first, first + MANY))
