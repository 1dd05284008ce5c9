"""A careless Dagster, with a process for each step: nothing of what secrets and credentials hold is left anywhere.

No redaction, the usual compute logs, and the loggers of the libraries that hold requests at DEBUG, as people set them
while they look for something. Steps are real processes. What is searched: all of DAGSTER_HOME (event log, run storage,
IO manager, compute logs), the ledger, and what the worker prints.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.faulty_http import proxy_before
from support.http import Api

from secretsync_core.testing.canaries import Canary, canary, find_in

if TYPE_CHECKING:
    from conftest import Mount
    from support.aws import Region

    from secretsync_core.demo.openbao import OpenBaoServer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("programs"), pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "cli" / "plugin"
POLICY = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "scan"] }'
REFUSED = {"denied": 403, "down": 503, "conflict": 400, "html": 200}
"""How the proxy answers writes, by the plan item that meets it: with a body that repeats the value."""
ITEMS = (*REFUSED, "plain")
SETTINGS = """\
telemetry: {enabled: false}
python_logs:
  managed_python_loggers: [botocore, boto3, urllib3, hvac, asyncio, aiohttp]
  python_log_level: DEBUG
"""
# The code location as it is, and a sign of each step that its logs and its output are kept.
LOCATION = """\
import logging
from secretsync_core.run import steps
from secretsync_dagster.definitions import definitions

def told(real):
    async def step(*given, **named):
        logging.getLogger("botocore").debug("SIGN-IN-THE-LOG")
        print("SIGN-ON-STDOUT")
        return await real(*given, **named)
    return step

steps.expand, steps.transfer, steps.audit = map(told, (steps.expand, steps.transfer, steps.audit))
"""


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "secretsync.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _credential(label: str) -> Canary:
    return Canary(label, f"xx{secrets.token_hex(16)}xxxx")


class Careless:
    """Documents whose values and credentials are canaries, and a DAGSTER_HOME that keeps all it can."""

    def __init__(self, root: Path, source: OpenBaoServer, dest: OpenBaoServer, mounts: tuple[str, str]) -> None:
        self.root, self.home, self.config = root, root / "home", root / "secretsync"
        for path in (self.home, self.config, root / "buggy"):
            path.mkdir(parents=True)
        (self.home / "dagster.yaml").write_text(SETTINGS)
        (root / "careless.py").write_text(LOCATION)
        self.mounts = mounts
        self.canaries = [canary(item) for item in ITEMS]
        api = Api(source.address, source.root_token)
        for item, each in zip(ITEMS, self.canaries, strict=True):
            api.call("POST", f"{mounts[0]}/data/{item}/key", {"data": {"password": each.text}})
        self.environ: dict[str, str] = {}
        for name, server in (("READ_TOKEN", source), ("WRITE_TOKEN", dest)):
            token = _credential(name)
            with contextlib.closing(Api(server.address, server.root_token)) as root_api:
                root_api.call("POST", "sys/policies/acl/canary", {"policy": POLICY})
                root_api.call("POST", "auth/token/create", {"id": token.text, "policies": ["canary"]})
            self._keep(name, token)
        for name in ("AWS_SECRET", "AWS_SESSION"):
            self._keep(name, _credential(name))
        api.close()

    def _keep(self, name: str, credential: Canary) -> None:
        self.environ[name] = credential.text
        self.canaries.append(credential)

    def write(self, source: str, dest: str, region: Region) -> None:
        """Write the documents."""

        def vault(address: str, mount: str, token: str) -> dict[str, Any]:
            return {"vault": {"address": address, "mount": mount, "auth": {"token": {"env": token}}}}

        keys = {
            "id": {"value": "AKIATESTTESTTEST"},
            "secret": {"env": "AWS_SECRET"},
            "sessionToken": {"env": "AWS_SESSION"},
        }
        stores = {
            "main": vault(source, self.mounts[0], "READ_TOKEN"),
            "echoing": vault(dest, self.mounts[1], "WRITE_TOKEN"),
            "aws": {"awsSecretsManager": region.section(auth={"accessKey": keys})},
            "buggy": {"trouble": {"path": str(self.root / "buggy"), "fail": {"write plain/key": "quote"}}},
        }
        items = [{"name": item, "query": {"path": item}} for item in ITEMS]
        job = {"source": "main", "dest": ["echoing", "aws", "buggy"], "executor": "Multiprocess", "plan": items}
        documents = [_document("SecretStore", name, {"provider": provider}) for name, provider in stores.items()]
        documents.append(_document("SyncJob", "careless", job))
        (self.config / "all.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False))

    def run(self) -> tuple[int, str]:
        """Execute the job as its worker does; gives the exit code, and all that it printed."""
        environ = {name: text for name, text in os.environ.items() if not name.startswith(("DAGSTER_", "SECRETSYNC_"))}
        done = subprocess.run(
            [sys.executable, "-m", "dagster", "job", "execute", "-m", "careless", "-j", "careless"],
            cwd=self.root, capture_output=True, text=True, check=False,
            env=environ | self.environ | {
                "DAGSTER_HOME": str(self.home),
                "SECRETSYNC_CONFIG": str(self.config),
                "PYTHONPATH": os.pathsep.join([str(self.root), str(ROOT), str(PLUGIN)]),
            },
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def search(self, printed: str) -> None:
        """Look through everything that was left."""
        assert find_in(printed, self.canaries) == []
        assert find_in(self.home, self.canaries) == []
        assert find_in(self.config, self.canaries) == []

    def kept(self, text: str) -> bool:
        """Whether something is in Dagster's databases."""
        return any(text.encode() in path.read_bytes() for path in self.home.rglob("*.db*"))

    def printed_by_steps(self) -> str:
        """What was kept of the output of all steps."""
        files = [path for path in self.home.rglob("compute_logs/*") if path.is_file()]
        return "".join(path.read_text(errors="replace") for path in files)


