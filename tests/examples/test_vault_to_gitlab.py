"""The example from Vault to GitLab runs as it stands, but for the addresses, with the roles of its page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from conftest import Mount
    from support.gitlab.service import GitLab
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "vault-to-gitlab"


def test_it_is_valid() -> None:
    """As it stands the documents are without a problem or a warning."""
    documents = load_directory(EXAMPLE)
    assert sorted(documents.jobs) == ["vault-to-files", "vault-to-group", "vault-to-project"]
    assert list(documents.warnings) == []


@pytest.mark.slow
def test_it_runs(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api, plain_gitlab: GitLab) -> None:
    """Fields become protected variables of one environment, a key a file, single values hidden ones of the group."""
    name = mount(openbao)
    text = (EXAMPLE / "secretsync.yaml").read_text()
    for there, here in (
        ("https://vault.example.com:8200", openbao.address),
        ("mount: secret", f"mount: {name}"),
        ("https://gitlab.com", plain_gitlab.address),
    ):
        assert there in text
        text = text.replace(there, here)
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "secretsync.yaml").write_text(text)
    project, group = plain_gitlab.holders.project("acme/app"), plain_gitlab.holders.group("acme")
    theirs = project.put("BILLING_DB_USER", "of another scope", environment_scope="staging")
    pem = "-----BEGIN KEY-----\nYWJj\n-----END KEY-----\n"
    api.put(name, "billing/db", {"host": "db.example.com", "user": "billing-user", "password": "p4ss$word"})
    api.put(name, "ci/deploy-key", {"private": pem})
    api.put(name, "ci/shared/npm-token", {"value": "npm-token-1"})
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "VAULT_TOKEN": openbao.root_token,
        "GITLAB_PROJECT_TOKEN": plain_gitlab.token("maintainer", sees=frozenset({"acme/app"})),
        "GITLAB_GROUP_TOKEN": plain_gitlab.token("owner", sees=frozenset({"acme"})),
    }

    def run(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "secretsync_core.cli.main", *arguments, "--config", "documents"]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    assert "BILLING_DB_PASSWORD" in run("plan")
    assert project.variables == [theirs]
    run("sync")
    assert project.values("production") == {
        "BILLING_DB_HOST": "db.example.com",
        "BILLING_DB_USER": "billing-user",
        "BILLING_DB_PASSWORD": "p4ss$word",
        "DEPLOY_KEY": pem,
    }
    assert all(each.protected and each.raw for each in project.variables if each is not theirs)
    assert project.get("DEPLOY_KEY", "production").variable_type == "file"
    (hidden,) = group.variables
    assert (hidden.key, hidden.value, hidden.hidden) == ("CI_SHARED_NPM_TOKEN", "npm-token-1", True)
    assert "vault -> acme-hidden: drift unknown" in run("check")
    project.get("BILLING_DB_HOST", "production").value = "changed-by-others"
    assert "BILLING_DB_HOST" in run("check", code=10)
    api.put(name, "billing/db", {"host": "db.example.com", "password": "new-p4ss$word"})
    run("sync")
    assert project.values("production") == {
        "BILLING_DB_HOST": "db.example.com", "BILLING_DB_PASSWORD": "new-p4ss$word", "DEPLOY_KEY": pem
    }  # fmt: skip
    assert theirs in project.variables
    run("check")
