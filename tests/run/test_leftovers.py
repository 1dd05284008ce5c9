"""What is told of what killed writers left, by what we may do at the destination."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from secretsync_core.model.capabilities import Permissions
from secretsync_core.run.leftovers import sweep, told_of_leftovers
from secretsync_core.run.opening import Halves, OpenStores
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.directory.names import TEMPORARY
from secretsync_core.stores.file.store import FileStore
from secretsync_core.stores.handle import hand_out
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from pathlib import Path

KILLED = "that may hold values, left by processes that were killed while they wrote"

DOUBT = "that may hold values, and nothing proves that their writers are dead: once no sync runs there, remove them"


def _leave(root: Path, folder: str, *, provable: bool = True) -> Path:
    path = root / folder / (f"{TEMPORARY}{'0' * 8}-1-{'0' * 16}-0-{'0' * 8}" if provable else f"{TEMPORARY}other")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"value")
    os.utime(path, (1, 1))
    return path


@pytest.mark.parametrize(
    ("permissions", "removes", "todo"),
    [
        (Permissions.READ, False, ": remove them"),
        (Permissions.READ_WRITE, True, ": the next run that writes there removes them"),
    ],
)
async def test_what_is_told(tmp_path: Path, permissions: Permissions, removes: bool, todo: str) -> None:
    """At most three folders by name, what to do, and no request; nothing is removed where we may only read."""
    left = [_leave(tmp_path, folder) for folder in ("a", "b", "c", "d", "")]
    doubtful = _leave(tmp_path, "e", provable=False)
    gate = CountingGate()
    store = FileStore(str(tmp_path), StoreContext("dst", gate, {}, 2))
    opened = OpenStores({"dst": Halves(hand_out(store, "dst", permissions))})
    told = await told_of_leftovers(["dst", "dst", "closed"], opened)
    assert told == [
        f"dst has 5 temporary files in its top folder, a/, b/ and 2 more folders {KILLED}{todo}",
        f"dst has 1 temporary file in e/ {DOUBT}",
    ]
    assert gate.counts == {}
    swept = await sweep(["dst"], opened)
    assert bool(swept) is removes
    assert [path.exists() for path in left] == [not removes] * 5
    assert doubtful.exists()
    await store.aclose()
