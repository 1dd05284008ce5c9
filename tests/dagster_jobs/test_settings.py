"""The dagster.yaml files: the embedded one, the demo's copy, and the one for PostgreSQL.

That the UI runs with either is in tests/dagster_jobs/test_leaks_everywhere.py.
"""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "dagster.yaml"
POSTGRES = ROOT / "deploy" / "dagster" / "dagster.yaml"


def test_the_demo_has_the_embedded_settings() -> None:
    """What the demo writes to DAGSTER_HOME is the file at the top."""
    copy = ROOT / "secretsync_core" / "demo" / "dagster.yaml"
    assert copy.read_text() == EMBEDDED.read_text()


def test_postgres_differs_in_its_storage_alone() -> None:
    """Both files have the same settings for safety, but for where things are kept."""
    postgres = yaml.safe_load(POSTGRES.read_text())
    assert set(postgres.pop("storage")) == {"postgres"}
    assert postgres == yaml.safe_load(EMBEDDED.read_text())
