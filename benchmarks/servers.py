"""Two real OpenBao servers, mounts on them, tokens, and the count of the requests that they served."""

from __future__ import annotations

import itertools
import json
import re
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import kv, secret_data
from secretsync_core.demo.openbao import OpenBaoServer, start_openbao

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# What a sync needs on OpenBao.
_WITH_SCAN = """
path "+/data/*" { capabilities = ["create", "read", "update", "patch", "delete"] }
path "+/metadata/*" { capabilities = ["read", "list", "scan", "update", "delete"] }
path "+/detailed-metadata/*" { capabilities = ["list", "scan"] }
"""
# What the same policy can be on HashiCorp Vault, which has neither the capability nor the path.
_WITHOUT_SCAN = """
path "+/data/*" { capabilities = ["create", "read", "update", "patch", "delete"] }
path "+/metadata/*" { capabilities = ["read", "list", "update", "delete"] }
"""
_HANDLED = re.compile(r"vault_core_handle(?:_login)?_request_count (\d+)")
_ROUTED = re.compile(r"vault_route_([a-z]+)_(\w+)__count (\d+)")  # by verb and mount
_WRITES = frozenset({"create", "update", "patch", "delete"})


class Served(NamedTuple):
    """How many requests a server has served: all of them, and those that wrote into one mount."""

    requests: int
    writes: int

    def since(self, before: Served) -> Served:
        """What came since."""
        return Served(self.requests - before.requests, self.writes - before.writes)

    def plus(self, other: Served) -> Served:
        """Both servers together."""
        return Served(self.requests + other.requests, self.writes + other.writes)


class Mount(NamedTuple):
    """A KV version 2 mount and the tokens to use it with."""

    server: Server
    name: str

    def kv(self) -> kv.Kv:
        """Connections with the rights of the sync."""
        return kv.Kv(self.server.address, self.name, self.server.token)

    def seed(self, secrets: Iterable[tuple[str, dict[str, str]]]) -> None:
        """Write secrets into it, quickly."""
        kv.run(self._seed(secrets))

    async def _seed(self, secrets: Iterable[tuple[str, dict[str, str]]]) -> None:
        async with self.kv() as client:
            await kv.for_each(secrets, lambda pair: client.put(*pair))

    def served(self) -> Served:
        """What the server has counted until now. Costs the measured run nothing: OpenBao always counts."""
        return self.server.served(self.name)

    def drop(self) -> None:
        """Unmount it, so that the server has its memory back."""
        self.server.admin("DELETE", f"sys/mounts/{self.name}")


class Server:
    """One OpenBao server in dev mode.

    Attributes:
        address: its URL.
        token: may do what a sync needs.
        token_without_scan: the same as HashiCorp Vault would have it.
    """

    _numbers = itertools.count(1)

    def __init__(self, directory: Path) -> None:
        """Start it; ``directory`` takes its log."""
        self._process: OpenBaoServer = start_openbao(directory)
        self.address = self._process.address
        self.version = str(self.admin("GET", "sys/seal-status")["version"])
        self.token = self._new_token("with-scan", _WITH_SCAN)
        self.token_without_scan = self._new_token("without-scan", _WITHOUT_SCAN)

    def stop(self) -> None:
        """End the process."""
        self._process.stop()

    def admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask with the root token."""
        text = self._admin(method, path, body)
        answer: dict[str, Any] = json.loads(text) if text else {}
        return answer

    def mount(self) -> Mount:
        """A fresh, empty KV version 2 mount."""
        name = f"bench{next(self._numbers)}"
        self.admin("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}})
        deadline = time.monotonic() + 10
        while True:  # it answers 400 while it upgrades itself from version 1
            try:
                self.admin("GET", f"{name}/config")
                return Mount(self, name)
            except urllib.error.HTTPError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def served(self, mount: str) -> Served:
        """Read the server's own counters; asking for them is not counted."""
        requests = writes = 0
        for line in self._admin("GET", "sys/metrics?format=prometheus").splitlines():
            if match := _HANDLED.match(line):
                requests += int(match[1])
            elif (match := _ROUTED.match(line)) and match[1] in _WRITES and match[2] == mount:
                writes += int(match[3])
        return Served(requests, writes)

    def _new_token(self, policy: str, rules: str) -> str:
        self.admin("PUT", f"sys/policies/acl/{policy}", {"policy": rules})
        wanted = {"policies": [policy], "no_parent": True, "ttl": "24h"}
        return str(self.admin("POST", "auth/token/create", wanted)["auth"]["client_token"])

    def _admin(self, method: str, path: str, body: object = None) -> str:
        request = urllib.request.Request(
            f"{self.address}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": self._process.root_token},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            text: str = answer.read().decode()
            return text


class Servers(NamedTuple):
    """A source and a destination."""

    source: Server
    dest: Server

    @classmethod
    def start(cls, directory: Path) -> Servers:
        """Start both."""
        return cls(Server(directory / "source"), Server(directory / "dest"))

    def stop(self) -> None:
        """Stop both."""
        self.source.stop()
        self.dest.stop()


def check_copy(source: Mount, dest: Mount, count: int) -> None:
    """Raise AssertionError where ``dest`` is not a copy: all keys, and the values of every hundredth."""
    kv.run(_check_copy(source, dest, count))


async def _check_copy(source: Mount, dest: Mount, count: int) -> None:
    async with source.kv() as first, dest.kv() as second:
        wanted, found = set(await first.keys()), set(await second.keys())
        if wanted != found or len(found) != count:
            raise AssertionError(f"{count} secrets to copy: {len(wanted - found)} are missing, {len(found)} are there")
        for number in range(0, count, 100):
            name = secret_data.key(number)
            if await first.get(name) != await second.get(name):
                raise AssertionError(f"{name} differs after the copy")
