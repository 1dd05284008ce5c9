"""The demo, played from beginning to end between two real servers."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Cli

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("programs"), pytest.mark.timeout(300)]


def test_the_demo_plays_to_its_end(cli: Cli) -> None:
    """Every step does what it shows, no token is shown, and nothing is left behind."""
    ran = cli("demo", "--once", "--secrets", "60", TMPDIR=str(cli.directory))
    assert ran.code == 0, ran
    for command in ("validate", "plan", "sync", "check", "audit log", "audit verify", "status"):
        assert f"$ secretsync {command}" in ran.out
    assert "All steps passed" in ran.out
    assert "changed outside SecretSync" in ran.out
    assert "1 deleted" in ran.out
    assert "vault_to_k8s_vault: SUCCESS" in ran.out
    assert "databases_for_reports: FAILURE" in ran.out
    assert "s.ey" not in ran.out
    assert "hvs." not in ran.out
    assert not list(cli.directory.glob("secretsync-demo-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.nightly)])
def test_the_demo_waits_and_ends_its_servers(cli: Cli, number: signal.Signals) -> None:
    """Without --once the servers stay until Ctrl-C, and are gone after it."""
    process = subprocess.Popen(
        [*cli.command, "demo", "--secrets", "20"],
        cwd=cli.directory,
        env=cli.environ | {"TMPDIR": str(cli.directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if "Press Ctrl-C" in line:
            break
    address = next(line for line in told if "Two OpenBao servers" in line).split("main at ")[1].split(",")[0]
    time.sleep(0.2)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 0
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/v1/sys/health", timeout=2)
