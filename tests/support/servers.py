"""OpenBao servers beyond dev mode: with TLS, and with storage that outlives a kill."""

from __future__ import annotations

import json
import os
import ssl
from typing import TYPE_CHECKING, Any

from secretsync_core.demo.openbao import OpenBaoServer, free_port
from support.http import Api

if TYPE_CHECKING:
    from pathlib import Path

READY, UNINITIALISED, SEALED = 200, 501, 503


class ConfiguredServer:
    """A server with a configuration file, unsealed by a static key, so that it is usable again after a kill.

    Attributes:
        address, root_token: as of an OpenBaoServer; they stay the same over restarts.
    """

    def __init__(self, directory: Path, *, persistent: bool = False, tls: TlsFiles | None = None) -> None:
        """``persistent``: raft storage instead of memory. ``tls``: serve HTTPS with these files."""
        self._directory = directory
        self._tls = tls.context() if tls else None
        directory.mkdir(parents=True, exist_ok=True)
        key = directory / "seal.key"
        key.write_bytes(os.urandom(32))
        storage: dict[str, Any] = {"inmem": {}}
        if persistent:
            (directory / "raft").mkdir()
            storage = {"raft": {"path": str(directory / "raft"), "node_id": "one", "performance_multiplier": "1"}}
        for _ in range(5):
            port = free_port()
            self.address = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            listener: dict[str, Any] = {"address": f"127.0.0.1:{port}", "tls_disable": tls is None}
            if tls:
                listener |= {
                    "tls_cert_file": tls.cert_file,
                    "tls_key_file": tls.key_file,
                    "tls_client_ca_file": tls.ca_file,
                    "tls_require_and_verify_client_cert": tls.require_client,
                }
            config = {
                "storage": storage,
                "listener": {"tcp": listener},
                "seal": {"static": {"current_key_id": "one", "current_key": f"file://{key}"}},
                "api_addr": self.address,
                "cluster_addr": f"http://127.0.0.1:{port + 1}",
            }
            (directory / "openbao.json").write_text(json.dumps(config))
            self._server = self._launch()
            if self._server.wait(lambda status: status == UNINITIALISED):
                break
        else:
            raise AssertionError(f"the server does not start: see {directory / 'openbao.log'}")
        root = Api(self.address, tls=self._tls).call("POST", "sys/init", {"recovery_shares": 0})
        self.root_token: str = root["root_token"]
        self._server.wait()

    def _launch(self) -> OpenBaoServer:
        return OpenBaoServer(
            ["server", "-config=openbao.json"], directory=self._directory, address=self.address, tls=self._tls
        )

    @property
    def pid(self) -> int:
        """The process id; another one after a restart."""
        return self._server.pid

    def api(self) -> Api:
        """A connection with the root token."""
        return Api(self.address, self.root_token, tls=self._tls)

    def kill(self) -> None:
        """kill -9."""
        self._server.kill()

    def start(self) -> None:
        """Start it again at the same address, and wait until it is usable."""
        self._server = self._launch()
        assert self._server.wait()

    def seal(self) -> None:
        """Seal it: it answers 503 until it is restarted."""
        self.api().call("POST", "sys/seal")
        assert self._server.wait(lambda status: status == SEALED)  # on its way there it answers 500

    def stop(self) -> None:
        """Stop it for good."""
        self._server.stop()


class TlsFiles:
    """The PEM files of a TLS server, and whether it insists on client certificates."""

    def __init__(
        self,
        ca_file: str,
        cert_file: str,
        key_file: str,
        *,
        client: tuple[str, str] | None = None,
        require_client: bool = False,
    ) -> None:
        """``client``: the certificate and key files by which the test's own calls identify themselves."""
        self.ca_file = ca_file
        self.cert_file = cert_file
        self.key_file = key_file
        self.client = client
        self.require_client = require_client

    def context(self) -> ssl.SSLContext:
        """A client's context that trusts the server."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.client:
            context.load_cert_chain(*self.client)
        return context
