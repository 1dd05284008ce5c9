"""``secretsync dagster init``: settings for Dagster that work as they are, and nothing that exists is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from dotenv import dotenv_values

if TYPE_CHECKING:
    from cli.conftest import Cli

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("place", ["up", "deep/in a/directory", "."])
def test_what_is_written(cli: Cli, place: str) -> None:
    """The files that this repository has at its top, and variables that `dagster dev` reads."""
    done = cli("dagster", "init", place)
    assert (done.code, done.err) == (0, "")
    home = cli.directory / place
    assert (home / "dagster.yaml").read_text() == (ROOT / "dagster.yaml").read_text()
    assert yaml.safe_load((home / "workspace.yaml").read_text()) == yaml.safe_load(
        (ROOT / "workspace.yaml").read_text()
    )
    assert dotenv_values(home / ".env") == {"DAGSTER_HOME": str(home.resolve()), "DAGSTER_REDACT_USER_CODE_ERRORS": "1"}
    assert done.out.splitlines()[-1].split() == ["dagster", "dev", "#", "http://127.0.0.1:3000"]


@pytest.mark.parametrize("taken", ["dagster.yaml", "workspace.yaml", ".env"])
def test_what_exists_is_not_touched(cli: Cli, taken: str) -> None:
    """Where one of the files is there, none is written."""
    file = cli.directory / "up" / taken
    file.parent.mkdir()
    file.write_text("theirs")
    done = cli("dagster", "init", "up")
    assert done.code == 2
    assert f"up already has {taken}" in done.err
    assert file.read_text() == "theirs"
    assert [path.name for path in file.parent.iterdir()] == [taken]


def test_a_path_that_a_file_of_variables_cannot_hold(cli: Cli) -> None:
    """It is refused, for `dagster dev` would keep its runs elsewhere."""
    done = cli("dagster", "init", "it's")
    assert done.code == 2
    assert "cannot hold" in done.err
    assert not (cli.directory / "it's").exists()


def test_documents_that_are_there_need_no_example(started: Cli) -> None:
    """What comes next leaves `secretsync init` out then."""
    done = started("dagster", "init")
    assert done.code == 0
    assert "secretsync init" not in done.out
