"""The example from Vault to sops runs as it stands, and sops reads what it makes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
from cli.conftest import Cli
from support import sops

from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from conftest import Mount
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "vault-to-sops"


def test_it_is_valid() -> None:
    """As it stands it loads without an error or a warning."""
    documents = load_directory(EXAMPLE / "secretsync")
    assert (sorted(documents.jobs), list(documents.warnings)) == (["vault-to-sops"], [])


def test_it_runs(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api) -> None:
    """Each application has its file, for the recipient of .sops.yaml; a change touches its own lines alone."""
    name, identity = mount(openbao), pyrage.x25519.Identity.generate()
    shutil.copytree(EXAMPLE, tmp_path / "config")
    document, rules = tmp_path / "config" / "secretsync" / "jobs.yaml", tmp_path / "config" / "secrets" / ".sops.yaml"
    text = document.read_text()
    for there, here in (("https://vault.example.com:8200", openbao.address), ("mount: secret", f"mount: {name}")):
        assert there in text
        text = text.replace(there, here)
    document.write_text(text)
    recipient = rules.read_text().split()[-1]
    rules.write_text(rules.read_text().replace(recipient, str(identity.to_public())))
    environ = {"VAULT_TOKEN": openbao.root_token, "AGE_KEY": str(identity)}
    secret = {"url": "https://shop", "password": "s3cret", "ports": [80, 443]}
    api.put(name, "apps/shop/web", secret)
    cli = Cli(tmp_path)
    ran = cli("sync", "--config", "config/secretsync", **environ)
    assert ran.code == 0, ran.out + ran.err
    file = tmp_path / "config" / "secrets" / "shop" / "web.yaml"
    assert sops.decrypted(file, str(identity)) == secret
    before = file.read_text().splitlines()
    api.put(name, "apps/shop/web", {**secret, "password": "new"})
    ran = cli("sync", "--config", "config/secretsync", **environ)
    assert ran.code == 0, ran.out + ran.err
    after = file.read_text().splitlines()
    changed = [old.strip().split(":")[0] for old, new in zip(before, after, strict=True) if old != new]
    assert changed[0] == "password"
    assert set(changed) <= {"password", "lastmodified", "mac"}
    assert "s3cret" not in ran.out + ran.err + file.read_text()
    ran = cli("plan", "--config", "config/secretsync", "--detailed-exitcode", **environ)
    assert ran.code == 0, ran.out + ran.err
