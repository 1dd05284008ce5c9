"""The stores of the matrix: for each the section of a document that opens an empty one."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.azure.entra import CLIENT, TENANT, Identity
from support.rest.described import FULL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

_numbers = itertools.count()


@dataclass(frozen=True)
class Peer:
    """One kind of store. ``section`` gives the ``provider`` of a document for an empty store of that kind.

    ``capitals``: its keys are names such as ``ONLY_VALUE``, to which a keyTransform leads, and back.
    """

    name: str
    section: Callable[[pytest.FixtureRequest, Path], str]
    capitals: bool = False

    def named(self, key: str) -> str:
        """What a key of the tests is called there."""
        return key.upper().replace("-", "_") if self.capitals else key

    def known(self, key: str) -> str:
        """The key of the tests that is called so there."""
        return key.lower().replace("_", "-") if self.capitals else key

    def transform_to(self, other: Peer) -> str:
        """The keyTransform, as a field of a plan item behind others, from these keys to another peer's."""
        if self.capitals == other.capitals:
            return ""
        case, one, two = ("Upper", "-", "_") if other.capitals else ("Lower", "_", "-")
        return f", keyTransform: [{{case: {case}}}, {{replace: {{characters: '{one}', with: '{two}'}}}}]"


def _vault(version: int) -> Callable[[pytest.FixtureRequest, Path], str]:
    def section(request: pytest.FixtureRequest, path: Path) -> str:
        server: Any = request.getfixturevalue("openbao")
        mount: str = request.getfixturevalue("mount")(server, version)
        token = path / "vault-token"
        token.write_text(server.root_token)
        return f"vault: {{address: '{server.address}', mount: {mount}, auth: {{token: {{file: {token}}}}}}}"

    return section


def _secrets_manager(request: pytest.FixtureRequest, path: Path) -> str:
    region: Any = request.getfixturevalue("region")
    return f"awsSecretsManager: {json.dumps(region.section(prefix=f'm{next(_numbers)}/'))}"


def _parameter_store(request: pytest.FixtureRequest, path: Path) -> str:
    region: Any = request.getfixturevalue("region")
    section = region.section(path=f"/m{next(_numbers)}", taggingEndpointUrl=region.address)
    return f"awsParameterStore: {json.dumps(section)}"


def _kubernetes(request: pytest.FixtureRequest, path: Path) -> str:
    api: Any = request.getfixturevalue("kube")
    namespace = f"m{next(_numbers)}"
    api.cluster.create_namespace(namespace)
    token = f"{{token: {{value: {api.admin}}}}}"
    return f"kubernetes: {{namespace: {namespace}, server: '{api.address}', auth: {token}}}"


def _google(request: pytest.FixtureRequest, path: Path) -> str:
    google: Any = request.getfixturevalue("google")
    # By plain HTTP, so that a relay can alter its answers.
    section = google.section(prefix=f"m{next(_numbers)}-", endpointUrl=f"http://{google.machine}")
    return f"gcpSecretManager: {json.dumps(section)}"


def _github(kind: str) -> Callable[[pytest.FixtureRequest, Path], str]:
    def section(request: pytest.FixtureRequest, path: Path) -> str:
        github: Any = request.getfixturevalue("plain_github")
        name = f"acme/m{next(_numbers)}"
        github.accounts.repository(name)
        token = github.people.classic("repo")
        where = {"address": github.address, "repository": name, "kind": kind}
        return f"githubSecrets: {json.dumps({**where, 'auth': {'token': {'value': token}}})}"

    return section


def _gitlab(request: pytest.FixtureRequest, path: Path) -> str:
    gitlab: Any = request.getfixturevalue("plain_gitlab")
    name = f"acme/m{next(_numbers)}"
    gitlab.holders.project(name)
    auth = {"token": {"value": gitlab.token("maintainer")}}
    section = {"address": gitlab.address, "project": name, "visibility": "Visible", "auth": auth}
    return f"gitlabVariables: {json.dumps(section)}"


def _http(request: pytest.FixtureRequest, path: Path) -> str:
    service: Any = request.getfixturevalue("plain_inhouse")
    where = {"address": f"{service.address}/api/v1", "vars": {"team": f"m{next(_numbers)}"}}
    return f"http: {json.dumps({**FULL, **where})}"


def _key_vault(request: pytest.FixtureRequest, path: Path) -> str:
    azure: Any = request.getfixturevalue("new_key_vault")()
    azure.entra.identities.append(Identity(secret="a client secret of the matrix"))
    who = {"tenantId": TENANT, "clientId": CLIENT, "secret": {"value": "a client secret of the matrix"}}
    section = {
        "vaultUrl": azure.address,
        "authorityHost": azure.entra.address,
        "tls": {"caFile": str(request.getfixturevalue("azure_trust").ca)},
        "auth": {"clientSecret": who},
    }
    return f"azureKeyVault: {json.dumps(section)}"


def _file(request: pytest.FixtureRequest, path: Path) -> str:
    made = path / f"files-{next(_numbers)}"
    made.mkdir()
    return f"file: {{path: {made}}}"


def _dotenv(request: pytest.FixtureRequest, path: Path) -> str:
    made = path / f"envs-{next(_numbers)}"
    made.mkdir()
    return f"dotenv: {{path: {made}}}"


def _sops(request: pytest.FixtureRequest, path: Path) -> str:
    made = path / f"sops-{next(_numbers)}"
    made.mkdir()
    key = f"AGE-SECRET-KEY-1{'GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33'}"  # age's own example
    public = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
    return f"sops: {{path: {made}, ageKey: {{value: {key}}}, recipients: [{public}]}}"


def _memory(request: pytest.FixtureRequest, path: Path) -> str:
    return "memory: {}"


PEERS = (
    Peer("vault-v1", _vault(1)),
    Peer("vault-v2", _vault(2)),
    Peer("secrets-manager", _secrets_manager),
    Peer("parameter-store", _parameter_store),
    Peer("key-vault", _key_vault),
    Peer("kubernetes", _kubernetes),
    Peer("google", _google),
    Peer("github-variables", _github("Variables"), capitals=True),
    Peer("gitlab", _gitlab, capitals=True),
    Peer("http", _http),
    Peer("file", _file),
    Peer("dotenv", _dotenv),
    Peer("sops", _sops),
    Peer("memory", _memory),
)
