"""What a sync asks of AWS: requests, as the service counts them, for a first copy, for nothing changed, for a change.

moto stands in for AWS (see ``tests/support/moto_server.py``), so the counts are right and the seconds say nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.bench import say
from benchmarks.child import measure
from benchmarks.ours import COMMAND
from benchmarks.result import Row, count_at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME = "aws"
_FULL, _QUICK = 5000, 500
_SPARE = 5  # requests a side that are no pages
_SERVER = Path(__file__).parents[1] / "tests" / "support" / "moto_server.py"
_WRITES = frozenset(
    {"CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "RestoreSecret", "DeleteSecret", "TagResource"}
    | {"PutParameter", "DeleteParameter", "AddTagsToResource"}
)
_KEYS = {"AWS_ACCESS_KEY_ID": "AKIABENCH", "AWS_SECRET_ACCESS_KEY": "bench"}


class Kind(NamedTuple):
    """One of the two services: how documents call it, and how many secrets a page of its listing holds."""

    label: str
    provider: str
    service: str
    page: int


_KINDS = (
    Kind("Secrets Manager", "awsSecretsManager", "secretsmanager", 100),
    Kind("Parameter Store", "awsParameterStore", "ssm", 50),
)


def run(bench: Bench) -> list[Row]:
    """Both services, each from one region to another, so that the server tells the sides apart."""
    count = _QUICK if bench.quick else _FULL
    with subprocess.Popen(
        [sys.executable, "-P", str(_SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        try:
            return [row for kind in _KINDS for row in _measure(kind, address, bench, count)]
        finally:
            server.kill()


def _measure(kind: Kind, address: str, bench: Bench, count: int) -> list[Row]:
    work = bench.directory(kind.service)
    source, dest = f"{kind.service}-source", f"{kind.service}-dest"
    client = _client(kind, address, source)
    say(f"{kind.label}: seeding {count:,} secrets")
    for number in range(count):
        _put(kind, client, f"app/folder-{number % 50:02}/secret-{number:05}", f"value {number}")
    config = work / "config"
    config.mkdir()
    (config / "sync.yaml").write_text(_documents(kind, address, source, dest))

    def asked() -> tuple[Counter[str], Counter[str]]:
        """Sync once; what each side was asked."""
        before = _counts(address, source), _counts(address, dest)
        environ = {**_KEYS, "AWS_EC2_METADATA_DISABLED": "true"}
        usage = measure([COMMAND, "sync", "--config", str(config), "--quiet"], work=work / "run", environ=environ)
        after = _counts(address, source), _counts(address, dest)
        found = after[0] - before[0], after[1] - before[1]
        say(f"{kind.label}: {usage.seconds:.1f} s; source {dict(found[0])}, destination {dict(found[1])}")
        return found

    first = asked()
    unchanged = asked()
    changed = count // 100
    for number in range(changed):
        _put(kind, client, f"app/folder-{number % 50:02}/secret-{number:05}", "changed", new=False)
    some = asked()
    what = f"{kind.label}, {count:,} secrets"
    pages = -(-count // kind.page) + _SPARE
    each = 2 if kind.service == "secretsmanager" else 1
    return [
        _informs(f"{what}, first copy: requests to the source", first[0].total()),
        _informs(f"{what}, first copy: requests to the destination", first[1].total()),
        count_at_most(
            NAME, f"{what}, nothing changed: requests a side", max(side.total() for side in unchanged), pages
        ),
        count_at_most(NAME, f"{what}, nothing changed: writes", _writes(unchanged[1]), 0),
        count_at_most(NAME, f"{what}, {changed} changed: writing requests", _writes(some[1]), each * changed),
        _informs(f"{what}, {changed} changed: requests to both sides", some[0].total() + some[1].total()),
    ]


def _informs(what: str, count: int) -> Row:
    return Row(NAME, what, f"{count:,}", "", "", "", None)


def _writes(counts: Counter[str]) -> int:
    return sum(number for action, number in counts.items() if action in _WRITES)


def _counts(address: str, region: str) -> Counter[str]:
    """What the server has counted for one region."""
    with urllib.request.urlopen(f"{address}/counts", timeout=60) as answer:
        counted = json.load(answer)
    return Counter({line.partition(" ")[2]: n for line, n in counted.items() if line.partition(" ")[0] == region})


def _client(kind: Kind, address: str, region: str) -> Any:
    from boto3.session import Session

    make: Any = Session("AKIAROOT", "root", region_name=region).client
    return make(kind.service, endpoint_url=address)


def _put(kind: Kind, client: Any, key: str, value: str, *, new: bool = True) -> None:
    if kind.service == "ssm":
        client.put_parameter(Name=f"/{key}", Value=value, Type="SecureString", Overwrite=not new)
    elif new:
        client.create_secret(Name=key, SecretString=value)
    else:
        client.put_secret_value(SecretId=key, SecretString=value)


def _documents(kind: Kind, address: str, source: str, dest: str) -> str:
    stores = "".join(
        "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\n"
        f"metadata: {{name: {name}}}\n"
        f"spec: {{provider: {{{kind.provider}: {{region: {region}, endpointUrl: '{address}'}}}}}}\n---\n"
        for name, region in (("source", source), ("dest", dest))
    )
    return (
        f"{stores}apiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {{name: everything}}\n"
        "spec:\n  source: source\n  dest: dest\n  plan:\n    - {name: all, query: {recursive: true}}\n"
    )
