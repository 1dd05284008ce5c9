"""The components as a Dagster project loads them, in this process; ``test_dg`` does the same by the commands of dg."""

from __future__ import annotations

import subprocess

import dagster as dg
import pytest
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from secretsync_dagster.component import SyncDirectoryComponent, SyncJobComponent
from secretsync_dagster.project_state import home_of
from secretsync_dagster.standing_checks import SCHEDULE

SCOPES = ("secrets", "team_More_Secrets")

# Dagster's own loading of components still asks pydantic in the old way.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")


def _scaffold(sandbox: DefsFolderSandbox) -> None:
    sandbox.scaffold_component(SyncDirectoryComponent, "secrets")
    sandbox.scaffold_component(SyncJobComponent, "team/More-Secrets")
    file = sandbox.defs_folder_path / "team" / "More-Secrets" / "defs.yaml"
    file.write_text(file.read_text().replace("  documents:", "  ledger: kept.db\n  documents:"))


def test_what_is_scaffolded_is_loaded_side_by_side() -> None:
    """Both components make a job, a schedule, an asset and their stores, named so that neither hides the other's."""
    with create_defs_folder_sandbox() as sandbox:
        _scaffold(sandbox)
        with sandbox.build_all_defs() as definitions:
            repository = definitions.get_repository_def()
    assert {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")} == {
        "secrets",
        "more_secrets",
        *(f"{name}_IN_{scope}" for name in ("FIND_key", "CHECK_ledger_and_stores") for scope in SCOPES),
    }
    assert {each.name for each in repository.schedule_defs} == {
        "secrets_schedule",
        "more_secrets_schedule",
        *(f"{SCHEDULE}_IN_{scope}" for scope in SCOPES),
    }
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    assert keys == {
        "sync/secrets",
        "store/secrets/secrets_source",
        "store/secrets/secrets_dest",
        "sync/more_secrets",
        "store/team_More_Secrets/more_secrets_source",
        "store/team_More_Secrets/more_secrets_dest",
    }


def test_a_prefix_comes_first_in_every_key() -> None:
    """Of the component that has one; the other one's keys stay as they are."""
    with create_defs_folder_sandbox() as sandbox:
        _scaffold(sandbox)
        file = sandbox.defs_folder_path / "secrets" / "defs.yaml"
        file.write_text(file.read_text().replace("attributes:", "attributes:\n  prefix: staging"))
        with sandbox.build_all_defs() as definitions:
            repository = definitions.get_repository_def()
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    assert {key for key in keys if key.startswith("staging/")} == {
        "staging/sync/secrets",
        "staging/store/secrets/secrets_source",
        "staging/store/secrets/secrets_dest",
    }
    assert {"sync/more_secrets"} <= keys
    assert repository.get_job("secrets").tags["secretsync/job"] == "staging/secrets"


@pytest.mark.parametrize(("job", "component"), [("secrets", "secrets"), ("more_secrets", "team/More-Secrets")])
def test_what_is_scaffolded_syncs(job: str, component: str) -> None:
    """Its example is copied, and each component has a ledger of its own: where it says so, or beside the package."""
    with create_defs_folder_sandbox() as sandbox:
        _scaffold(sandbox)
        place = sandbox.defs_folder_path / component
        with sandbox.build_all_defs() as definitions, dg.DagsterInstance.ephemeral() as instance:
            assert definitions.resolve_job_def(job).execute_in_process(instance=instance).success
        state = sandbox.project_root / ".secretsync"
        example = sandbox.project_root / ".secretsync-example" / job.replace("_", "-")
        held = {path.name: path.read_text() for path in example.rglob("dest/*") if path.is_file()}
        assert held == {"hello": "this file is one secret\n"}
        (ledger,) = sandbox.project_root.rglob("*.db")
        assert ledger == (state / "secrets" / "ledger.db" if job == "secrets" else place / "kept.db")
        (key,) = sandbox.project_root.rglob("ledger.key")
        assert key == state / component.replace("/", "_").replace("-", "_") / "ledger.key"
        assert {path.stat().st_mode & 0o777 for path in (state, key.parent)} == {0o700}


def test_an_attribute_that_there_is_not_is_refused() -> None:
    """A slip in a component's YAML fails to load, and the component is named."""
    with create_defs_folder_sandbox() as sandbox:
        _scaffold(sandbox)
        file = sandbox.defs_folder_path / "secrets" / "defs.yaml"
        file.write_text(file.read_text().replace("directory:", "directry:"))
        with pytest.raises(Exception, match="loading component secrets"), sandbox.build_all_defs():
            pass


def test_a_ledger_in_the_package_stays_until_people_move_it(caplog: pytest.LogCaptureFixture) -> None:
    """As components made it up to version 0.1: it is used as before, and a warning has the commands that move it."""
    with create_defs_folder_sandbox() as sandbox:
        _scaffold(sandbox)
        documents = sandbox.defs_folder_path / "secrets" / "secretsync"
        new, old = sandbox.project_root / ".secretsync" / "secrets", documents / ".secretsync"
        old.mkdir(mode=0o700)
        (old / "ledger.key").write_text("k" * 32)
        (old / "ledger.key").chmod(0o600)
        with sandbox.build_all_defs() as definitions, dg.DagsterInstance.ephemeral() as instance:
            assert definitions.resolve_job_def("secrets").execute_in_process(instance=instance).success
        assert (old / "ledger.db").exists()
        assert not new.exists()
        (told,) = {record.getMessage() for record in caplog.records if record.name.endswith("project_state")}
        assert f"{old}/ledger.key is in the package" in told
        subprocess.run(told.rpartition("while nothing runs: ")[2], shell=True, check=True)
        caplog.clear()
        assert home_of(sandbox.project_root, "secrets", documents) == new
        assert (new / "ledger.db").exists()
        assert caplog.text == ""
        # A ledger that somebody makes beside the documents later takes nothing over.
        old.mkdir()
        (old / "ledger.key").write_text("x")
        assert home_of(sandbox.project_root, "secrets", documents) == new
        assert "remove the other one" in caplog.text
