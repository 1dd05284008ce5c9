"""A wheel of somebody's Dagster project holds no ledger, no key and no secret: whoever has it could read them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox
from hatchling import build

from secretsync_core.stores.directory.names import TEMPORARY
from secretsync_core.testing.canaries import Canary, canary, find_in
from secretsync_dagster.component import SyncDirectoryComponent, SyncJobComponent

if TYPE_CHECKING:
    from pathlib import Path

    from dagster.components.testing import DefsFolderSandbox

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "0.1.0"

[tool.hatch.build.targets.wheel]
packages = ["src/{name}"]
"""


def _members(archive: Path) -> dict[str, bytes]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(archive) as tar:
        opened = ((member.name, tar.extractfile(member)) for member in tar.getmembers())
        return {name: file.read() for name, file in opened if isinstance(file, io.BufferedReader)}


def _synced(sandbox: DefsFolderSandbox) -> list[Canary]:
    """Both components as they are scaffolded, each after one run, and what a writer left that was killed."""
    sandbox.scaffold_component(SyncDirectoryComponent, "secrets")
    sandbox.scaffold_component(SyncJobComponent, "team/More-Secrets")
    canaries = [canary("secrets"), canary("more-secrets")]
    example = sandbox.project_root / ".secretsync-example"
    for each in canaries:
        (example / each.label / "source" / "hello").write_text(each.text)
        (example / each.label / "dest" / f"{TEMPORARY}left").write_text(each.text)
    with sandbox.build_all_defs() as definitions, dg.DagsterInstance.ephemeral() as instance:
        for job in ("secrets", "more_secrets"):
            assert definitions.resolve_job_def(job).execute_in_process(instance=instance).success
    return canaries


def test_a_wheel_of_a_project_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built as `dg` projects are: neither the wheel nor the sdist has a key, a ledger, a secret or a temporary file."""
    with create_defs_folder_sandbox() as sandbox:
        canaries = _synced(sandbox)
        root = sandbox.project_root
        assert find_in(root, canaries), "there is something to find"
        keys = [path.read_text().strip() for path in root.rglob("ledger.key")]
        assert len(keys) == 2
        package = sandbox.defs_folder_path.parent
        (root / "pyproject.toml").write_text(PYPROJECT.format(name=package.name))
        monkeypatch.chdir(root)
        archives = [tmp_path / build.build_wheel(str(tmp_path)), tmp_path / build.build_sdist(str(tmp_path))]
        for archive in archives:
            members = _members(archive)
            assert any(name.endswith("secrets/defs.yaml") for name in members), "the package is in it"
            assert not [name for name in members if ".secretsync/" in name or "ledger" in name or TEMPORARY in name]
            assert find_in(b"\0".join(members.values()), canaries) == []
            assert not [key for key in keys for data in members.values() if key.encode() in data]
        # Other builders take whatever is in the package, and ask no ignore files.
        files = {path.name for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
        assert files == {"defs.yaml", "example.yaml", "secretsync.yaml"}
        assert find_in(package, canaries) == []


def test_git_leaves_the_state_alone() -> None:
    """A line for each of the two folders, whatever was in it before, and however many components there are."""
    with create_defs_folder_sandbox() as sandbox:
        ignore = sandbox.project_root / ".gitignore"
        ignore.write_text("*.pyc")
        sandbox.scaffold_component(SyncDirectoryComponent, "secrets")
        sandbox.scaffold_component(SyncJobComponent, "others")
        assert ignore.read_text() == "*.pyc\n.secretsync/\n.secretsync-example/\n"
        assert (sandbox.project_root / ".secretsync" / ".gitignore").read_text() == "*\n"
