"""What a plan item asks of a store that cannot have it is refused by the documents alone, at its line."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

import pytest
from yaml_samples import job, load, problems, store

from secretsync_core.model.capabilities import Feature
from secretsync_core.schema.providers import lacking

if TYPE_CHECKING:
    from pathlib import Path

PROVIDERS = {
    "file": "file: {path: f}",
    "dotenv": "dotenv: {path: d}",
    "sops": "sops: {path: s}",
    "vault": "vault: {address: 'https://v', auth: {token: {env: A}}}",
    "kv1": "vault: {address: 'https://v', auth: {token: {env: A}}, kvVersion: 1}",
    "awsSecretsManager": "awsSecretsManager: {}",
    "awsParameterStore": "awsParameterStore: {path: /a}",
    "kubernetes": "kubernetes: {namespace: n}",
    "memory": "memory: {}",
}
OPENED = {
    "file": "secretsync_core.stores.file.store:FileStore.LIMITS",
    "dotenv": "secretsync_core.stores.dotenv.store:DotenvStore.LIMITS",
    "sops": "secretsync_core.stores.sops.store:SopsStore.LIMITS",
    "vault": "secretsync_core.stores.vault.kv2:Kv2Store.LIMITS",
    "kv1": "secretsync_core.stores.vault.kv1:Kv1Store.LIMITS",
    "awsSecretsManager": "secretsync_core.stores.aws_secrets_manager.store:SecretsManagerStore.LIMITS",
    "awsParameterStore": "secretsync_core.stores.aws_parameter_store.store:ParameterStore.LIMITS",
    "kubernetes": "secretsync_core.stores.kubernetes.store:NamespaceStore.LIMITS",
    "memory": "secretsync_core.stores.memory:LIMITS",
}
"""Where the limits of the open stores are."""
COPY = "- query: {}\n  metadata:\n    copy: [team]"
TYPE = "- query:\n    type: kubernetes.io/tls"
METADATA = "- query:\n    metadata: {team: a}"
COMBINED = "- combine:\n    - name: a\n      query:\n        type: kubernetes.io/tls\n  key: k"
WITHOUT_METADATA, WITHOUT_TYPES = {"file", "dotenv", "sops", "kv1"}, PROVIDERS.keys() - {"kubernetes", "memory"}


def _documents(source: str, dest: str, plan: str) -> str:
    one, two = store("one", provider=PROVIDERS[source]), store("two", provider=PROVIDERS[dest])
    return one + two + job(plan)


@pytest.mark.parametrize("source", PROVIDERS)
@pytest.mark.parametrize(
    ("plan", "line", "message", "without"),
    [
        (COPY, 21, "spec.plan[0].metadata.copy: the SecretStore one has no metadata to copy", WITHOUT_METADATA),
        (METADATA, 20, "spec.plan[0].query.metadata: the SecretStore one has no metadata to", WITHOUT_METADATA),
        (TYPE, 20, "spec.plan[0].query.type: the SecretStore one has no types of secrets to select by", WITHOUT_TYPES),
        (COMBINED, 22, "spec.plan[0].combine[0].query.type: the SecretStore one has no types", WITHOUT_TYPES),
    ],
)
def test_what_a_source_has_not(
    tmp_path: Path, source: str, plan: str, line: int, message: str, without: set[str]
) -> None:
    """Metadata of files and of KV version 1, and types of all but Kubernetes."""
    text = _documents(source, "memory", plan)
    if source not in without:
        assert load(tmp_path, text).jobs
        return
    (problem,) = problems(tmp_path, text)
    assert (problem.line, problem.message[: len(message)]) == (line, message)
    assert problem.hint.startswith(
        "It has kvVersion: 1, and custom metadata came with version 2." if source == "kv1" else f"It is {source}."
    )


@pytest.mark.parametrize("dest", PROVIDERS)
def test_what_a_destination_has_not(tmp_path: Path, dest: str) -> None:
    """Metadata is copied into no file and into no KV version 1, by whichever of the destinations that is."""
    text = _documents("memory", dest, COPY)
    if dest not in WITHOUT_METADATA:
        assert load(tmp_path, text).jobs
        return
    (problem,) = problems(tmp_path, text)
    assert problem.message == "spec.plan[0].metadata.copy: the SecretStore two keeps no metadata"
    assert problem.line == 21


def test_an_items_own_source_is_the_one_that_is_asked(tmp_path: Path) -> None:
    """And not the job's."""
    text = store("one", provider=PROVIDERS["file"]) + store("two") + store("three")
    assert load(tmp_path, text + job(f"{COPY}\n  source: three")).jobs


def test_what_lacks_something_by_its_document_lacks_it_when_it_is_open(tmp_path: Path) -> None:
    """What is refused by documents is what the open stores' limits say."""
    for name, section in PROVIDERS.items():
        document = load(tmp_path, store("one", provider=section)).stores["one"]
        told = lacking(document.provider, document.config)
        limits = resolve_name(OPENED[name])
        assert (Feature.TYPES in told, Feature.METADATA in told) == (not limits.types, not limits.custom_metadata), name


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("..", "the part '..'"), ("a/../b", "the part '..'"), ("t/*/../x", "the part '..'"), ("./a", "the part '.'"),
        ("a//b", "two slashes in a row"), ("**//b", "two slashes in a row"), ("*/..", "the part '..'"),
    ],
)  # fmt: skip
def test_a_path_that_no_key_is_in(tmp_path: Path, provider: str, path: str, what: str) -> None:
    """It would be resolved on the way to the store, so it is refused by name; what tests are made of takes it."""
    text = _documents(provider, "memory", f"- query:\n    path: '{path}'\n  keyTransform: [{{prefix: x}}]")
    if provider == "memory":
        assert load(tmp_path, text).jobs
        return
    (problem,) = problems(tmp_path, text)
    assert problem.message == f"spec.plan[0].query.path has {what}, which no key of the SecretStore one has"
    assert problem.line == 20


@pytest.mark.parametrize("path", ["a/b", "/a/b/", "a..b/.c", "...", "a/\\*/**", "*.?"])
def test_other_paths_are_taken(tmp_path: Path, path: str) -> None:
    """Dots are part of many names, and slashes around a path mean nothing."""
    assert load(tmp_path, _documents("vault", "memory", f"- query: {{path: '{path}'}}")).jobs


@pytest.mark.parametrize("field", ["path", "exclude"])
@pytest.mark.parametrize(
    ("glob", "told"),
    [
        ("a" * 2_049, "it has more than 2,048 characters"),
        ("/".join("a" * 65), "it has more than 64 parts"),
        ("?" * 2_040, "it is too long"),
    ],
    ids=["characters", "parts", "expression"],
)
def test_a_glob_of_no_end(tmp_path: Path, field: str, glob: str, told: str) -> None:
    """Too many characters or parts, or more than RE2 takes: told at its line, and not quoted."""
    text = _documents("memory", "memory", f"- query:\n    {field}: {repr(glob) if field == 'path' else ['ok', glob]}")
    (problem,) = problems(tmp_path, text)
    where = "spec.plan[0].query.path" if field == "path" else "spec.plan[0].query.exclude[1]"
    assert (problem.line, problem.message) == (20, f"{where}: {told}")
    assert glob not in f"{problem.message}{problem.hint}"
