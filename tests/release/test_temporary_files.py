"""``tools/test.sh``: where tests keep their files, and what it ends with."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")

pytestmark = pytest.mark.skipif(
    not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < 4 * 2**30, reason="no room in memory"
)


def _run(tmp_path: Path, command: str, **stands_in: str) -> tuple[int, str]:
    """Run a command by the script, with programs that stand in for those of the machine; gives its end and output."""
    for name, text in stands_in.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", ROOT / "tools" / "test.sh", "sh", "-c", command],
        env=environ, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout.strip()


def test_it_ends_as_the_command_ended(tmp_path: Path) -> None:
    """Also where what the command left cannot be removed; otherwise nothing of it is left."""
    code, made = _run(tmp_path, 'echo "$TMPDIR"; exit 3')
    assert code == 3
    assert Path(made).parent == MEMORY
    assert not Path(made).exists()
    code, made = _run(tmp_path, 'echo "$TMPDIR"', rm=f'{shutil.which("rm")} "$@"; [ $1 != -rf ]')
    assert code == 0
    assert not Path(made).exists()


def test_memory_in_which_nothing_can_be_executed_is_left_alone(tmp_path: Path) -> None:
    """A file system may be mounted so; without ``chmod`` it is the same to whoever executes a file there."""
    assert _run(tmp_path, 'echo "${TMPDIR-none}"', chmod="exit 0") == (0, "none")
