"""A version that shows a part of the value is refused, and goes neither into the ledger nor into anything shown."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.altered import REMOTE, altered, with_value
from support.slow import one_in

from secretsync_core.secret import SecretValue
from secretsync_core.stores.echo import is_echo

if TYPE_CHECKING:
    from pathlib import Path

    from run.world import World

TEXT = "canary-7f3a-canary-7f3a-canary-7f3a"
UUID = str(uuid.UUID(int=0x7F3A7F3A7F3A7F3A7F3A7F3A7F3A7F3A))
NUMBER = "48151623"


@pytest.mark.parametrize(
    ("version", "value"),
    [
        (TEXT, {"password": TEXT}),
        (f"1@{TEXT}", {"password": TEXT}),
        (f"{NUMBER}@2026-01-01T00:00:00Z", {"pin": NUMBER}),
        (f"{NUMBER}@2026-01-01T00:00:00Z", {"pin": int(NUMBER)}),
        (f"1@{UUID}", {"deep": {"list": ["x", {"token": UUID}]}}),
        ("1@Y2FuYXJ5LTdmM2E", {"password": "canary-7f3a"}),  # base64
        ("1@canary", {"password": "canary-7f3a"}),
        (TEXT, TEXT.encode()),
        (f"7@{UUID}", f"{UUID}\n".encode()),
        (f"1@of-{UUID}", json.dumps({"token": UUID}).encode()),
        (f"1@{UUID}", b'{"a":' + b"[" * 1000 + f'"{UUID}"'.encode() + b"]" * 1000 + b"}"),
        ("00ff00ff00ff", {"file": b"00ff00ff00ff"}),
        (f"1@{TEXT.encode().hex()}", {"password": TEXT}),
    ],
)
def test_what_shows_the_value(version: str, value: Any) -> None:
    """The value or a field of it, as it is, within more, a piece of it, or in base64; of blobs too."""
    assert is_echo(version, SecretValue(value))


@pytest.mark.parametrize(
    ("version", "value"),
    [
        ("3@2026-01-01T00:00:00Z", {"replicas": "3", "port": 3}),
        ("3@2026-01-01T00:00:00Z", {"rotated": "2026-01-01T00:00:00Z"}),
        ("2026-01-01T00:00:00Z@1767225600000000000.7.42", {"rotated": "2026-01-01T00:00:00Z", "size": 42}),
        (f"812345@{UUID}", {"serial": "998123459", "empty": "", "none": None, "true": True}),
        (f"812345@{UUID}", b"{not json"),
        ("2026-01-01T00:00:00Z@1767225600123456789.421337.42", {"rotated_at": 1767225600, "pin": "767225"}),
        ("terraform-20231122101112000000000001", {"username": "terraform", "managed_by": "terraform"}),
        ("projects/payments-prod/secrets/db/versions/5", {"username": "payments"}),
    ],
)
def test_what_only_looks_like_it(version: str, value: Any) -> None:
    """Small numbers and times are in many secrets, and digits in many texts."""
    assert not is_echo(version, SecretValue(value))


WRITTEN: dict[str, list[tuple[str, tuple[str | int, ...]]]] = {
    "vault-v2": [("^POST .*/data/k4", ("data", name)) for name in ("version", "created_time")],
    "kubernetes": [("^PUT .*/secrets/k4", ("metadata", name)) for name in ("resourceVersion", "uid")],
    "secrets-manager": [("secretsmanager.PutSecretValue", ("VersionId",))],
    "parameter-store": [("AmazonSSM.PutParameter", ("Version",))],
    "http": [],  # in a header, by which the next write is made
}
LISTED: dict[str, list[tuple[str, tuple[str | int, ...]]]] = {
    "vault-v2": [
        ("^SCAN .*detailed-metadata", ("data", "key_info", "k4", "versions", "1", "created_time")),
        ("^GET .*/metadata/k4", ("data", "versions", "1", "created_time")),
    ],
    "kubernetes": [
        ("^GET .*/secrets/k4", ("metadata", "resourceVersion")),
        ("^GET .*/secrets.limit", ("items", 3, "metadata", "uid")),
    ],
    "secrets-manager": [("secretsmanager.ListSecrets", ("SecretList", 3, "SecretVersionsToStages"))],
    "parameter-store": [("AmazonSSM.DescribeParameters", ("Parameters", 3, "Version"))],
    "http": [(r"^GET .*/secrets(\?|$)", ("secrets", 3, "etag")), ("^GET .*/secrets/k4", ("etag",))],
}


@pytest.mark.parametrize("value", [TEXT, UUID, NUMBER])
@pytest.mark.parametrize("peer", one_in(3, WRITTEN))
async def test_a_destination_that_answers_with_the_value(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peer: str, value: str
) -> None:
    """As the version of what was written, or of what it lists: no record has it, and the next run is
    well."""
    assert peer in REMOTE
    async with altered(request, monkeypatch, tmp_path, peer, role="dst") as it:
        await it.start()
        await it.put("k4", value)
        for match, path in (*LISTED[peer], *WRITTEN[peer]):
            said: Any = int(value) if value == NUMBER and path[-1] in ("version", "Version") else value
            said = {value: ["AWSCURRENT"]} if path[-1] == "SecretVersionsToStages" else said
            it.relay.alter(match, partial(_with_value, path=path, value=said))
            report = await it.world.sync()
            assert value not in _kept(it.world)
            if value == TEXT or (match, path) in WRITTEN[peer]:  # of a number that is listed nobody knows, at first
                assert value not in str(report)
            it.relay.heal()
        report = await it.world.sync()
        assert report.ok
        assert value not in f"{report} {_kept(it.world)}"
        assert (await it.contents())["k4"] == value


def _kept(world: World) -> str:
    """All that runs have left in the ledger: records, and what it knows."""
    return f"{world.records()} {world.state()}"


def _with_value(body: bytes, path: tuple[str | int, ...], value: object) -> bytes:
    """The answer with the value at ``path``, where it has such a place."""
    try:
        return with_value(body, path, value)
    except (LookupError, TypeError, ValueError):
        return body
