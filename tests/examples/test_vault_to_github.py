"""The example from Vault to GitHub runs as it stands, but for the addresses, with the permissions of its page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from conftest import Mount
    from support.github.service import GitHub
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "vault-to-github"


def test_it_is_valid() -> None:
    """As it stands the documents are without a problem or a warning."""
    documents = load_directory(EXAMPLE)
    assert sorted(documents.jobs) == ["vault-to-environment", "vault-to-organization", "vault-to-variables"]
    assert list(documents.warnings) == []


@pytest.mark.slow
def test_it_runs(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api, plain_github: GitHub) -> None:
    """Fields become secrets of the environment, single values of the organization, and the host a variable."""
    name = mount(openbao)
    app = plain_github.people.app(
        environments="write", organization_secrets="write", actions_variables="write", metadata="read"
    )
    text = (EXAMPLE / "secretsync.yaml").read_text()
    for there, here in (
        ("https://vault.example.com:8200", openbao.address),
        ("mount: secret", f"mount: {name}"),
        ("https://api.github.com", plain_github.address),
        ("Iv23liAbCdEf0123456789", app.client_id),
        ("limits: {rate: 1/s}", "limits: {rate: 100/s}"),
    ):
        assert there in text
        text = text.replace(there, here)
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "secretsync.yaml").write_text(text)
    repository, web = (plain_github.accounts.repository(each) for each in ("acme/app", "acme/web"))
    production, acme = repository.environment("production"), plain_github.accounts.organisation("acme")
    api.put(name, "billing/db", {"host": "db.example.com", "user": "u", "password": "p"})
    api.put(name, "ci/npm-token", {"value": "n"})
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "VAULT_TOKEN": openbao.root_token,
        "GITHUB_APP_KEY": app.pem,
    }

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "secretsync_core.cli.main", *arguments, "--config", "documents"]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("sync")
    assert production.shelf().values() == {
        "BILLING_DB_HOST": "db.example.com",
        "BILLING_DB_USER": "u",
        "BILLING_DB_PASSWORD": "p",
    }
    held = acme.shelf().held
    assert {each: (held[each].value, held[each].repositories) for each in held} == {
        "CI_NPM_TOKEN": ("n", [repository.id, web.id])
    }
    assert repository.shelf("actions", "variables").values() == {"DATABASE_HOST": "db.example.com"}
    api.put(name, "billing/db", {"host": "db.example.com", "user": "u", "password": "new"})
    run("sync")
    run("check")
    assert production.shelf().values()["BILLING_DB_PASSWORD"] == "new"
    written = [json.loads(seen.body) for seen in plain_github.requests if seen.method == "PUT"]
    assert len(written) == 5, "what had not changed was written again"
