"""The example from Vault to GitLab runs as it stands, but for the addresses, with the roles of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli.conftest import Cli

from examples.life import EXAMPLES, VAULT, Example, Life
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.gitlab.service import GitLab
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

PEM = "-----BEGIN KEY-----\nYWJj\n-----END KEY-----\n"


class _GitLab:
    """The project's variables for production, and the group's, of which GitLab alone sees the values."""

    def __init__(self, gitlab: GitLab) -> None:
        self.project, self.group = gitlab.holders.project("acme/app"), gitlab.holders.group("acme")

    def held(self) -> dict[str, str]:
        return self.project.values("production") | self.group.values()

    def change(self, name: str) -> None:
        self.project.get(name, "production").value = "changed-by-hand"

    def remove(self, name: str) -> None:
        if name in self.group.values():
            self.group.remove(name)
        else:
            self.project.remove(name, "production")


def test_it_is_valid() -> None:
    """As it stands the documents are without a problem or a warning."""
    documents = load_directory(EXAMPLES / "vault-to-gitlab")
    assert sorted(documents.jobs) == ["vault-to-files", "vault-to-group", "vault-to-project"]
    assert list(documents.warnings) == []


@pytest.mark.slow
def test_its_life(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api, plain_gitlab: GitLab) -> None:
    """Fields become protected variables of one environment, a key a file, single values hidden ones of the group.

    GitLab keeps nothing of what was replaced or deleted, and of hidden variables shows only that they are there.
    """
    name, there = mount(openbao), _GitLab(plain_gitlab)
    replaced = {
        VAULT: openbao.address,
        "mount: secret": f"mount: {name}",
        "https://gitlab.com": plain_gitlab.address,
    }
    environ = {
        "VAULT_TOKEN": openbao.root_token,
        "GITLAB_PROJECT_TOKEN": plain_gitlab.token("maintainer", sees=frozenset({"acme/app"})),
        "GITLAB_GROUP_TOKEN": plain_gitlab.token("owner", sees=frozenset({"acme"})),
    }
    example = Example(Cli(tmp_path), "vault-to-gitlab", replaced, environ)
    theirs = there.project.put("BILLING_DB_USER", "of another scope", environment_scope="staging")
    database = {"host": "db.example.com", "user": "billing-user", "password": "p4ss$word"}
    made = {
        "BILLING_DB_HOST": "db.example.com",
        "BILLING_DB_USER": "billing-user",
        "BILLING_DB_PASSWORD": "p4ss$word",
        "DEPLOY_KEY": PEM,
        "CI_SHARED_NPM_TOKEN": "npm-token-1",
        "CI_SHARED_PYPI_TOKEN": "pypi-token-1",
    }
    then = made | {"BILLING_DB_PASSWORD": "new-p4ss$word", "BILLING_DB_LOGIN": "billing-login"}
    Life(
        example,
        there,
        (api, name),
        first={
            "billing/db": database,
            "ci/deploy-key": {"private": PEM},
            "ci/shared/npm-token": {"value": "npm-token-1"},
            "ci/shared/pypi-token": {"value": "pypi-token-1"},
        },
        made=made,
        changed=("BILLING_DB_HOST",),
        removed=("DEPLOY_KEY", "CI_SHARED_PYPI_TOKEN"),
        later={"billing/db": database | {"password": "new-p4ss$word", "login": "billing-login"}},
        then=then,
        undone={each: value for each, value in then.items() if each != "BILLING_DB_LOGIN"},
        kept=frozenset({"vault-to-project"}),
        last={"billing/db": {"host": "db.example.com", "password": "p4ss$word"}},
        left={each: value for each, value in made.items() if each != "BILLING_DB_USER"},
        rows=("GitLab",),
    ).live()
    assert "vault -> acme-hidden: drift unknown" in example("check")
    assert theirs in there.project.variables
    assert all(each.protected and each.raw for each in there.project.variables if each is not theirs)
    assert there.project.get("DEPLOY_KEY", "production").variable_type == "file"
    assert all(each.hidden for each in there.group.variables)
