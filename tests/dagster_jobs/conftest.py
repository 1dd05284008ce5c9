"""Fixtures for tests of the Dagster part, and what Dagster itself warns of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.dagster_tables import read_once

from dagster_jobs.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
_THEIRS = ("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning", "ignore::dagster.SupersessionWarning")

read_once()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Dagster marks what it may still change by warnings; here, and here only, they are no errors."""
    for item in items:
        if _HERE in item.path.parents:
            for each in _THEIRS:
                item.add_marker(pytest.mark.filterwarnings(each))


@pytest.fixture(autouse=True)
def no_worker_of_a_run() -> Iterator[None]:
    """A test that plays the worker of a run leaves no sign of it: what a real one starts would know by that."""
    yield
    os.environ.pop("_SECRETSYNC_EXECUTES_A_RUN", None)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Two empty stores in memory, and a Dagster instance of its own."""
    lab = Lab(tmp_path, monkeypatch)
    yield lab
    lab.close()
    lab.instance.dispose()
