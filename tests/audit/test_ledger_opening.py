"""A ledger is opened in one way, and whatever makes one keeps its key from everybody else and from git."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from secretsync_core.audit import home
from secretsync_core.audit.database import LedgerMissing
from secretsync_core.audit.keys import KeyLost, load_key
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.opening import open_ledger
from secretsync_core.errors import LedgerError
from secretsync_core.schema.documents import Documents
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.resources import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "k" * 40


def _git(repository: Path, *words: str) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": str(repository), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=repository, env=environ, check=True, capture_output=True, text=True)
    return done.stdout


def _by_command_line(repository: Path) -> None:
    command = [sys.executable, "-m", "secretsync_core.cli.main", "audit", "migrate", "--config", str(repository)]
    subprocess.run(command, cwd=repository, env=_environ(), check=True, capture_output=True)


def _by_command_line_with_a_ledger_elsewhere(repository: Path) -> None:
    command = [sys.executable, "-m", "secretsync_core.cli.main", "audit", "migrate", "--config", str(repository)]
    elsewhere = repository / "state" / "ledger.db"
    subprocess.run([*command, "--ledger", str(elsewhere)], cwd=repository, env=_environ(), check=True)


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SECRETSYNC_")}


def _by_dagster(repository: Path) -> None:
    with Runtime(Catalog(Documents({}, {})), repository).ledger():
        pass


def _by_dagster_with_a_ledger_elsewhere(repository: Path) -> None:
    with Runtime(Catalog(Documents({}, {})), repository, str(repository / "state" / "ledger.db")).ledger():
        pass


def _by_the_key_alone(repository: Path) -> None:
    load_key(environ={}, directory=repository / home.DIRECTORY, create=True)


def _by_the_ledger_alone(repository: Path) -> None:
    Ledger.open(repository / "state" / "ledger.db", seal_key=KEY.encode()).close()


def _in_a_directory_that_was_there(repository: Path) -> None:
    (repository / home.DIRECTORY).mkdir(mode=0o700)
    with open_ledger(repository / home.DIRECTORY, environ={}, write=True):
        pass


WAYS: list[Callable[[Path], None]] = [
    _by_command_line,
    _by_command_line_with_a_ledger_elsewhere,
    _by_dagster,
    _by_dagster_with_a_ledger_elsewhere,
    _by_the_key_alone,
    _by_the_ledger_alone,
    _in_a_directory_that_was_there,
]


@pytest.mark.parametrize("make", WAYS, ids=lambda make: make.__name__.strip("_"))
def test_git_never_sees_a_key(make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a ledger is made: its directories are for us alone, and `git add` finds nothing in them."""
    for name in ("SECRETSYNC_KEY", "SECRETSYNC_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    _git(tmp_path, "init", "-q")
    (tmp_path / "job.yaml").write_text("")
    make(tmp_path)
    made = [path for path in (tmp_path / home.DIRECTORY, tmp_path / "state") if path.exists()]
    assert made
    for directory in made:
        assert directory.stat().st_mode & 0o777 == 0o700
        assert (directory / ".gitignore").read_text() == "*\n"
    _git(tmp_path, "add", "-A")
    assert _git(tmp_path, "ls-files").split() == ["job.yaml"]


def test_somebody_elses_directory_is_left_as_it_is(tmp_path: Path) -> None:
    """A ledger in a directory with other things in it hides none of them from git."""
    Ledger.open(tmp_path / "ledger.db", seal_key=KEY.encode()).close()
    assert not (tmp_path / ".gitignore").exists()


def test_the_key_from_elsewhere_needs_no_directory(tmp_path: Path) -> None:
    """The documents may stand where nothing can be written; then a key and a ledger elsewhere are enough."""
    environ = {"SECRETSYNC_KEY": KEY}
    state = tmp_path / "documents" / home.DIRECTORY
    with open_ledger(state, tmp_path / "state" / "ledger.db", environ=environ, write=True) as opened:
        assert opened.fingerprint_key == opened.keys.fingerprints
    assert not state.parent.exists()


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_a_directory_of_several_is_made_only_for_what_goes_into_it(
    tmp_path: Path, elsewhere: bool, given: bool
) -> None:
    """The directory around it is made and hidden too, unless both the key and the ledger are somewhere else."""
    around = tmp_path / "all"
    url = tmp_path / "state" / "ledger.db" if elsewhere else None
    with open_ledger(around / "one", url, environ={"SECRETSYNC_KEY": KEY} if given else {}, write=True, below=True):
        assert (around / ".gitignore").exists() == (not (elsewhere and given))
        assert (around / "one" / "ledger.key").exists() != given


def test_a_ledger_without_its_key_is_only_read_and_only_if_that_is_asked_for(tmp_path: Path) -> None:
    """Then it says what is lost and has no key to tell values apart; every other way it is refused."""
    with open_ledger(tmp_path, environ={}, write=True):
        pass
    (tmp_path / "ledger.key").unlink()
    for write, keyless in [(True, False), (True, True), (False, False)]:
        with pytest.raises(KeyLost):
            open_ledger(tmp_path, environ={}, write=write, keyless=keyless).__enter__()
    with open_ledger(tmp_path, environ={}, write=False, keyless=True) as opened:
        assert "is missing" in opened.lost
        assert opened.fingerprint_key == ()
    assert not (tmp_path / "ledger.key").exists()


def test_reading_makes_nothing(tmp_path: Path) -> None:
    """Where there is no ledger yet, who only wants to look is told so, and leaves no trace."""
    with pytest.raises(LedgerMissing, match=r"no ledger at .*ledger\.db yet"):
        open_ledger(tmp_path / home.DIRECTORY, environ={}, write=False).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With what to do; nothing of the system's own words but the reason."""
    (tmp_path / home.DIRECTORY).write_text("")
    with pytest.raises(LedgerError, match=r"\.secretsync cannot be created") as caught:
        open_ledger(tmp_path / home.DIRECTORY, environ={}, write=True).__enter__()
    assert "--ledger" in caught.value.hint
