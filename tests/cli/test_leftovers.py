"""What a killed run left at a file store, as people meet it: a check tells of it, and the next run removes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from secretsync_core.stores.directory.names import TEMPORARY

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Cli


def _left(cli: Cli, folder: str, number: int = 0) -> Path:
    """What a writer that died long ago left of a value."""
    path = cli.write(
        f"secretsync/example/dest/{folder}{TEMPORARY}{'0' * 8}-1-{'0' * 16}-{number}-{'0' * 8}", "new-value"
    )
    os.utime(path, (1, 1))
    path.parent.chmod(0o700)  # as we make folders
    return path


def test_the_next_run_removes_what_a_killed_one_left(started: Cli) -> None:
    """Also where nothing is to be copied, and where no key of the job is any more; a plan and a check only look."""
    assert started("sync").code == 0
    left = [_left(started, "mail/", number) for number in range(2)] + [_left(started, "gone/long/ago/")]
    checked = started("check")
    assert checked.code == 0
    assert "3 temporary files in gone/long/ago/, mail/ that may hold values" in checked.err + checked.out
    assert "0000" not in checked.err + checked.out
    assert started("plan").code == 0
    assert all(path.exists() for path in left)
    synced = started("sync", "-o", "json")
    assert synced.code == 0
    (warning,) = synced.json["jobs"][0]["warnings"]
    assert warning.startswith("example-dest: removed 3 temporary files in gone/long/ago/, mail/ of processes that were")
    assert not any(path.exists() for path in left)
    assert not (started.directory / "secretsync/example/dest/gone").exists()
    assert started("sync", "-o", "json").json["jobs"][0]["warnings"] == []
    assert started("check", "-o", "json").json["jobs"][0]["warnings"] == []


def test_the_folder_of_the_last_secret_goes(started: Cli) -> None:
    """What a killed run left keeps no folder from going with its last secret."""
    jobs = started.directory / "secretsync" / "jobs.yaml"
    jobs.write_text(jobs.read_text().replace("deletionPolicy: Retain", "deletionPolicy: Delete"))
    assert started("sync").code == 0
    _left(started, "prod/")
    for name in ("db", "api-key", "api-key-test"):
        (started.directory / "secretsync/example/source/payments" / name).unlink()
    started("sync", "--max-delete", "9", "--item", "payments")
    assert not (started.directory / "secretsync/example/dest/prod").exists()


def test_an_undo_removes_it_too(started: Cli) -> None:
    """Every run that writes to the place does, an undo as well as a sync."""
    assert started("sync").code == 0
    run = started("audit", "log", "-o", "json").json["records"][0]["run"]
    left = _left(started, "mail/")
    assert "removed 1 temporary file in mail/" in "".join(started("undo", run, "--yes")[1:])
    assert not left.exists()
