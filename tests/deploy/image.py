"""The image, without an engine to build and run it: the same script fills a directory, and programs run from it in
what a hardened container is made of, a mount namespace with a root of its own."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.dockerfile import instructions, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
USER = 10001

# A root of its own over the machine's, read-only once the mounts are in place (FROM=TO), and on it a user
# who has no rights and can get none.
_CONFINE = """
box=$1 prefix=$2 path_inside=$PATH
shift 2
PATH=$PATH:/usr/sbin:/sbin
mount -t tmpfs tmpfs "$box"
mkdir "$box/upper" "$box/work" "$box/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$box/upper,workdir=$box/work" "$box/root"
mount --rbind /proc "$box/root/proc"
mount --rbind /dev "$box/root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$box/root/tmp"
mount --rbind "$prefix" "$box/root$prefix"
# The interpreter may be in somebody's home; in the image it is not.
path=$(readlink -f "$prefix/bin/python")
while path=$(dirname "$path"); [ "$path" != / ]; do chmod a+x "$box/root$path"; done
mkdir -p "$box/root/opt/dagster/dagster_home" "$box/root/etc/secretsync"
echo "secretsync:x:10001:10001::/tmp:/usr/sbin/nologin" >>"$box/root/etc/passwd"
while [ "$1" != --hosts ]; do
  to=$box/root${1#*=}
  mkdir -p "$to"
  mount --bind "${1%%=*}" "$to"
  shift
done
shift
while [ "$1" != -- ]; do
  echo "${1#*=} ${1%%=*}" >>"$box/root/etc/hosts"
  shift
done
shift
mount -o remount,ro "$box/root"
exec chroot "$box/root" setpriv --reuid=10001 --regid=10001 --clear-groups --no-new-privs --inh-caps=-all \\
  --bounding-set=-all env "PATH=$path_inside" sh -euc 'cd /tmp; exec "$@"' sh "$@"
"""


class Image:
    """The image's content, below ``directory``."""

    def __init__(self, directory: Path) -> None:
        """Build it, by the script that the Dockerfile runs. ``directory`` must not be in /tmp, which is another one
        for the programs of the image."""
        self.prefix = directory / "opt"
        self._box = directory / "box"
        self._box.mkdir()
        # Linked from uv's cache rather than copied, which on a slow disk takes most of the time.
        environ = {**os.environ, "UV_LINK_MODE": "hardlink", "PYTHON": sys.executable}
        subprocess.run(["bash", "deploy/docker/build.sh", self.prefix], cwd=ROOT, env=environ, check=True)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the Dockerfile sets, and ``extra``."""
        found = settings(instructions(DOCKERFILE), "ENV", stage=1)
        found["PATH"] = found["PATH"].replace("/opt/secretsync", str(self.prefix))
        return found | dict(extra or {})

    def run(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        mounts: Mapping[str, Path] | None = None,
        hosts: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; gives its exit code and output.

        Args:
            command: a program, and its arguments.
            env: variables beside the image's own.
            mounts: directories, by where they go.
            hosts: addresses of this machine, by the names that they have in there.
        """
        return subprocess.run(
            self._confined(command, mounts or {}, hosts or {}),
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def start(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        mounts: Mapping[str, Path] | None = None,
        hosts: Mapping[str, str] | None = None,
        log: Path,
    ) -> subprocess.Popen[bytes]:
        """Start a program that goes on, as the leader of a session; ``log`` gets what it prints."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self._confined(command, mounts or {}, hosts or {}),
                env=self.environment(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _confined(self, command: Sequence[str], mounts: Mapping[str, Path], hosts: Mapping[str, str]) -> list[str]:
        wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _CONFINE, "sh"]
        places = [f"{source}={target}" for target, source in mounts.items()]
        names = [f"{name}={address}" for name, address in hosts.items()]
        return [*wrapper, str(self._box), str(self.prefix), *places, "--hosts", *names, "--", *command]


@functools.cache
def can_confine() -> bool:
    """Whether this machine lets us make such a namespace: it takes Linux, and root."""
    if os.name != "posix" or os.geteuid() != 0:
        return False
    script = "mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/r && mount -t overlay overlay -o "
    script += "lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
    try:
        tried = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script], capture_output=True, check=False
        )
    except OSError:
        return False
    return tried.returncode == 0
