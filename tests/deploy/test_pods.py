"""Pods that the chart and the kustomizations make, run in the image: they really sync, by what they mount alone."""

from __future__ import annotations

import base64
import os
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.http import Api
from support.jwt import signed_jwt

from deploy.manifests import of_kind, pods
from deploy.pod import Kubelet
from deploy.tools import CHART, KUSTOMIZE, kustomize, render

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Server

    from deploy.image import Image
    from secretsync_core.demo.openbao import OpenBaoServer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy"), pytest.mark.timeout(600)]

KEY = {"ledger.key": base64.b64encode(os.urandom(32)).decode()}


def test_a_cronjob_of_the_chart_syncs(image: Image, tmp_path: Path) -> None:
    """A CronJob's pod copies what is there, keeps its ledger on the volume, and finds nothing to do the next time."""
    objects = render(file=CHART / "ci" / "cronjob-values.yaml")
    claims = {name: tmp_path / name for name in ("in", "out", "secretsync-ledger")}
    for path in claims.values():
        path.mkdir()
    (claims["in"] / "password").write_text("something secret")
    kubelet = Kubelet(
        image,
        tmp_path / "volumes",
        config_maps={name: one["data"] for name, one in of_kind(objects, "ConfigMap").items()},
        secrets={"secretsync-ledger-key": KEY},
        claims=claims,
    )
    template = pods(objects)["CronJob/secretsync-hourly"]
    done = kubelet.run(template)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (claims["out"] / "password").read_text() == "something secret"
    assert "1 created" in done.stdout
    assert "something secret" not in done.stdout + done.stderr
    assert (claims["secretsync-ledger"] / "ledger.db").stat().st_size
    done = kubelet.run(template)
    assert done.returncode == 0, done.stderr
    assert "1 unchanged" in done.stdout


def test_a_pod_of_the_overlay_logs_in_by_its_tokens(
    image: Image, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, tmp_path: Path
) -> None:
    """The pod of the Vault overlay logs in to both servers by the tokens that it mounts, each with the audience that
    its server asks for, and syncs from one to the other."""
    key = rsa.generate_private_key(65537, 2048)
    objects = kustomize(KUSTOMIZE / "overlays" / "vault-kubernetes")
    # The login of the kubernetes method has the form of jwt's, which needs no cluster to ask.
    _trust(openbao, "cluster-a", key, "https://vault.example.com")
    _trust(openbao_dest, "kubernetes", key, "vault")
    Api(openbao.address, openbao.root_token).put("secret", "payments/api", {"token": "of-the-payments"})
    config_maps = {
        name: {
            file: text.replace("https://vault.example.com\n", f"{openbao.address}\n").replace(
                "https://vault.vault.svc:8200", openbao_dest.address
            )
            for file, text in one["data"].items()
        }
        for name, one in of_kind(objects, "ConfigMap").items()
    }
    now = int(time.time())
    claims = {"sub": "system:serviceaccount:secret-sync:secretsync", "iat": now, "nbf": now - 60, "exp": now + 900}
    (ledger := tmp_path / "ledger").mkdir()
    kubelet = Kubelet(
        image,
        tmp_path / "volumes",
        config_maps=config_maps,
        secrets={"secretsync-ledger-key": KEY},
        claims={"secretsync-ledger": ledger},
        tokens={
            audience: signed_jwt(key, claims | {"aud": audience}) for audience in ("https://vault.example.com", "vault")
        },
    )
    done = kubelet.run(pods(objects)["CronJob/secretsync"])
    assert done.returncode == 0, done.stdout + done.stderr
    copied = Api(openbao_dest.address, openbao_dest.root_token).call("GET", "secret/data/payments/api")
    assert copied["data"]["data"] == {"token": "of-the-payments"}


def _trust(server: Server, path: str, key: rsa.RSAPrivateKey, audience: str) -> None:
    """Let whoever has a token for this audience log in at ``path``, by the role that the documents name."""
    api = Api(server.address, server.root_token)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    policy = 'path "secret/*" { capabilities = ["create", "read", "update", "list", "scan"] }'
    api.call("POST", "sys/policies/acl/secretsync", {"policy": policy})
    api.call("POST", f"sys/auth/{path}", {"type": "jwt"})
    api.call("POST", f"auth/{path}/config", {"jwt_validation_pubkeys": [public.decode()]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [audience], "token_policies": ["secretsync"]}
    api.call("POST", f"auth/{path}/role/secretsync", role)
    api.close()
