"""The example from Vault to .env files runs as it stands, and the files are what its text says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli.conftest import Cli
from dotenv import dotenv_values

from examples.life import EXAMPLES, VAULT, Example, Life
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


class _Applications:
    """The .env files, and what python-dotenv reads in them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700)

    def file(self, name: str) -> Path:
        return self.directory / name / ".env"

    def held(self) -> dict[str, dict[str, str | None]]:
        files = {str(file.parent.relative_to(self.directory)): file for file in self.directory.rglob(".env")}
        return {name: dotenv_values(file) for name, file in files.items()}

    def change(self, name: str) -> None:
        with self.file(name).open("a") as file:
            file.write("BY=hand\n")

    def remove(self, name: str) -> None:
        self.file(name).unlink()


def test_it_is_valid() -> None:
    """As it stands it loads without an error or a warning."""
    documents = load_directory(EXAMPLES / "vault-to-dotenv")
    assert (sorted(documents.jobs), list(documents.warnings)) == (["vault-to-dotenv"], [])


@pytest.fixture
def example(tmp_path: Path, openbao: OpenBaoServer, mount: Mount) -> tuple[Example, _Applications, str]:
    """The copy, its files, and the mount that it reads."""
    name = mount(openbao)
    replaced = {VAULT: openbao.address, "mount: secret": f"mount: {name}"}
    copy = Example(Cli(tmp_path), "vault-to-dotenv", replaced, {"VAULT_TOKEN": openbao.root_token})
    return copy, _Applications(copy.directory / "apps"), name


WEB = {"URL": "https://shop", "PASSWORD": "it's", "PORT": "5432"}


def test_notes_stay(example: tuple[Example, _Applications, str], api: Api) -> None:
    """Each application has its file, with texts for numbers; a second sync writes nothing."""
    copy, there, mount = example
    api.put(mount, "apps/shop/web", {**WEB, "PORT": 5432, "OLD": None})
    api.put(mount, "billing/db", {"password": "$(id)"})
    copy("sync")
    assert there.held() == {"shop/web": WEB, "billing": {"DB_PASSWORD": "$(id)"}}
    assert there.file("billing").read_text() == "DB_PASSWORD='$(id)'\n"
    file = there.file("shop/web")
    file.write_text(noted := f"# kept by people\n{file.read_text()}")
    copy("sync")
    assert file.read_text() == noted


@pytest.mark.slow
def test_its_life(example: tuple[Example, _Applications, str], api: Api) -> None:
    """Files have no former values, and what was deleted is gone."""
    copy, there, mount = example
    made = {"shop/web": WEB, "shop/api": {"KEY": "k"}, "billing": {"DB_PASSWORD": "p"}}
    then = made | {"shop/web": WEB | {"PASSWORD": "new"}, "shop/more": {"X": "1"}}
    Life(
        copy,
        there,
        (api, mount),
        first={"apps/shop/web": WEB, "apps/shop/api": {"KEY": "k"}, "billing/db": {"password": "p"}},
        made=made,
        changed=("shop/web",),
        removed=("billing",),
        later={"apps/shop/web": WEB | {"PASSWORD": "new"}, "apps/shop/more": {"X": 1}},
        then=then,
        undone={each: value for each, value in then.items() if each != "shop/more"},
        kept=frozenset({"vault-to-dotenv"}),
        last={"apps/shop/api": None},
        left={each: value for each, value in made.items() if each != "shop/api"},
        rows=("files, `.env` files",),
    ).live()
