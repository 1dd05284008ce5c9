"""Mounts, namespaces, tokens and certificates that are wrong, and servers that are not there."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from secretsync_core.model.report import Result
from survival.world import exit_code

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeToken

    from secretsync_core.demo.openbao import OpenBaoServer
    from survival.watcher import Watcher
    from survival.world import World

DELETES = {"deletionPolicy": "Delete", "maxDelete": "100%"}
ALL = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "scan"] }'

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "mount": ({"mount": "not-there"}, "not-there"),
    "namespace": ({"namespace": "not-there"}, "not-there"),
    "pinned mount": ({"mount": "not-there", "kvVersion": 2}, "not-there"),
    "port": ({"address": "http://127.0.0.1:1"}, "cannot be reached"),
    "name": ({"address": "http://not-there.invalid"}, "cannot be reached"),
    "scheme": ({"address": "https://{}"}, "TLS"),
    "token": ({"auth": {"token": {"env": "WRONG_TOKEN"}}}, "token"),
    "unset token": ({"auth": {"token": {"env": "UNSET"}}}, "UNSET"),
    "approle": (
        {"auth": {"appRole": {"roleId": {"env": "WRONG_TOKEN"}, "secretId": {"env": "WRONG_TOKEN"}}}},
        "refuses to log us in",
    ),
}


@pytest.mark.parametrize("side", ["source", "dest"])
@pytest.mark.parametrize("wrong", WRONG)
async def test_wrong_document(world: World, side: str, wrong: str) -> None:
    """What is wrong with a store is said, soon, by the exit code too; nothing is written and nothing deleted."""
    keys = world.source.fill(5)
    world.spec |= DELETES
    await world.sync()
    world.source.forget(keys[0])
    world.source.put(keys[1], {"password": "new"})
    world.environ["WRONG_TOKEN"] = "s.wrong"
    change, said = WRONG[wrong]
    section = (world.source if side == "source" else world.dest).section
    host = section["address"].partition("//")[2]
    section |= {name: value.format(host) if isinstance(value, str) else value for name, value in change.items()}
    report = await world.sync()
    # A destination's mount that no request had to name yet is another place than the ledger knows, before all else.
    assert exit_code(report) == (2 if (side, wrong) == ("dest", "pinned mount") else 3)
    told = " ".join(f"{error.message} {error.hint}" for error in report.errors)
    assert said in told
    assert side in told
    assert world.dest.versions() == dict.fromkeys(keys, 1)
    assert set(world.dest.contents()) == set(keys)


async def test_token_that_dies(
    world: World, dest_proxy: Watcher, openbao_dest: OpenBaoServer, make_token: MakeToken
) -> None:
    """A token from the document that dies midway is said to have died, and nothing more is asked of its store.

    What was done stays, and a new token does the rest.
    """
    world.source.fill(90)
    world.spec["limits"] = {"concurrency": 4}
    token = world.environ["DEST_TOKEN"] = make_token(openbao_dest, ALL, renewable=False)
    writes = itertools.count(1)

    def die() -> None:
        if next(writes) == 40:
            world.dest.api.call("POST", "auth/token/revoke", {"token": token})

    dest_proxy.before("^POST .*/data/", die, times=90)
    report = await world.sync()
    done = report.total(Result.CREATED)
    assert 0 < done < 90
    assert {outcome.code for outcome in report.failures} <= {"access-denied", "locked-out"}
    assert all("expired" in outcome.message for outcome in report.failures)
    assert report.total(Result.FAILED) <= 8  # what was under way
    assert report.total(Result.NOT_REACHED) == 90 - done - report.total(Result.FAILED)
    assert report.requests["dest"]["login"] <= 2
    assert report.requests["dest"]["write"] <= done + 8
    assert exit_code(report) == 3
    (error,) = report.errors
    assert (error.code, "expired" in error.message, "DEST_TOKEN" in error.hint) == ("locked-out", True, True)
    del world.spec["limits"]
    world.environ["DEST_TOKEN"] = openbao_dest.root_token
    report = await world.sync()
    assert report.total(Result.CREATED) == 90 - done
    assert set(world.dest.versions().values()) == {1}
    world.assert_sound()


@pytest.mark.slow
async def test_token_file_that_is_replaced(
    world: World, openbao_dest: OpenBaoServer, make_token: MakeToken, tmp_path: Path
) -> None:
    """A token in a file that an agent replaces is read again when the old one dies, and the sync goes on."""
    world.source.fill(50)
    world.spec["limits"] = {"rate": "30/s"}
    file = tmp_path / "token"
    file.write_text(make_token(openbao_dest, ALL, ttl="1s", renewable=False))
    file.chmod(0o600)
    world.dest.section["auth"] = {"token": {"file": str(file)}}
    later = make_token(openbao_dest, ALL)
    asyncio.get_running_loop().call_later(0.5, file.write_text, later)
    report = await world.sync()
    assert report.ok, (report.errors, report.failures)
    assert report.total(Result.CREATED) == 50


@pytest.mark.slow
async def test_login_that_outlives_its_token(world: World) -> None:
    """A sync that takes longer than its login's tokens live logs in again and completes."""
    world.source.fill(300)
    world.spec["limits"] = {"rate": "30/s"}
    for side in (world.source, world.dest):
        mount = f"approle-{side.mount}"
        side.api.call("POST", f"sys/auth/{mount}", {"type": "approle"})
        side.api.call("POST", f"sys/policies/acl/{mount}", {"policy": ALL})
        role = {"token_policies": [mount], "token_ttl": "4s", "token_max_ttl": "6s"}
        side.api.call("POST", f"auth/{mount}/role/sync", role)
        variables = {}
        for name, method, path in (("role_id", "GET", "role-id"), ("secret_id", "POST", "secret-id")):
            variables[name] = f"{name}_{side.mount}".upper().replace("-", "_")
            answer = side.api.call(method, f"auth/{mount}/role/sync/{path}", {} if method == "POST" else None)
            world.environ[variables[name]] = answer["data"][name]
        side.section["auth"] = {
            "appRole": {
                "roleId": {"env": variables["role_id"]}, "secretId": {"env": variables["secret_id"]}, "mount": mount,
            }
        }  # fmt: skip
    started = time.monotonic()
    report = await world.sync()
    assert time.monotonic() - started > 6
    assert report.ok, (report.errors, report.failures)
    assert report.total(Result.CREATED) == 300
    assert report.requests["dest"]["login"] >= 3
    for side in (world.source, world.dest):
        side.api.call("DELETE", f"sys/auth/approle-{side.mount}")


@pytest.mark.parametrize("auth", ["token", "userPass"])
async def test_certificate_of_another_authority(world: World, tmp_path: Path, auth: str) -> None:
    """A certificate that our CA did not sign is an error at once: nothing is sent, and nothing tried again."""
    world.source.fill(3)
    theirs, ours = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.issue_cert("127.0.0.1").configure_cert(context)
    received: list[bytes] = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await writer.start_tls(context)
            received.append(await reader.read(10))
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    world.dest.section |= {"address": f"https://127.0.0.1:{port}", "tls": {"caFile": str(tmp_path / "ca.pem")}}
    if auth == "userPass":
        world.dest.section |= {
            "kvVersion": 2, "auth": {"userPass": {"username": "u", "password": {"env": "DEST_TOKEN"}}}
        }  # fmt: skip
    report = await world.sync()
    server.close()
    assert exit_code(report) == 3
    (error,) = report.errors
    assert "its certificate is not trusted" in error.message
    assert "caFile" in error.hint
    assert connections == 1
    assert received in ([], [b""])
