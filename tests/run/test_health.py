"""Whether stores are there and let us in, against a real OpenBao: asked for cheaply, truly, and in bounded time."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.faulty_http import FaultyHttp
from support.kube_api import Rule

from secretsync_core.demo.openbao import free_port
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_core.run.health import Places, StoreHealth, check_stores, places
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeToken, Mount
    from support.http import Api
    from support.kube_api import KubeApi

    from secretsync_core.demo.openbao import OpenBaoServer
    from secretsync_core.schema.documents import Documents

API = "secretsync.io/v1alpha1"
SCOPED = """
path "{0}/metadata/payments/*" {{ capabilities = ["list", "read"] }}
path "{0}/data/payments/*" {{ capabilities = ["read"] }}
"""


def documents(directory: Path, stores: dict[str, dict[str, Any]], *plan: dict[str, Any], **spec: Any) -> Documents:
    """Stores by name (``permissions`` and the provider's part); with items, a job from ``source`` to ``dest``."""
    found: list[dict[str, Any]] = []
    for name, store in stores.items():
        permissions = store.pop("permissions", "ReadWrite")
        found.append(
            {
                "apiVersion": API, "kind": "SecretStore", "metadata": {"name": name},
                "spec": {"permissions": permissions, "provider": store},
            }
        )  # fmt: skip
    if plan:
        job = {"source": "source", "dest": "dest", "plan": list(plan), **spec}
        found.append({"apiVersion": API, "kind": "SyncJob", "metadata": {"name": "job"}, "spec": job})
    (directory / "documents.yaml").write_text(yaml.safe_dump_all(found))
    return load_directory(directory)


def vault(server: OpenBaoServer | str, mount: str = "secret", token: str = "", **more: Any) -> dict[str, Any]:
    """The provider's part for a store in OpenBao; ``more`` in place of the token."""
    address = server if isinstance(server, str) else server.address
    token = token or ("none" if isinstance(server, str) else server.root_token)
    return {"vault": {"address": address, "mount": mount, "auth": {"token": {"value": token}}, **more}}


async def look(found: Documents, seconds: float = 20) -> dict[str, StoreHealth]:
    """The health of every store, where the jobs use it."""
    where = places(found.jobs.values())
    for name in found.stores:
        where.setdefault(name, Places())
    return {health.store: health for health in await check_stores(found, where, environ={}, seconds=seconds)}


async def test_a_store_is_asked_where_its_job_uses_it(
    tmp_path: Path, openbao: OpenBaoServer, mount: Mount, make_token: MakeToken, api: Api
) -> None:
    """A token for one folder is well, though it may do nothing anywhere else; no value is read, nothing is made."""
    name = mount(openbao)
    api.put(name, "payments/api-1", {"token": "canary"})
    store = {**vault(openbao, name, make_token(openbao, SCOPED.format(name))), "permissions": "Read"}
    plan = {"query": {"path": "payments/", "recursive": True}, "keyTransform": [{"prefix": "prod/"}]}
    found = await look(documents(tmp_path, {"source": store, "dest": vault(openbao, mount(openbao))}, plan))
    assert found["source"].error is None
    assert found["source"].asked == ["list payments/"]
    assert found["dest"].error is None
    assert found["dest"].asked == ["look at prod/payments/secretsync-health"]
    for health in found.values():
        assert set(health.requests) <= {"list", "stat", "login", "renew"}
        assert sum(health.requests.values()) <= 7
    assert api.call("LIST", f"{name}/metadata/")["data"]["keys"] == ["payments/"]


async def test_a_store_that_refuses_the_folder_of_a_job_is_not_well(
    tmp_path: Path, openbao: OpenBaoServer, mount: Mount, make_token: MakeToken
) -> None:
    """The server is up and the token good, and still a sync would fail: the error says where."""
    name = mount(openbao)
    token = make_token(openbao, SCOPED.format(name))
    plan = {"query": {"path": "billing/"}}, {"secret": {"key": "billing/db"}}
    source = {**vault(openbao, name, token), "permissions": "Read"}
    found = await look(documents(tmp_path, {"source": source, "dest": vault(openbao, mount(openbao))}, *plan))
    error = found["source"].error
    assert error is not None
    assert error.code == "access-denied"
    assert "billing/secretsync-health/" in error.message
    assert token not in f"{error} {error.hint}"
    assert found["dest"].error is None


async def test_a_key_that_may_not_be_looked_at_is_not_well(
    tmp_path: Path, openbao: OpenBaoServer, mount: Mount, make_token: MakeToken
) -> None:
    """A static secret is asked for by name; a denial of just that is found, an absence is none of our business."""
    name = mount(openbao)
    source = {**vault(openbao, name, make_token(openbao, SCOPED.format(name))), "permissions": "Read"}
    for key, code in (("payments/absent", None), ("billing/db", "access-denied")):
        stores = {"source": dict(source), "dest": vault(openbao, mount(openbao))}
        error = (await look(documents(tmp_path, stores, {"secret": {"key": key}})))["source"].error
        assert (error.code if error else None) == code


async def test_what_may_only_be_written_is_only_opened(tmp_path: Path, openbao: OpenBaoServer, mount: Mount) -> None:
    """There is nothing else that we may do there without writing, but to ask what it would permit."""
    stores = {
        "source": vault(openbao, mount(openbao)),
        "dest": {**vault(openbao, mount(openbao)), "permissions": "Write"},
    }
    found = await look(documents(tmp_path, stores, {"secret": {"key": "a"}}))
    assert found["dest"].error is None
    assert found["dest"].asked == ["open"]
    # What is mounted there, which cluster it is, and what it permits.
    assert found["dest"].requests == {"stat": 3, "renew": 1}


async def test_a_store_that_no_job_uses_is_asked_for_its_top_folder(
    tmp_path: Path, openbao: OpenBaoServer, mount: Mount
) -> None:
    """With the version pinned and a token given, opening alone would ask the server nothing."""
    stores = {"idle": vault(openbao, mount(openbao), kvVersion=2), "gone": vault(openbao, "nowhere", kvVersion=2)}
    found = await look(documents(tmp_path, stores))
    assert found["idle"].error is None
    assert found["idle"].asked == ["list its top folder"]
    assert found["gone"].error is not None


async def test_a_server_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """A refused connection is not tried again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    health = (await look(documents(tmp_path, {"source": vault(address)})))["source"]
    assert health.error is not None
    assert health.error.code == "unavailable"
    assert sum(health.requests.values()) == 1


@pytest.mark.slow
async def test_a_server_that_says_nothing_costs_no_more_than_the_time_given(
    tmp_path: Path, openbao: OpenBaoServer, mount: Mount
) -> None:
    """It takes connections and never answers; the others are well, and nobody waits for it any longer."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        stores = {
            "silent": vault(f"http://127.0.0.1:{silent.getsockname()[1]}"),
            "well": vault(openbao, mount(openbao)),
        }
        began = time.monotonic()
        found = await look(documents(tmp_path, stores), seconds=2)
        assert time.monotonic() - began < 10
    error = found["silent"].error
    assert error is not None
    assert "did not answer within 2 seconds" in error.message
    assert found["silent"].pending
    assert found["well"].error is None
    assert not found["well"].pending


