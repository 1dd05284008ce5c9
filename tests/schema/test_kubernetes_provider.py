"""The kubernetes section of a SecretStore: what it takes, what it refuses, and that its JSON Schema says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from yaml_samples import load, problems, store, warnings

from secretsync_core.schema.export import json_schema
from secretsync_core.schema.yaml_tree import read_documents
from secretsync_core.stores.kubernetes.config import KubernetesConfig

if TYPE_CHECKING:
    from pathlib import Path

VALID = (
    "",
    "namespace: team-a",
    "auth: {inCluster: {}}, namespace: '123'",
    "auth: {kubeconfig: {file: kubeconfig}}",
    "auth: {kubeconfig: {file: kubeconfig, context: prod}}, namespace: team-a",
    "server: 'https://api.example.com:6443', auth: {token: {env: KUBE_TOKEN}}",
    "server: 'https://rancher.example.com/k8s/clusters/c-1', auth: {token: {file: t}}, tls: {caFile: ca.pem}",
    "server: 'https://api', auth: {cert: {}}, tls: {certFile: c.pem, keyFile: k.pem, serverName: kubernetes}",
    "type: kubernetes.io/tls, labels: {team: a, example.com/part-of: ''}, annotations: {example.com/note: 'any text'}",
)

INVALID = (
    ("auth: {}", "auth: give exactly one of inCluster, kubeconfig, token or cert", True),
    ("auth: {inCluster: {}, token: {env: A}}, server: 'https://x'", "auth: give exactly one of", True),
    ("auth: {kubeconfig: {}}", "auth.kubeconfig.file is missing", True),
    ("auth: {token: {env: A, file: b}}, server: 'https://x'", "auth.token: give exactly one of env, file", True),
    ("auth: {token: {env: A}}", "auth.token and auth.cert need server", False),
    ("server: 'https://x'", "server and tls only go with auth.token and auth.cert", False),
    ("tls: {caFile: ca.pem}", "server and tls only go with auth.token and auth.cert", False),
    ("auth: {kubeconfig: {file: k}}, server: 'https://x'", "server and tls only go with", False),
    ("auth: {cert: {}}, server: 'https://x'", "auth.cert needs tls.certFile and tls.keyFile", False),
    ("auth: {cert: {}}, server: 'https://x', tls: {keyFile: k}", "certFile and keyFile go together", False),
    ("server: api.example.com, auth: {token: {env: A}}", "server has an invalid format", True),
    ("server: 'https://u:s3cr3tCANARY@x', auth: {token: {env: A}}", "server has an invalid format", True),
    ("namespace: Team", "namespace has an invalid format", True),
    (f"namespace: {'n' * 64}", "namespace has an invalid format", True),
    ("namespace: a.b", "namespace has an invalid format", True),
    ("type: ''", "type must not be empty", True),
    ("labels: {team: 'a b'}", "labels.… has an invalid format", True),
    ("labels: {team: 5}", "labels.… must be text", True),
    ("labels: {'a b': c}", "has an invalid format", True),
    ("labels: {secretsync.io/owner: us}", "names that begin with secretsync.io/ are set by SecretSync alone", False),
    ("annotations: {SecretSync.io/x: y}", "has an invalid format", True),
    (f"labels: {{{'a.' * 127}a/x: y}}", "longer than 253 characters", False),
    (f"annotations: {{a: {'x' * 262144}}}", "annotations have more than 262,144 bytes together", False),
    ("annotations: {'/x': y}", "has an invalid format", True),
    ("namespaces: [a]", "unknown field in spec.provider.kubernetes", True),
)


def document(section: str) -> str:
    return store("one", provider=f"kubernetes: {{{section}}}")


def by_schema(section: str) -> bool:
    (found,) = read_documents("f.yaml", document(section))[0]
    return bool(Draft202012Validator(json_schema()).is_valid(found.data))


@pytest.mark.parametrize("section", VALID)
def test_what_is_taken(tmp_path: Path, section: str) -> None:
    """Every way in, and everything that created Secrets get; the JSON Schema takes it too."""
    config = load(tmp_path, document(section)).stores["one"].config
    assert isinstance(config, KubernetesConfig)
    assert by_schema(section)
    assert warnings(tmp_path, document(section)) == []


@pytest.mark.parametrize(("section", "message", "in_schema"), INVALID, ids=[section for section, *_ in INVALID])
def test_what_is_refused(tmp_path: Path, section: str, message: str, in_schema: bool) -> None:
    """Each mistake is told at its place; the JSON Schema refuses what a schema can, and never what loads."""
    found = problems(tmp_path, document(section))
    assert any(message in problem.message for problem in found), found
    assert "CANARY" not in str(found)
    assert by_schema(section) is not in_schema


def test_paths_start_where_the_document_stands(tmp_path: Path) -> None:
    """Relative paths of kubeconfigs, tokens and certificates are made absolute."""
    config: Any = load(tmp_path, document("auth: {kubeconfig: {file: k}}")).stores["one"].config
    assert config.auth.kubeconfig.file == str(tmp_path / "k")
    text = "server: 'https://x', auth: {token: {file: t}}, tls: {caFile: c}"
    config = load(tmp_path, document(text)).stores["one"].config
    assert (config.auth.token.file, config.tls.ca_file) == (str(tmp_path / "t"), str(tmp_path / "c"))


def test_a_token_in_the_document_is_warned_about(tmp_path: Path) -> None:
    """As everywhere, a credential that is written into the document is a warning."""
    assert warnings(tmp_path, document("server: 'https://x', auth: {token: {value: t}}")) == [
        "5: spec.provider.kubernetes.auth.token is written into the document"
    ]
