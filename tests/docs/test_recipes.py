"""Each recipe does what its page says, on real stores."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml
from support.aws import KEYS, Moto
from support.kube_api import Rule

from docs.lab import Lab
from docs.pages import blocks, under

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import MakeToken, Mount
    from support.http import Api
    from support.kube_api import KubeApi

    from secretsync_core.demo.openbao import OpenBaoServer

PAGE = "docs/recipes.md"


class Recipe(Lab):
    """A recipe with its source in ``self.apps``, and ``copies`` in ``self.copies``, two mounts of a real server."""

    def __init__(self, directory: Path, api: Api, apps: str, copies: str) -> None:
        super().__init__(directory)
        self.api, self.apps, self.copies = api, apps, copies
        self.cli.environ["VAULT_TOKEN"] = self.cli.environ["SOURCE_TOKEN"] = api.token
        self.vault("vault", apps, "SOURCE_TOKEN")
        self.vault("copies", copies, "VAULT_TOKEN")

    def vault(self, name: str, mount: str, variable: str) -> None:
        settings = {"address": self.api.address, "mount": mount, "auth": {"token": {"env": variable}}}
        self.store(name, {"vault": settings})

    def put(self, key: str, **fields: object) -> None:
        self.api.put(self.apps, key, fields)


@pytest.fixture
def recipe(tmp_path: Path, api: Api, openbao: OpenBaoServer, mount: Mount) -> Recipe:
    """Two mounts, and no documents yet."""
    return Recipe(tmp_path, api, mount(openbao), mount(openbao))


@pytest.fixture
def kubeconfig(tmp_path: Path, kube: KubeApi) -> dict[str, object]:
    """What the page's SecretStores need to reach the API server of the test."""
    token = kube.token(Rule(frozenset(["get", "list", "create", "update"]), "team-a", "secrets"))
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": kube.address}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    return {"auth": {"kubeconfig": {"file": str(tmp_path / "kubeconfig")}}}


def created(kube: KubeApi, name: str) -> tuple[str, dict[str, bytes]]:
    """The type and the values of a Secret of team-a."""
    found = kube.cluster.get("team-a", name)
    return found["type"], {field: base64.b64decode(text) for field, text in found["data"].items()}


def test_registry_login(recipe: Recipe, kube: KubeApi, kubeconfig: dict[str, object]) -> None:
    """The Secret is what `kubectl create secret docker-registry` makes, also of a password with a quote in it."""
    recipe.documents(under("A registry login as an image pull secret", "yaml", PAGE), **kubeconfig)
    recipe.put("registries/main", server="registry.example.com", username="bot", password='p"w')
    recipe.sync()
    kind, fields = created(kube, "registry-login")
    assert (kind, list(fields)) == ("kubernetes.io/dockerconfigjson", [".dockerconfigjson"])
    login = {"username": "bot", "password": 'p"w', "auth": base64.b64encode(b'bot:p"w').decode()}
    assert json.loads(fields[".dockerconfigjson"]) == {"auths": {"registry.example.com": login}}


def test_certificate(recipe: Recipe, kube: KubeApi, kubeconfig: dict[str, object]) -> None:
    """The Secret has the two fields of a TLS Secret, and no other."""
    recipe.documents(under("A certificate as a TLS Secret", "yaml", PAGE), **kubeconfig)
    recipe.put("certificates/shop", certificate="C", private_key="K", issued="today")
    recipe.sync()
    assert created(kube, "shop-tls") == ("kubernetes.io/tls", {"tls.crt": b"C", "tls.key": b"K"})


def test_keystore(recipe: Recipe, kube: KubeApi, kubeconfig: dict[str, object]) -> None:
    """The keystore arrives as bytes, the password as the text that it is, though it could be base64."""
    recipe.store("team-a", {"kubernetes": {"namespace": "team-a", **kubeconfig}})
    recipe.documents(under("A keystore beside its password", "yaml", PAGE))
    store = b"\xfe\xed\xfe\xed"
    encoded = base64.encodebytes(store).decode()
    recipe.put("app/keystore", **{"keystore.jks": encoded, "password": "changeit", "alias": None, "port": 1})
    recipe.sync()
    held = {"keystore.jks": store, "password": b"changeit", "port": b"1"}
    assert created(kube, "keystore") == ("Opaque", held)


def test_types_of_another_namespace(recipe: Recipe, kube: KubeApi, tmp_path: Path) -> None:
    """Certificates and pull secrets are copied with their types, and nothing else is."""
    provider = {"server": kube.address, "auth": {"token": {"file": str(tmp_path / "token")}}}
    (tmp_path / "token").write_text(kube.admin)
    recipe.store("team-a", {"kubernetes": {"namespace": "team-a", **provider}})
    recipe.documents(under("Certificates and pull secrets of another namespace", "yaml", PAGE), **provider)
    data = {
        "site": ("kubernetes.io/tls", {"tls.crt": "Yw==", "tls.key": "aw=="}),
        "pull": ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "e30="}),
        "plain": ("Opaque", {"a": "MQ=="}),
    }
    for name, (kind, held) in data.items():
        kube.cluster.create("team-a", {"metadata": {"name": name}, "type": kind, "data": held})
    assert recipe.sync() == "2 created, 0 updated, 0 unchanged"
    for name in ("site", "pull"):
        found = kube.cluster.get("team-b", name)
        assert (found["type"], found["data"]) == data[name]


