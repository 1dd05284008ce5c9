"""What is printed is written whole, or is an error: real pipes, a full disk, with and without PYTHONUNBUFFERED."""

from __future__ import annotations

import fcntl
import os
import subprocess
from typing import TYPE_CHECKING

import orjson
import pytest
from support.slow import one_in

if TYPE_CHECKING:
    from cli.conftest import Cli

MANY = 400  # keys: some fifty times what the pipe holds
BUFFERED = {"PYTHONUNBUFFERED": ""}
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
BOTH = pytest.mark.parametrize("environ", [BUFFERED, UNBUFFERED], ids=["buffered", "unbuffered"])
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110


@pytest.fixture
def many(started: Cli) -> Cli:
    """A job with thousands of keys."""
    for number in range(MANY):
        started.write(f"secretsync/example/source/payments/many-{number}", "x")
    return started


def _slowly(cli: Cli, arguments: list[str], environ: dict[str, str], *, block: bool) -> tuple[int, bytes, bytes]:
    """Run a command whose stdout is a small pipe with a slow reader."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, block)
    process = subprocess.Popen(
        [*cli.quick, *arguments],
        cwd=cli.directory,
        env=cli.environ | environ,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as stream:
        parts = iter(lambda: stream.read(1000), b"")
        out = b"".join(parts)
    assert process.stderr is not None
    with process.stderr as stderr:
        err = stderr.read()
    return process.wait(60), out, err


@BOTH
@pytest.mark.parametrize("block", [True, False], ids=["blocking", "non-blocking"])
def test_a_slow_reader_gets_everything(many: Cli, environ: dict[str, str], block: bool) -> None:
    """However little fits into the pipe at once, JSON arrives whole."""
    code, out, err = _slowly(many, ["plan", "--output", "json"], environ, block=block)
    assert (code, err) == (0, b"")
    assert len(orjson.loads(out)["jobs"][0]["changes"]) >= MANY


@BOTH
def test_a_signal_in_the_middle_of_a_write_loses_nothing(many: Cli, environ: dict[str, str]) -> None:
    """A write that a signal cuts short goes on where it ended."""
    many.write(
        "sitecustomize.py",
        "import signal, secretsync_core.cli.output as output\n"
        "data = output.Output.data\n"
        "def disturbed(*arguments):\n"
        "    signal.signal(signal.SIGALRM, lambda *_: None)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)\n"
        "    data(*arguments)\n"
        "    arguments[0].flush()\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "output.Output.data = disturbed\n",
    )
    path = {"PYTHONPATH": f"{many.directory}:{many.environ['PYTHONPATH']}"}
    code, out, err = _slowly(many, ["plan", "--output", "json"], environ | path, block=True)
    assert (code, err) == (0, b"")
    assert len(orjson.loads(out)["jobs"][0]["changes"]) >= MANY


PRINTING = (
    "plan --all",
    "sync --output json",
    "check",
    "stores",
    "schema",
    "metrics",
    "init other",
    "audit log",
    "audit export",
    "--help",
    "--version",
)
SOME = ("plan --all", "audit export", "--help")
"""A table, many lines, and what the library for commands prints."""


@FULL
@pytest.mark.parametrize(
    ("environ", "lines"),
    [
        pytest.param(BUFFERED, PRINTING, id="buffered"),
        pytest.param(UNBUFFERED, SOME, id="some-unbuffered"),
        pytest.param(UNBUFFERED, PRINTING, id="unbuffered", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_under_stdout_is_an_error_of_its_own(
    started: Cli, environ: dict[str, str], lines: tuple[str, ...]
) -> None:
    """No space for what is printed: exit code 74, what and why, and no fault of ours, whichever command it is."""
    assert started("sync", "--quiet").code == 0
    for line in lines:
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            ran = subprocess.run(
                [*started.quick, *line.split()],
                cwd=started.directory,
                env=started.environ | environ,
                stdin=subprocess.DEVNULL,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert ran.returncode == 74, (line, ran.stderr)
        assert "error: stdout cannot be written: No space left on device\nhint: the output is incomplete" in ran.stderr
        assert "internal" not in ran.stderr


@FULL
def test_a_sync_goes_on_where_its_words_cannot_be_written(started: Cli) -> None:
    """Every secret is copied and recorded, whatever becomes of the report."""
    ran = started.shell("secretsync sync > /dev/full; echo $?")
    assert ran.out == "74\n"
    assert (started.directory / "secretsync/example/dest/mail/smtp").exists()
    assert started("sync", "--output", "json").json["jobs"][0]["counts"].get("created", 0) == 0


@FULL
def test_the_gravest_code_is_told_of_a_full_disk_too(started: Cli) -> None:
    """A wrong call whose JSON cannot be written ends with 74: nobody could read what was wrong."""
    assert started.shell("secretsync plan nothing --output json > /dev/full; echo $?").out == "74\n"


@BOTH
@pytest.mark.parametrize(
    "line", one_in(3, ["plan --all", "plan --output json", "audit export", "schema", "--help", "plan --help"])
)
def test_a_reader_who_left_is_no_error(many: Cli, environ: dict[str, str], line: str) -> None:
    """Output into a pipe that nobody reads any more: exit code 0, not a word."""
    if line.startswith("audit"):
        assert many("sync", "--quiet").code == 0
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [*many.quick, *line.split()],
        cwd=many.directory,
        env=many.environ | environ,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("closed", one_in(3, [">&-", "2>&-", "<&- >&- 2>&-"]))
def test_streams_that_the_caller_closed(started: Cli, closed: str) -> None:
    """A closed stdout or stderr is nowhere to write to, and no file of ours takes its place."""
    ran = started.shell(f"secretsync sync {closed}; echo code $?")
    assert ran.out.endswith("code 0\n")
    assert "internal" not in ran.err
    assert started("audit", "verify").code == 0
    assert (started.directory / "secretsync/example/dest/mail/smtp").exists()


def test_json_is_utf_8_in_every_charset(cli: Cli) -> None:
    """Where the terminal knows ASCII alone, JSON keeps its letters instead of escapes that are no JSON."""
    path = cli.write("bücher.yaml", "kind: Nonsense\n")
    for encoding in ("ascii", "latin-1", "utf-8"):
        done = subprocess.run(
            [*cli.quick, "validate", "--config", ".", "--output", "json"],
            cwd=cli.directory,
            env=cli.environ | {"PYTHONIOENCODING": encoding},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert path.name in orjson.dumps(orjson.loads(done.stdout)).decode()
