"""Fixtures for tests of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two empty stores in memory, and a fresh ledger."""
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()
