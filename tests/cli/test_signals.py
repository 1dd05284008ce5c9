"""Ctrl-C and SIGTERM while a sync is on its way."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.slow import one_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Cli

COUNT = 40


def _begun(cli: Cli, *arguments: str) -> subprocess.Popen[str]:
    """A sync that has written something and is not done."""
    process = subprocess.Popen(
        [*cli.command, "sync", *arguments],
        cwd=cli.directory,
        env=cli.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not _written(cli):
        time.sleep(0.02)
    assert _written(cli)
    return process


def _written(cli: Cli) -> list[Path]:
    return [path for path in (cli.directory / "dest").glob("key-*") if path.is_file()]


@pytest.mark.parametrize(("number", "code"), one_in(2, [(signal.SIGINT, 130), (signal.SIGTERM, 143)]))
def test_the_first_signal_finishes_what_is_in_flight(
    troubled: Callable[..., Cli], number: signal.Signals, code: int
) -> None:
    """A stopped sync records what it did, says how to go on, and the next one does the rest."""
    cli = troubled(COUNT, delay=0.2)
    process = _begun(cli)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "stopping after the requests in flight" in err
    assert "Traceback" not in err
    assert "not reached" in out
    assert "continue with `secretsync sync copy`" in out
    done = len(_written(cli))
    assert 0 < done < COUNT
    assert f"{done} created" in out
    assert cli("audit", "verify").code == 0
    (cli.directory / "secretsync/stores.yaml").write_text(
        (cli.directory / "secretsync/stores.yaml").read_text().replace('"delay":0.2', '"delay":0.0')
    )
    again = cli("sync")
    assert again.code == 0
    assert f"{COUNT - done} created" in again.out


def test_a_stopped_sync_is_json_too(troubled: Callable[..., Cli]) -> None:
    """In JSON a stopped sync says that it was stopped, with the exit code of the signal."""
    import orjson

    cli = troubled(COUNT, delay=0.2)
    process = _begun(cli, "--output", "json")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    found = orjson.loads(out)
    assert process.returncode == found["exitCode"] == 143
    assert found["jobs"][0]["stopped"] is True


@pytest.mark.parametrize(
    ("number", "hint", "code"),
    [(signal.SIGINT, "press Ctrl-C again", 130), (signal.SIGTERM, "send SIGTERM again", 143)],
)
def test_a_second_signal_ends_at_once(
    troubled: Callable[..., Cli], number: signal.Signals, hint: str, code: int
) -> None:
    """Who presses Ctrl-C twice, or sends SIGTERM twice, does not wait; the next sync finds out what was written."""
    cli = troubled(6, delay=20.0)
    process = subprocess.Popen(
        [*cli.command, "sync"],
        cwd=cli.directory,
        env=cli.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 30
    ledger = cli.directory / "secretsync/.secretsync/ledger.db"
    while time.monotonic() < deadline and "intended" not in cli("audit", "log").out:
        time.sleep(0.1)
    assert ledger.exists()
    process.send_signal(number)
    assert hint in process.stderr.readline()
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert process.returncode == code
    assert "Traceback" not in err


_HANGS = """
import asyncio, os, signal, threading, time
from secretsync_core.cli import event_loop, signals
from secretsync_core.cli.output import Output

signals.GIVE_UP_SECONDS, signals.LAST_SECONDS = 0.1, 0.2

async def main():
    stop = signals.Stop(Output())
    with stop.listening():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        await asyncio.to_thread(time.sleep, 30)  # as a disk that is gone: no thread comes back from it

event_loop.run(main)
"""


def test_a_thread_that_never_comes_back_holds_up_no_end() -> None:
    """A stopped sync ends in time even where a ledger's or a file's disk does not answer any more."""
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", _HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 143
    assert "something did not end at all, and was left" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - began < 15


def test_ctrl_c_during_a_plan(troubled: Callable[..., Cli]) -> None:
    """A plan, which writes nothing, ends at once with 130 and no traceback."""
    cli = troubled(3)
    cli.write(
        "sitecustomize.py",
        "import secretsync_core.run.steps as engine, asyncio, signal\n"
        # Tests may run in the background of a shell, which has its programs ignore Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "async def plan(*_, **__):\n    print('planning', flush=True)\n    await asyncio.sleep(60)\n"
        "engine.plan = plan\n",
    )
    environ = cli.environ | {"PYTHONPATH": f"{cli.directory}:{cli.environ['PYTHONPATH']}"}
    process = subprocess.Popen(
        [*cli.command, "plan"],
        cwd=cli.directory,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "planning\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == ""


_IMPORTED = """
import os, signal, sys
module = sys.argv.pop()

class Interrupts:
    def find_spec(self, name, *_):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from secretsync_core.cli.entry import main
main()
"""


@pytest.mark.parametrize("module", ["secretsync_core.cli.main", "typer", "secretsync_core.schema.loader", "pydantic"])
def test_an_interrupt_while_a_command_starts_shows_no_traceback(started: Cli, module: str) -> None:
    """Ctrl-C in the middle of an import ends the process with 130, whatever it is that is imported."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, "validate", module],
        cwd=started.directory, env=started.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_status_tells_of_a_run_that_looks(started: Cli) -> None:
    """A run that holds its lease and has recorded nothing yet is under way, also where the job never ran before."""
    from secretsync_core.audit.keys import load_key
    from secretsync_core.audit.ledger import Ledger

    home = started.directory / "secretsync/.secretsync"
    seal = load_key(environ={}, directory=home, create=True).seal
    with Ledger.open(home / "ledger.db", seal_key=seal) as ledger:
        ledger.leases.acquire("example", "somebody", 60)
        told = started("status").out
        assert "a run is under way" in told
        assert "running" in told
        ledger.leases.release("example", "somebody")
    assert "a run is under way" not in started("status").out