def test_destination_keys_are_those_that_an_item_makes(tmp_path: Path) -> None:
    """Transforms, splits and combinations are followed, since a policy is about what they give."""
    plan = (
        {"secret": {"key": "a/b"}, "keyTransform": [{"case": "Upper"}]},
        {
            "query": {"path": "payments"},
            "keyTransform": [{"regexp": {"source": "^payments/(.*)$", "target": "prod/$1"}}],
        },
        {"secret": {"key": "db"}, "split": "fields"},
        {"key": "app/env", "combine": [{"name": "db", "secret": {"key": "db"}}]},
        {"query": {"path": "x"}, "keyTransform": [{"template": "{{ parts[7] }}"}]},
    )
    stores: dict[str, dict[str, Any]] = {name: {"memory": {}} for name in ("source", "dest")}
    found = places(documents(tmp_path, stores, *plan).jobs.values())
    assert found["dest"].keys == ["A/B", "prod/secretsync-health", "db/secretsync-health", "app/env"]
    assert found["source"].folders == ["payments/", "x/"]
    assert found["source"].keys == ["a/b", "db", "db"]


async def test_a_kubernetes_source_is_really_asked(tmp_path: Path, kube: KubeApi) -> None:
    """A namespace has no folders, so that what is asked elsewhere asks nobody: the source is listed itself, and one
    that refuses us, or is not there, is not well."""
    may = kube.token(Rule({"get", "list"}, namespace="team-a"))
    closed = f"http://127.0.0.1:{free_port()}"

    def source(server: str, token: str) -> dict[str, Any]:
        auth = {"token": {"value": token}}
        return {"permissions": "Read", "kubernetes": {"namespace": "team-a", "server": server, "auth": auth}}

    stores = {
        "well": source(kube.address, may),
        "refused": source(kube.address, kube.token(Rule({"get", "list"}, namespace="team-b"))),
        "gone": source(closed, may),
    }
    found = documents(tmp_path, stores)
    where = {name: Places(folders=[""]) for name in stores}
    health = {each.store: each for each in await check_stores(found, where, environ={}, seconds=30)}
    assert health["well"].error is None
    assert health["well"].requests["list"] == 1
    assert isinstance(health["refused"].error, AccessDenied)
    assert isinstance(health["gone"].error, StoreUnavailable)


