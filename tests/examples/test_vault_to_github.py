"""The example from Vault to GitHub runs as it stands, but for the addresses, with the permissions of its page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli.conftest import Cli

from examples.life import EXAMPLES, VAULT, Example, Life
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.github.service import GitHub
    from support.github.shelves import Shelf
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


class _GitHub:
    """What GitHub alone sees in the environment, in the organization and among the variables."""

    def __init__(self, github: GitHub) -> None:
        self.repository, self.web = (github.accounts.repository(each) for each in ("acme/app", "acme/web"))
        self.production = self.repository.environment("production").shelf()
        self.acme = github.accounts.organisation("acme").shelf()
        self._variables = self.repository.shelf("actions", "variables")

    def held(self) -> dict[str, str]:
        return self.production.values() | self.acme.values() | self._variables.values()

    def change(self, name: str) -> None:
        shelf = self._of(name)
        shelf.put(name, "by hand", shelf.held[name].visibility, shelf.held[name].repositories)

    def remove(self, name: str) -> None:
        self._of(name).remove(name)

    def _of(self, name: str) -> Shelf:
        return next(shelf for shelf in (self.production, self.acme, self._variables) if name in shelf.held)


def test_it_is_valid() -> None:
    """As it stands the documents are without a problem or a warning."""
    documents = load_directory(EXAMPLES / "vault-to-github")
    assert sorted(documents.jobs) == ["vault-to-environment", "vault-to-organization", "vault-to-variables"]
    assert list(documents.warnings) == []


@pytest.mark.slow
def test_its_life(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api, plain_github: GitHub) -> None:
    """Fields become secrets of the environment, single values of the organization, and the host a variable.

    GitHub keeps nothing of what was replaced or deleted.
    """
    name = mount(openbao)
    app = plain_github.people.app(
        environments="write", organization_secrets="write", actions_variables="write", metadata="read"
    )
    replaced = {
        VAULT: openbao.address,
        "mount: secret": f"mount: {name}",
        "https://api.github.com": plain_github.address,
        "Iv23liAbCdEf0123456789": app.client_id,
        "limits: {rate: 1/s}": "limits: {rate: 100/s}",
    }
    there = _GitHub(plain_github)
    database = {"host": "db.example.com", "user": "u", "password": "p"}
    made = {
        "BILLING_DB_HOST": "db.example.com",
        "BILLING_DB_USER": "u",
        "BILLING_DB_PASSWORD": "p",
        "CI_NPM_TOKEN": "n",
        "CI_PYPI_TOKEN": "y",
        "DATABASE_HOST": "db.example.com",
    }
    then = made | {"BILLING_DB_PASSWORD": "new", "BILLING_DB_PORT": "5432"}
    Life(
        Example(
            Cli(tmp_path), "vault-to-github", replaced, {"VAULT_TOKEN": openbao.root_token, "GITHUB_APP_KEY": app.pem}
        ),
        there,
        (api, name),
        first={"billing/db": database, "ci/npm-token": {"value": "n"}, "ci/pypi-token": {"value": "y"}},
        made=made,
        changed=("BILLING_DB_USER", "DATABASE_HOST"),
        removed=("CI_PYPI_TOKEN",),
        later={"billing/db": database | {"password": "new", "port": "5432"}},
        then=then,
        undone={each: value for each, value in then.items() if each != "BILLING_DB_PORT"},
        kept=frozenset({"vault-to-environment"}),
        last={"billing/db": {"host": "db.example.com", "password": "p"}},
        left={each: value for each, value in made.items() if each != "BILLING_DB_USER"},
        rows=("GitHub: secrets", "GitHub: variables"),
    ).live()
    assert there.acme.held["CI_NPM_TOKEN"].repositories == [there.repository.id, there.web.id]
    written = [json.loads(seen.body) for seen in plain_github.requests if seen.method == "PUT"]
    # Five at first, two that drifted, two new ones, of which one is written back, and nothing without a reason.
    assert len(written) == 5 + 2 + 2 + 1, "what had not changed was written again"
