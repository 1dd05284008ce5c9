"""A real OpenBao cluster on loopback: nodes that share one raft, each of which a test may kill, freeze and start again.

::

    with RaftCluster(tmp_path) as cluster:
        cluster.active().freeze()  # the others elect another one
        cluster.wait_active()
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from secretsync_core.demo.openbao import OpenBaoServer, free_port
from support.http import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

ACTIVE, STANDBYS = 200, (429, 473)

_PATIENCE = 120.0


class RaftNode:
    """One server of a cluster. Its address stays the same over restarts.

    Attributes:
        name: ``node-0``, and so on.
        address: its URL.
    """

    def __init__(self, name: str, directory: Path, seal: Path, leader: str = "") -> None:
        """Start it. ``leader``: a node whose cluster it joins within seconds; without one it is to be initialised."""
        self.name = name
        self._directory = directory
        (directory / "raft").mkdir(parents=True)
        self._frozen = False
        for _ in range(5):
            port = free_port()
            self.address = f"http://127.0.0.1:{port}"
            raft: dict[str, Any] = {
                "path": str(directory / "raft"),
                "node_id": name,
                "performance_multiplier": "1",  # elects within a second or two, and not ten
            }
            if leader:
                raft["retry_join"] = [{"leader_api_addr": leader}]
            config = {
                "storage": {"raft": raft},
                "listener": {"tcp": {"address": f"127.0.0.1:{port}", "tls_disable": True}},
                "seal": {"static": {"current_key_id": "one", "current_key": f"file://{seal}"}},
                "api_addr": self.address,
                "cluster_addr": f"https://127.0.0.1:{port + 1}",
            }
            (directory / "openbao.json").write_text(json.dumps(config))
            self._server = self._launch()
            if self._server.wait(lambda status: status != 0):  # sealed as yet
                break
        else:
            raise AssertionError(f"the node does not start: see {directory / 'openbao.log'}")

    def _launch(self) -> OpenBaoServer:
        return OpenBaoServer(["server", "-config=openbao.json"], directory=self._directory, address=self.address)

    @property
    def running(self) -> bool:
        """Whether its process is there and not frozen."""
        return self._server.running and not self._frozen

    def health(self) -> int:
        """The status of ``sys/health``: ACTIVE, one of STANDBYS, 503 sealed; 0 where it is not running."""
        return self._server.health() if self.running else 0

    def kill(self) -> None:
        """kill -9."""
        self._server.kill()
        self._frozen = False

    def start(self) -> None:
        """Start it again at the same address, and wait until it is the active node or a standby."""
        self._server = self._launch()
        assert self._server.wait(lambda status: status == ACTIVE or status in STANDBYS)

    def freeze(self) -> None:
        """Stop its process where it is: connections stay open and nothing answers, as behind a cut cable."""
        os.kill(self._server.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let it go on: a node that was frozen knows nothing of what happened meanwhile."""
        if self._frozen:
            os.kill(self._server.pid, signal.SIGCONT)
            self._frozen = False

    def stop(self) -> None:
        """Stop it for good."""
        self.thaw()
        self._server.stop()


class RaftCluster:
    """A cluster that is initialised, unsealed and whole; all its nodes vote. A context manager that stops it.

    Attributes:
        nodes: its nodes, running or not.
        root_token: a token that may do everything.
    """

    def __init__(self, directory: Path, nodes: int = 3) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        seal = directory / "seal.key"
        seal.write_bytes(os.urandom(32))
        self.nodes: list[RaftNode] = []
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            first = RaftNode("node-0", directory / "node-0", seal)
            self.nodes.append(first)
            answer = Api(first.address).call("POST", "sys/init", {"recovery_shares": 0})
            self.root_token: str = answer["root_token"]
            self.wait_active()
            # A node that is well gets its vote after a second, and not after ten.
            api, votes = self.api(), "sys/storage/raft/autopilot/configuration"
            self._until(lambda: api.ask("POST", votes, {"server_stabilization_time": "1s"}).status < 300, "it serves")
            api.close()
            for number in range(1, nodes):
                name = f"node-{number}"
                self.nodes.append(RaftNode(name, directory / name, seal, first.address))
            self._until(lambda: len(self.standbys()) == nodes - 1, "all nodes are unsealed")
            self._until(lambda: self._voters() == nodes, "all nodes vote")
            undo.pop_all()

    def active(self) -> RaftNode:
        """The node that leads now. There must be one."""
        found = [node for node in self.nodes if node.health() == ACTIVE]
        assert len(found) == 1, [(node.name, node.health()) for node in self.nodes]
        return found[0]

    def standbys(self) -> list[RaftNode]:
        """The nodes that run and do not lead."""
        return [node for node in self.nodes if node.health() in STANDBYS]

    def wait_active(self) -> RaftNode:
        """Wait until just one node leads: after one was killed the others elect one, and only while most are there.

        A leader that was frozen takes itself for one still, for a moment.
        """
        found: list[RaftNode] = []

        def one_leads() -> bool:
            found[:] = [node for node in self.nodes if node.health() == ACTIVE]
            return len(found) == 1

        self._until(one_leads, "just one node leads")
        return found[0]

    def api(self, node: RaftNode | None = None) -> Api:
        """A connection with the root token: to the active node, or to this one. Standbys forward writes."""
        return Api((node or self.active()).address, self.root_token)

    def mount(self, name: str = "secret", kv_version: int = 2) -> str:
        """Mount a KV engine, and wait until it serves; gives its name."""
        api = self.api()
        api.call("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": str(kv_version)}})
        if kv_version == 2:
            # A new version 2 mount answers 400 until it has upgraded itself.
            self._until(lambda: api.ask("GET", f"{name}/config").status == 200, f"the mount {name} serves")
        api.close()
        return name

    def snapshot(self) -> bytes:
        """All that it holds now."""
        return self._raft("GET")

    def restore(self, snapshot: bytes) -> None:
        """Put it back to what a snapshot holds, as of before; it elects anew, and is usable when this returns."""
        self._raft("POST", snapshot)
        api = self.api(self.wait_active())
        self._until(lambda: api.ask("GET", "sys/mounts").status == 200, "it serves again")
        api.close()

    def _raft(self, method: str, body: bytes | None = None) -> bytes:
        parts = urlsplit(self.active().address)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_PATIENCE)
        connection.request(method, "/v1/sys/storage/raft/snapshot", body, {"X-Vault-Token": self.root_token})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        assert answer.status in (200, 204), answer.status
        return content

    def stop(self) -> None:
        """Stop every node."""
        for node in self.nodes:
            node.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _voters(self) -> int:
        answer = self.api().ask("GET", "sys/storage/raft/configuration")
        servers: Sequence[dict[str, Any]] = answer.json["data"]["config"]["servers"] if answer.status == 200 else ()
        return sum(bool(server["voter"]) for server in servers)

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"not within {_PATIENCE:.0f} s: {what}"
            time.sleep(0.05)
