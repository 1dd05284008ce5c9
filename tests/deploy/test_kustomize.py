"""The kustomizations, built by the real kubectl and held against the schemas of the Kubernetes API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.manifests import Object, check, check_restricted, of_kind, pods, read
from deploy.tools import KUSTOMIZE, kustomize
from secretsync_core.schema.loader import examine
from secretsync_core.schema.plugins import BUILT_IN

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)

OVERLAYS = sorted(path.parent.name for path in KUSTOMIZE.glob("overlays/*/kustomization.yaml"))


@pytest.fixture(scope="module", params=OVERLAYS)
def built(request: pytest.FixtureRequest) -> list[Object]:
    """The objects of an overlay."""
    return kustomize(KUSTOMIZE / "overlays" / request.param)


@pytest.fixture(scope="module")
def production() -> list[Object]:
    """The objects of production."""
    return kustomize(KUSTOMIZE / "overlays" / "production")


def test_there_are_two() -> None:
    """The overlays are those that the docs name."""
    assert OVERLAYS == ["production", "vault-kubernetes"]


def test_kubernetes_would_take_it(built: list[Object]) -> None:
    """Every object fits the API's schemas, the pod the standard "restricted", and so does the namespace ask."""
    check(built)
    (namespace,) = of_kind(built, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for one in built:
        if one["kind"] != "Namespace":
            assert one["metadata"]["namespace"] == namespace["metadata"]["name"]
    (template,) = pods(built).values()
    check_restricted(template)
    assert template["spec"]["automountServiceAccountToken"] is False
    assert template["spec"]["serviceAccountName"] in of_kind(built, "ServiceAccount")


def test_what_the_pod_mounts_is_there(built: list[Object]) -> None:
    """The pod mounts the documents as they are now, and every file that they name; no Secret is made."""
    assert not of_kind(built, "Secret")
    (template,) = pods(built).values()
    spec = template["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["documents"]["configMap"]["name"] in of_kind(built, "ConfigMap")
    mounts = {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    for config in of_kind(built, "ConfigMap").values():
        for text in config["data"].values():
            named = [word.strip("{}, ") for word in text.split() if word.startswith("/run/")]
            for path in named:
                assert path.rpartition("/")[0] in mounts, path


def test_the_documents_are_whole(built: list[Object], tmp_path: Path) -> None:
    """The documents are what `secretsync validate` takes, as far as their stores are built in."""
    for config in of_kind(built, "ConfigMap").values():
        for file, text in config["data"].items():
            (tmp_path / file).write_text(text)
    stores = [one for path in tmp_path.iterdir() for one in read(path.read_text()) if one["kind"] == "SecretStore"]
    documents, problems = examine([tmp_path])
    assert documents.stores
    if {next(iter(one["spec"]["provider"])) for one in stores} <= BUILT_IN.keys():
        assert not [problem for problem in problems if not problem.warning]
        assert documents.jobs


def test_nobody_connects_to_it(built: list[Object]) -> None:
    """The pod is selected by a policy that lets nobody in."""
    (policy,) = of_kind(built, "NetworkPolicy").values()
    (template,) = pods(built).values()
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert "Ingress" in policy["spec"]["policyTypes"]
    assert policy["spec"]["ingress"] == []


def test_production(production: list[Object]) -> None:
    """In production the ledger's URL is a Secret's, AWS is by the role of the account, the image is pinned, and what
    the pod may connect to is listed."""
    (template,) = pods(production).values()
    (container,) = template["spec"]["containers"]
    variables = {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
    assert variables["SECRETSYNC_LEDGER"] == {"secretKeyRef": {"name": "secretsync-ledger-url", "key": "url"}}
    assert "@sha256:" in container["image"]
    (account,) = of_kind(production, "ServiceAccount").values()
    assert account["metadata"]["annotations"].keys() == {"eks.amazonaws.com/role-arn"}
    (policy,) = of_kind(production, "NetworkPolicy").values()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["to"] and rule["ports"] for rule in policy["spec"]["egress"])
