"""No core dump of the command line is left, and nobody else looks into its memory."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dagster_jobs.processes import wait_until
from support.cores import NO_LIMIT, can_be_seen, limits_of, strike

from secretsync_core.testing.canaries import canary, find_in
from secretsync_core.undumpable import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.conftest import Cli

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are looked at in /proc")

CANARIES = [canary("value"), canary("token")]


@pytest.fixture
def in_mid_sync(troubled: Callable[..., Cli]) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts the real program, and waits until it holds a value that its destination takes long to write."""
    processes = []

    def begin(before: str = "", **environ: str) -> subprocess.Popen[bytes]:
        cli = troubled(3, delay=60)
        for number in range(3):
            cli.write(f"secretsync/source/key-{number:03}", CANARIES[0].text)
        program = f"{before}from secretsync_core.cli.main import main\nmain(['sync'])"
        environ = {**cli.environ, "TOKEN": CANARIES[1].text, **environ}
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=cli.directory, env=environ,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        processes.append(process)
        ledger = cli.directory / "secretsync" / ".secretsync" / "ledger.db-wal"
        wait_until(lambda: ledger.exists() and b"key-000" in ledger.read_bytes())
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def test_a_sync_has_no_core_dump(in_mid_sync: Callable[..., subprocess.Popen[bytes]]) -> None:
    """Its limit is zero, and nobody raises it again but root."""
    process = in_mid_sync()
    assert limits_of(process.pid) == "0 0"
    assert strike(process.pid, signal.SIGSEGV) == []
    assert process.wait() == -signal.SIGSEGV


@pytest.mark.skipif(not can_be_seen(), reason="core dumps are handed to a program here")
@pytest.mark.parametrize(
    ("debugging", "left"), [("", set()), pytest.param("1", {"value", "token"}, marks=pytest.mark.slow)]
)
def test_it_has_none_whatever_the_limit(
    in_mid_sync: Callable[..., subprocess.Popen[bytes]], debugging: str, left: set[str]
) -> None:
    """As where the kernel hands dumps to a program; left as it is for debuggers, value and token are in its dump."""
    process = in_mid_sync(NO_LIMIT, **{VARIABLE: debugging})
    assert not limits_of(process.pid).startswith("0")
    cores = strike(process.pid)
    found = {each.canary for core in cores for each in find_in(core, CANARIES)}
    for core in cores:
        core.unlink()
    assert (bool(cores), found) == (bool(left), left)


# Two processes of one user: a victim that keeps out of dumps or does not, and one that reads its environment.
_NOBODY = """
import ctypes, os, sys
from pathlib import Path
from secretsync_core import undumpable
import resource
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # which a change of the user has taken
def reads():
    pid = os.fork()
    if not pid:
        try:
            Path(f"/proc/{os.getppid()}/environ").read_bytes()
        except PermissionError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0
before = reads()
undumpable.keep_out_of_dumps({})
after = reads()
descriptor, other = os.pipe()
os.write(other, b"x")
os.close(other)
print(before, after, Path(f"/dev/fd/{descriptor}").read_text(), resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_nobody_of_the_same_user_reads_its_environment() -> None:
    """Where tokens are; while the process itself still reads what it has open, as client certificates are."""
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", _NOBODY], env={"PYTHONPATH": root, "TOKEN": "x"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("True False x (0, 0)\n", "")


def test_whoever_imports_the_core_keeps_their_limits() -> None:
    """Importing the library changes nothing of the program that does."""
    code = (
        "import resource, ctypes\nbefore = resource.getrlimit(resource.RLIMIT_CORE)\n"
        "import secretsync_core.run.steps, secretsync_core.undumpable, secretsync_core.cli.main\n"
        "import secretsync_core.notify.courier\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE) == before, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True 1\n"
