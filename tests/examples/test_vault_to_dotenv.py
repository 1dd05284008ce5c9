"""The example from Vault to .env files runs as it stands, and the files are what its text says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cli.conftest import Cli
from dotenv import dotenv_values

from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from conftest import Mount
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "vault-to-dotenv"


def test_it_is_valid() -> None:
    """As it stands it loads without an error or a warning."""
    documents = load_directory(EXAMPLE)
    assert (sorted(documents.jobs), list(documents.warnings)) == (["vault-to-dotenv"], [])


def test_it_runs(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api) -> None:
    """Each application has its file, with texts for numbers; a second sync writes nothing, and notes stay."""
    name = mount(openbao)
    shutil.copytree(EXAMPLE, tmp_path / "config")
    document = tmp_path / "config" / "secretsync.yaml"
    text = document.read_text()
    for there, here in (("https://vault.example.com:8200", openbao.address), ("mount: secret", f"mount: {name}")):
        assert there in text
        text = text.replace(there, here)
    document.write_text(text)
    apps = tmp_path / "config" / "apps"
    apps.mkdir(mode=0o700)
    api.put(name, "apps/shop/web", {"URL": "https://shop", "PASSWORD": "it's", "PORT": 5432, "OLD": None})
    api.put(name, "billing/db", {"password": "$(id)"})
    cli = Cli(tmp_path)
    ran = cli("sync", "--config", "config", VAULT_TOKEN=openbao.root_token)
    assert ran.code == 0, ran.out + ran.err
    file = apps / "shop" / "web" / ".env"
    assert dotenv_values(file) == {"URL": "https://shop", "PASSWORD": "it's", "PORT": "5432"}
    assert (apps / "billing" / ".env").read_text() == "DB_PASSWORD='$(id)'\n"
    file.write_text(f"# kept by people\n{file.read_text()}")
    noted = file.read_text()
    ran = cli("sync", "--config", "config", VAULT_TOKEN=openbao.root_token)
    assert ran.code == 0, ran.out + ran.err
    assert file.read_text() == noted