@pytest.fixture
def careless(tmp_path: Path, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount) -> Careless:
    """Documents and servers."""
    return Careless(tmp_path / "place", openbao, openbao_dest, (mount(openbao), mount(openbao_dest)))


def test_nothing_is_left_of_steps_in_processes(
    careless: Careless, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, region: Region
) -> None:
    """Writes that are refused, stores that fail, retries, a defect that quotes a value, and answers full of values."""
    with proxy_before(openbao.address) as source, proxy_before(openbao_dest.address) as dest:
        for item, status in REFUSED.items():
            times = 8 if item == "down" else None  # all attempts of the first step, and some of its retry
            dest.answer(f"^(POST|PUT) .*/data/{item}/", status, b'{"errors":["refused: ', times=times, echo=True)
        careless.write(source.address, dest.address, region)
        code, printed = careless.run()
        assert code == 1
        careless.search(printed)
        assert dest.count("^(POST|PUT) .*/data/down/") > 6, "the step was tried again"
        copied = region.secrets.list_secrets()["SecretList"]
        assert {entry["Name"] for entry in copied} == {f"{item}/key" for item in ITEMS}
        # Garbage in place of an answer, with every value and credential in it.
        shown = " ".join(each.text for each in careless.canaries)
        source.answer(
            "^(GET|LIST|SCAN) .*/(data|metadata|detailed-metadata)/", 200, shown.encode(), times=20, echo=True
        )
        code, printed = careless.run()
        assert code == 1
        careless.search(printed)
    # There was something to look through, and each of the faults was met, in a process of its own.
    assert {item for item in REFUSED if not careless.kept(f"echoing: {item}/key")} == set()
    assert careless.kept("store buggy failed with an unexpected ValueError")
    assert careless.kept("STEP_UP_FOR_RETRY")
    assert careless.kept("Launching subprocess for")
    assert careless.kept("SIGN-IN-THE-LOG")
    assert careless.printed_by_steps().count("SIGN-ON-STDOUT") > len(ITEMS)
