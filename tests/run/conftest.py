"""Fixtures for tests of the engine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from run.pair import Pair
from run.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Mount
    from support.http import Api
    from support.kube_api import KubeApi

    from secretsync_core.demo.openbao import OpenBaoServer


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two empty stores in memory, and a fresh ledger."""
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


@pytest.fixture
def pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, openbao: OpenBaoServer, api: Api, mount: Mount, kube: KubeApi
) -> Iterator[Pair]:
    """OpenBao and Kubernetes, both empty."""
    with contextlib.closing(World(tmp_path, monkeypatch)) as world:
        yield Pair(world, api, mount(openbao), kube)