async def test_a_glob_is_asked_along_its_way(
    tmp_path: Path, openbao: OpenBaoServer, api: Api, mount: Mount, make_token: MakeToken
) -> None:
    """A token that may list and look at what a query's globs lead to, and nothing between, is healthy."""
    name = mount(openbao)
    api.put(name, "teams/a/prod/db", {"v": "1"})
    policy = f"""
path "{name}/metadata/teams/" {{ capabilities = ["list"] }}
path "{name}/metadata/teams/+/prod/*" {{ capabilities = ["list", "read"] }}
path "{name}/data/teams/+/prod/*" {{ capabilities = ["read"] }}
path "{name}/metadata/apps/" {{ capabilities = ["list"] }}
path "{name}/metadata/apps/+/db" {{ capabilities = ["read"] }}
path "{name}/data/apps/+/db" {{ capabilities = ["read"] }}
"""
    token = make_token(openbao, policy)
    for path in ("teams/*/prod/**", "teams/*/prod/*", "apps/*/db"):
        stores = {"source": vault(openbao, name, token), "dest": {"memory": {}}}
        health = await look(documents(tmp_path, stores, {"query": {"path": path}}))
        assert health["source"].error is None, (path, health["source"].error)
        assert health["source"].warnings == []
    stores = {"source": vault(openbao, name, token), "dest": {"memory": {}}}
    health = await look(documents(tmp_path, stores, {"query": {"path": "other/*/prod/**"}}))
    assert isinstance(health["source"].error, AccessDenied)


async def test_folders_that_are_permitted_one_by_one_are_a_warning(
    tmp_path: Path, openbao: OpenBaoServer, mount: Mount, make_token: MakeToken
) -> None:
    """The made-up folder that stands for a glob's is denied, and those that there are may not be; a grant says how."""
    name, dest = mount(openbao), mount(openbao)
    policy = f"""
path "{name}/metadata/teams/" {{ capabilities = ["list"] }}
path "{name}/metadata/teams/a/prod/*" {{ capabilities = ["list", "read"] }}
path "{name}/data/teams/a/prod/*" {{ capabilities = ["read"] }}
path "{dest}/+/teams/a/prod/*" {{ capabilities = ["create", "read", "update", "patch"] }}
"""
    token = make_token(openbao, policy)
    for path in ("teams/*/prod/**", "teams/*/prod/*", "teams/*/prod/db"):
        stores = {"source": vault(openbao, name, token), "dest": vault(openbao, dest, token)}
        health = await look(documents(tmp_path, stores, {"query": {"path": path}}))
        assert (health["source"].error, health["dest"].error) == (None, None)
        assert any("for every name" in told for told in health["source"].warnings)
        told = " ".join(health["source"].warnings)
        assert f"grant read on {name}/metadata/teams/+/prod/" in told
        assert f"grant create on {dest}/data/teams/+/" in " ".join(health["dest"].warnings)


@pytest.mark.parametrize("provider", ["awsSecretsManager", "awsParameterStore"])
async def test_a_service_that_answers_a_byte_now_and_then(tmp_path: Path, provider: str) -> None:
    """The time that health allows holds for AWS too, whose client waits in a thread, and waits anew for each byte."""
    async with FaultyHttp() as server:
        server.go_on("", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{", b" ", pause=0.02)
        keys = {"id": {"value": "AKIAIOSFODNN7EXAMPLE"}, "secret": {"value": "canary"}}
        section = {"region": "eu-west-1", "endpointUrl": server.address, "auth": {"accessKey": keys}}
        began = time.monotonic()
        found = await look(documents(tmp_path, {"aws": {provider: section}}), seconds=0.5)
        assert time.monotonic() - began < 8
    error = found["aws"].error
    assert error is not None
    assert "did not answer within 0.5 s" in error.message
