"""A real kube-apiserver on loopback, with etcd behind it and nothing else: no controllers, no nodes.

It is started once in a process of tests, and ended with it.
"""

from __future__ import annotations

import atexit
import json
import secrets
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import urllib3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from secretsync_core.demo.openbao import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
from support.kube_build import programs

JSON = "application/json"
SECONDS = 120


class Answer:
    """What the server answered: status, headers and body."""

    def __init__(self, answered: urllib3.BaseHTTPResponse) -> None:
        self.status = answered.status
        self.headers = dict(answered.headers)
        self.body = answered.data

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class KubeServer:
    """See the module.

    Attributes:
        admin: a token of a member of ``system:masters``.
        address: its URL.
        ca: the file of the authority that its certificate is by.
    """

    def __init__(self) -> None:
        self.admin = secrets.token_hex(16)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._files = tempfile.TemporaryDirectory(prefix="secretsync-kube-")
        self._directory = Path(self._files.name)
        self._etcd = f"http://127.0.0.1:{free_port()}"
        port = free_port()
        self.address = f"https://127.0.0.1:{port}"
        self.ca = self._directory / "ca.pem"
        self._make_files()
        self._pool = urllib3.HTTPSConnectionPool("127.0.0.1", port, ca_certs=str(self.ca), maxsize=16, timeout=60)
        self._plain = urllib3.PoolManager(timeout=30)
        atexit.register(self.stop)
        self._start(port)

    def call(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, kind: str = JSON
    ) -> Answer:
        """Ask as the administrator, or with the headers given. ``body`` is JSON, or bytes as they are."""
        given = {"Authorization": f"Bearer {self.admin}"} if headers is None else headers
        if body is not None and not isinstance(body, bytes):
            body, given = json.dumps(body).encode(), {"Content-Type": kind, **given}
        return Answer(self._pool.urlopen(method, path, body, given, retries=False, redirect=False))

    def do(self, method: str, path: str, body: Any = None, *, kind: str = JSON) -> Any:
        """Ask as the administrator for what must succeed."""
        answer = self.call(method, path, body, kind=kind)
        assert answer.status < 300, (method, path, answer.body)
        return answer.json

    def account_token(self, namespace: str, name: str) -> str:
        """A token of a service account that is there, as a pod would get it."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return str(self.do("POST", path, body)["status"]["token"])

    def kubectl(self, namespace: str, *arguments: str, given: str = "") -> tuple[str, str]:
        """Run kubectl as the administrator, which must end well: what it prints, and what it warns of.

        ``namespace`` is that of objects which name none.
        """
        program = Path(sys.executable).with_name("kubectl")
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
            "clusters": [{"name": "c", "cluster": {"server": self.address, "certificate-authority": str(self.ca)}}],
            "users": [{"name": "u", "user": {"token": self.admin}}],
        }
        (self._directory / "kubeconfig").write_text(json.dumps(config))
        files = [f"--kubeconfig={self._directory / 'kubeconfig'}", f"--cache-dir={self._directory / 'kubectl'}"]
        done = subprocess.run([program, *files, *arguments], input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    def compact(self) -> None:
        """Let etcd forget everything but what is now."""
        # What was read last is kept, unless something was written since.
        told = self._etcd_call("put", {"key": "dGVzdHM=", "value": ""})
        self._etcd_call("compaction", {"revision": told["header"]["revision"], "physical": True})

    def stop(self) -> None:
        """End both processes."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        self._files.cleanup()

    def _etcd_call(self, what: str, body: Any) -> Any:
        answered = self._plain.request("POST", f"{self._etcd}/v3/kv/{what}", json=body)
        assert answered.status == 200, answered.data
        return answered.json()

    def _make_files(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        leaf = authority.issue_cert("127.0.0.1")
        (self._directory / "server.pem").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(self._directory / "server.key"))
        key = rsa.generate_private_key(65537, 2048)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        (self._directory / "accounts.key").write_bytes(private)
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self._directory / "accounts.pub").write_bytes(public)
        (self._directory / "tokens.csv").write_text(f'{self.admin},kubernetes-admin,1,"system:masters"\n')

    def _start(self, port: int) -> None:
        built, here = programs(), self._directory
        peer = f"http://127.0.0.1:{free_port()}"
        self._run(
            "etcd", built.etcd, f"--data-dir={here / 'etcd'}", "--unsafe-no-fsync", "--log-level=error",
            f"--listen-client-urls={self._etcd}", f"--advertise-client-urls={self._etcd}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        )  # fmt: skip
        self._run(
            "kube-apiserver", built.apiserver, f"--etcd-servers={self._etcd}", "--bind-address=127.0.0.1",
            f"--secure-port={port}", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
            f"--cert-dir={here / 'certificates'}", f"--tls-cert-file={here / 'server.pem'}",
            f"--tls-private-key-file={here / 'server.key'}", f"--token-auth-file={here / 'tokens.csv'}",
            "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={here / 'accounts.pub'}",
            f"--service-account-signing-key-file={here / 'accounts.key'}", "--service-cluster-ip-range=10.96.0.0/24",
            "--feature-gates=ListFromCacheSnapshot=false",  # or listings outlive what etcd forgets of them
        )  # fmt: skip
        # kube-system is made by the server itself, some moments after it is ready.
        end = time.monotonic() + SECONDS
        paths = ["/readyz", "/api/v1/namespaces/kube-system", "/api/v1/namespaces/default"]
        while paths:
            try:
                if self.call("GET", paths[0]).status == 200:
                    paths.pop(0)
                    continue
            except urllib3.exceptions.HTTPError:
                pass
            ended = [process.args for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > end:
                told = "".join((here / f"{name}.log").read_text()[-1500:] for name in ("etcd", "kube-apiserver"))
                self.stop()
                pytest.fail(f"the real kube-apiserver does not get ready: {told}")
            time.sleep(0.1)

    def _run(self, name: str, *command: str) -> None:
        with (self._directory / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(command, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )


@cache
def server() -> KubeServer:
    """The one of this process."""
    return KubeServer()
