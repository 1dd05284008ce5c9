"""What is in the image, without an engine to build it: the same script fills a directory, and programs run from it
under what a hardened container gives them, as far as this machine lets us."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.dockerfile import instructions, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
USER = "10001"

# A read-only root with one scratch file system on it, as a user who has no rights and can get none.
_CONFINE = """
mount -t tmpfs -o mode=1777 tmpfs "$1"
mount -o remount,bind,ro /
cd "$1"
shift
exec setpriv --reuid=10001 --regid=10001 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""


class Image:
    """The image's virtual environment in ``directory``, and a scratch directory that is its /tmp."""

    def __init__(self, directory: Path) -> None:
        """Build it, by the script that the Dockerfile runs."""
        self.prefix = directory / "opt"
        self.scratch = directory / "scratch"
        self.scratch.mkdir()
        subprocess.run(["bash", "deploy/docker/build.sh", self.prefix], cwd=ROOT, check=True)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the Dockerfile sets, with the places that this image has here."""
        found = settings(instructions(DOCKERFILE), "ENV", stage=1)
        found["PATH"] = found["PATH"].replace("/opt/secretsync", str(self.prefix))
        found |= {"HOME": str(self.scratch), "TMPDIR": str(self.scratch), "DAGSTER_HOME": str(self.scratch)}
        return found | dict(extra or {})

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; gives its exit code and output."""
        return subprocess.run(
            self._confined(command),
            env=self.environment(env),
            cwd=self.scratch,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def start(self, *command: str, env: Mapping[str, str] | None = None, log: Path) -> subprocess.Popen[bytes]:
        """Start a program that goes on; ``log`` gets what it prints."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self._confined(command),
                env=self.environment(env),
                cwd=self.scratch,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _confined(self, command: Sequence[str]) -> list[str]:
        program = str(self.prefix / "bin" / command[0]) if (self.prefix / "bin" / command[0]).exists() else command[0]
        if not can_confine():
            return [program, *command[1:]]
        wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _CONFINE, "sh"]
        return [*wrapper, str(self.scratch), program, *command[1:]]


@functools.cache
def can_confine() -> bool:
    """Whether this machine lets us make a mount namespace: it takes root and Linux."""
    if os.name != "posix" or os.geteuid() != 0:
        return False
    try:
        tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    except OSError:
        return False
    return tried.returncode == 0