def test_rename_all_fields(recipe: Recipe) -> None:
    """Every field is renamed, whatever its name, and its value keeps its type."""
    recipe.documents(under("Rename all fields", "yaml", PAGE))
    recipe.put("billing/db", **{"db-host": "h", "port": 5432, "tls": True})
    recipe.sync()
    assert recipe.api.get(recipe.copies, "billing/db-env") == {"DB_HOST": "h", "PORT": 5432, "TLS": True}


def test_numbers(recipe: Recipe) -> None:
    """A number arrives as a number."""
    recipe.documents(under("Keep numbers as numbers", "yaml", PAGE))
    recipe.put("billing/db", host="h", port=5432, tls=True)
    recipe.sync()
    copy = recipe.api.get(recipe.copies, "billing/db-settings")
    assert copy == {"url": "postgresql://h:5432", "port": 5432, "tls": True}


def policy(mount: str, *, scan: bool) -> str:
    """The page's policy, for another mount."""
    texts = [block.text for block in blocks("hcl", page=PAGE) if scan or "scan" not in block.text]
    assert len(texts) == 1 + scan
    return "".join(texts).replace('"apps/', f'"{mount}/')


@pytest.mark.parametrize("scan", [False, True])
def test_production(recipe: Recipe, make_token: MakeToken, openbao: OpenBaoServer, scan: bool) -> None:
    """With the policies of the page just the production secrets are copied, and the token sees no other."""
    recipe.documents(under("Every team's production secrets", "yaml", PAGE))
    for key in ("teams/a/prod/db", "teams/a/prod/deep/api", "teams/b/prod/db", "teams/a/dev/db", "teams/b/notes"):
        recipe.put(key, value=key)
    token = make_token(openbao, policy(recipe.apps, scan=scan))
    recipe.cli.environ["SOURCE_TOKEN"] = token
    assert recipe.sync() == "3 created, 0 updated, 0 unchanged"
    assert recipe.api.get(recipe.copies, "teams/a/prod/deep/api") == {"value": "teams/a/prod/deep/api"}
    own = type(recipe.api)(openbao.address, token)
    assert own.ask("GET", f"{recipe.apps}/data/teams/a/prod/db").status == 200
    assert own.ask("GET", f"{recipe.apps}/data/teams/a/dev/db").status == 403
    assert own.ask("LIST", f"{recipe.apps}/metadata/teams/a/").status == 403
    own.close()


def test_production_without_the_right_to_list(recipe: Recipe, make_token: MakeToken, openbao: OpenBaoServer) -> None:
    """Where a folder may not be listed the run says so and fails, and what it could see is copied."""
    recipe.documents(under("Every team's production secrets", "yaml", PAGE))
    for key in ("teams/a/prod/db", "teams/b/prod/db"):
        recipe.put(key, value=key)
    narrow = policy(recipe.apps, scan=False).replace("/metadata/teams/+/", "/metadata/teams/a/")
    recipe.cli.environ["SOURCE_TOKEN"] = make_token(openbao, narrow)
    ran = recipe.cli("sync")
    assert ran.code == 1
    assert "teams/b/prod/" in ran.err
    assert recipe.api.get(recipe.copies, "teams/a/prod/db") == {"value": "teams/a/prod/db"}


@pytest.fixture
def moto() -> Iterator[Moto]:
    """moto in place of AWS."""
    aws = Moto()
    yield aws
    aws.stop()


@pytest.mark.slow
def test_take_over(recipe: Recipe, moto: Moto) -> None:
    """The plan tells what differs and in what; adopt takes over what exists, which then goes with its source."""
    region = moto.region()
    document = under("Take over an account that already has half of the secrets", "yaml", PAGE)
    settings = {"region": region.section()["region"], "endpointUrl": region.address, "auth": {"accessKey": KEYS}}
    recipe.documents(document, **settings)
    for name in ("a", "b", "c"):
        recipe.put(f"payments/{name}", token=name)
    region.secrets.create_secret(Name="prod/payments/a", SecretString='{"token":"a"}')
    region.secrets.create_secret(Name="prod/payments/b", SecretString='{"token":"other","note":"x"}')
    region.secrets.create_secret(Name="prod/payments/c", SecretString='{"token": "c"}')
    recipe.put("payments/d", token="d")
    recipe.edit("adopt: true", "adopt: false")
    ran = recipe.cli("plan", "--all")
    lines = [line for line in ran.out.splitlines() if "payments/" in line]
    assert (ran.code, [line.split()[:2] for line in lines]) == (
        1,
        [["!", "payments/b"], ["!", "payments/c"], ["=", "payments/a"], ["+", "payments/d"]],
    )
    # What the page shows, but for the versions.
    for told in re.findall(
        r"exists with another value.*", under("Take over an account that already has half of the secrets", "", PAGE)
    ):
        assert sum(told in line for line in lines) == 1
    assert "`secretsync sync take-over --adopt payments/b --adopt payments/c` takes them over" in ran.err
    ran = recipe.cli("sync", "--adopt", "payments/c")
    assert (ran.code, "1 created, 1 updated, 1 unchanged, 1 refused" in ran.out) == (1, True)
    recipe.edit("adopt: false", "adopt: true")
    assert "taking over 2 secrets that aws holds" in recipe.well("plan").err
    assert recipe.sync() == "0 created, 1 updated, 3 unchanged"
    recipe.edit("adopt: true", "adopt: false")
    recipe.api.call("DELETE", f"{recipe.apps}/data/payments/a")
    assert recipe.sync() == "0 created, 0 updated, 1 deleted, 3 unchanged"
    region.close()
