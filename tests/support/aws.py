"""AWS for tests: two servers, what a test needs to look at them behind the store's back, and errors before them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

KEYS = {"id": {"value": "AKIATESTTESTTEST"}, "secret": {"value": "test-secret-key"}}
"""Credentials for documents; both servers take any."""

_numbers = itertools.count(1)


@cache
def _session() -> Session:
    """One for all tests: it reads the descriptions of the services from disk, which takes long."""
    from boto3.session import Session

    return Session("AKIAROOT", "root")


class _Server:
    """A process that prints its port, and ends with its standard input."""

    def __init__(self, script: str, *arguments: str) -> None:
        command = [sys.executable, "-P", str(Path(__file__).with_name(script)), *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self.address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def region(self) -> Region:
        """A region that nobody else uses, and that is empty therefore."""
        return Region(self.address, f"test-region-{next(_numbers)}")


class Moto(_Server):
    """A moto server (see ``moto_server``)."""

    def __init__(self) -> None:
        super().__init__("moto_server.py")


class Ministack(_Server):
    """A ministack server (see ``ministack_server``), with a folder for what it writes."""

    def __init__(self, folder: Path) -> None:
        super().__init__("ministack_server.py", str(folder))


@dataclass
class Region:
    """One region: what a SecretStore says to get there, and clients of its own to look behind it."""

    address: str
    name: str
    _clients: dict[str, Any] = field(default_factory=dict)

    def section(self, **more: Any) -> dict[str, Any]:
        """The provider's part of a document."""
        return {"region": self.name, "endpointUrl": self.address, "auth": {"accessKey": KEYS}, **more}

    def client(self, service: str) -> Any:
        """A boto3 client, as root."""
        if service not in self._clients:
            make: Any = _session().client
            self._clients[service] = make(service, region_name=self.name, endpoint_url=self.address)
        return self._clients[service]

    @property
    def secrets(self) -> SecretsManagerClient:
        """Secrets Manager."""
        client: SecretsManagerClient = self.client("secretsmanager")
        return client

    @property
    def parameters(self) -> SSMClient:
        """Parameter Store."""
        client: SSMClient = self.client("ssm")
        return client

    def manage(self, name: str, text: str) -> None:
        """Make a secret as RDS does."""
        wanted = {"region": self.name, "secret_id": name, "secret_string": text}
        request = urllib.request.Request(f"{self.address}/manage", json.dumps(wanted).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def counts(self) -> dict[str, int]:
        """How many requests the server has had for this region so far, by action, those of tests included."""
        with urllib.request.urlopen(f"{self.address}/counts", timeout=10) as answer:
            counted: dict[str, int] = json.load(answer)
        return {line.partition(" ")[2]: n for line, n in counted.items() if line.partition(" ")[0] == self.name}

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()


class Microburst:
    """microburst in front of a server: it answers with errors as AWS words them, for requests that rules pick.

    ``rules`` are microburst's own: ``{"operation": "PutSecretValue", "body": "SecretId == 'a'", "times": 1, "error":
    {"code": "ThrottlingException"}}``.
    """

    def __init__(self, upstream: str) -> None:
        from microburst.core.pipeline import Microburst as Pipeline

        self._pipeline = Pipeline(upstream)
        self._runner: web.AppRunner | None = None
        self.address = ""

    def rules(self, *rules: dict[str, Any]) -> None:
        """Go by these rules from now on, and by no others."""
        self._pipeline.engine.set_rules([{"service": "*", **rule} for rule in rules])

    def fired(self, operation: str | None = None) -> int:
        """How often a rule has struck."""
        return sum(operation in (None, each.operation) for each in self._pipeline.fired)

    @property
    def seen(self) -> int:
        """How many requests came in."""
        seen: int = self._pipeline.requests_seen
        return seen

    async def __aenter__(self) -> Self:
        from microburst.app import make_app

        self._runner = web.AppRunner(make_app(self._pipeline), access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert self._runner.addresses
        # By this name: for one with dots microburst reads the description of every service of AWS, to find it there.
        self.address = f"http://localhost:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
