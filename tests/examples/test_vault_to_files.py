"""The example from Vault to files runs as it stands, but for the address."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

import pytest
from cli.conftest import Cli

from examples.life import EXAMPLES, PAGE, VAULT, Example, Life
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


class _Files:
    """What is in the directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700)

    def held(self) -> dict[str, str]:
        files = [file for file in self._directory.rglob("*") if file.is_file()]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} <= {0o600}
        return {str(file.relative_to(self._directory)): file.read_text() for file in files}

    def change(self, name: str) -> None:
        (self._directory / name).write_text("by hand")

    def remove(self, name: str) -> None:
        (self._directory / name).unlink()


def test_it_is_valid(tmp_path: Path) -> None:
    """As it stands it loads without an error or a warning."""
    documents = load_directory(EXAMPLES / "vault-to-files")
    assert (sorted(documents.jobs), list(documents.warnings)) == (["vault-to-files"], [])


@pytest.mark.slow
def test_its_life(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api) -> None:
    """Each field has its file; files that were replaced have no former value, and what was deleted is gone."""
    name = mount(openbao)
    replaced = {VAULT: openbao.address, "mount: secret": f"mount: {name}"}
    example = Example(Cli(tmp_path), "vault-to-files", replaced, {"VAULT_TOKEN": openbao.root_token})
    made = {"web/password": "p", "web/key": "k\n", "db/password": "d"}
    then = made | {"web/password": "new", "web/more": "m"}
    Life(
        example,
        _Files(example.directory / "run"),
        (api, name),
        first={"services/web": {"password": "p", "key": "k\n"}, "services/db": {"password": "d"}},
        made=made,
        changed=("web/password",),
        removed=("web/key",),
        later={"services/web": {"password": "new", "key": "k\n", "more": "m"}},
        then=then,
        undone={name: text for name, text in then.items() if name != "web/more"},
        kept=frozenset({"vault-to-files"}),
        last={"services/db": None},
        left={"web/password": "p", "web/key": "k\n"},
        rows=("files, `.env` files",),
    ).live()


def test_the_page_shows_what_is_printed(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api) -> None:
    """The plan and the drift of the examples' page are those of the commands beside them, but for the time it takes."""
    name = mount(openbao)
    replaced = {VAULT: openbao.address, "mount: secret": f"mount: {name}"}
    example = Example(Cli(tmp_path), "vault-to-files", replaced, {"VAULT_TOKEN": openbao.root_token})
    there = _Files(example.directory / "run")
    api.put(name, "services/web", {"password": "p", "key": "k\n"})
    api.put(name, "services/db", {"password": "d"})
    _, planned, _, drifted = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert example("plan") == planned
    example("sync")
    there.change("web/password")
    there.remove("web/key")
    found = re.sub(r"in [0-9.]+ s$", "in 0.1 s", example("check", code=10), flags=re.MULTILINE)
    assert found.startswith(drifted)
