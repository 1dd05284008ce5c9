"""The example from Vault to sops runs as it stands, and sops reads what it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from cli.conftest import Cli
from support import sops

from examples.life import EXAMPLES, VAULT, Example, Life
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


class _Repository:
    """The files, and what sops reads in them."""

    def __init__(self, directory: Path, identity: str) -> None:
        self._directory, self._identity = directory, identity

    def file(self, name: str) -> Path:
        return self._directory / f"{name}.yaml"

    def held(self) -> dict[str, Any]:
        files = [file for file in self._directory.rglob("*.yaml") if file.name != ".sops.yaml"]
        held = {str(file.relative_to(self._directory).with_suffix("")): file for file in files}
        return {name: sops.decrypted(file, self._identity) for name, file in held.items()}

    def change(self, name: str) -> None:
        sops.run("set", str(self.file(name)), '["by"]', '"hand"', identity=self._identity)

    def remove(self, name: str) -> None:
        self.file(name).unlink()


@pytest.fixture
def example(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api) -> tuple[Example, _Repository, str]:
    """The copy, its files, and the mount that it reads."""
    name, identity = mount(openbao), pyrage.x25519.Identity.generate()
    rules = (EXAMPLES / "vault-to-sops" / "secrets" / ".sops.yaml").read_text()
    replaced = {
        VAULT: openbao.address,
        "mount: secret": f"mount: {name}",
        rules.split()[-1]: str(identity.to_public()),
    }
    environ = {"VAULT_TOKEN": openbao.root_token, "AGE_KEY": str(identity)}
    made = Example(Cli(tmp_path), "vault-to-sops", replaced, environ)
    return made, _Repository(made.directory / "secrets", str(identity)), name


def test_it_is_valid() -> None:
    """As it stands it loads without an error or a warning."""
    documents = load_directory(EXAMPLES / "vault-to-sops" / "secretsync")
    assert (sorted(documents.jobs), list(documents.warnings)) == (["vault-to-sops"], [])


def test_a_change_touches_its_own_lines(example: tuple[Example, _Repository, str], api: Api) -> None:
    """What has not changed stays as it is in the file, and nothing of a value is anywhere in plain text."""
    copy, there, mount = example
    secret = {"url": "https://shop", "password": "s3cret", "ports": [80, 443]}
    api.put(mount, "apps/shop/web", secret)
    told = copy("sync")
    before = there.file("shop/web").read_text().splitlines()
    api.put(mount, "apps/shop/web", {**secret, "password": "new"})
    told += copy("sync")
    after = there.file("shop/web").read_text().splitlines()
    changed = [old.strip().split(":")[0] for old, new in zip(before, after, strict=True) if old != new]
    assert changed[0] == "password"
    assert set(changed) <= {"password", "lastmodified", "mac"}
    assert "s3cret" not in told + "".join(before)


@pytest.mark.slow
def test_its_life(example: tuple[Example, _Repository, str], api: Api) -> None:
    """sops reads what it makes, and what sops changes is drift. Files have no former values: Git has them."""
    copy, there, mount = example
    web: dict[str, Any] = {"url": "https://shop", "password": "s3cret", "ports": [80, 443]}
    made: dict[str, Any] = {"shop/web": web, "shop/api": {"key": "k"}, "shop/db": {"password": "p"}}
    then = made | {"shop/web": {**web, "password": "new"}, "shop/more": {"x": 1}}
    Life(
        copy,
        there,
        (api, mount),
        first={f"apps/{each}": fields for each, fields in made.items()},
        made=made,
        changed=("shop/web",),
        removed=("shop/db",),
        later={"apps/shop/web": {**web, "password": "new"}, "apps/shop/more": {"x": 1}},
        then=then,
        undone={each: value for each, value in then.items() if each != "shop/more"},
        kept=frozenset({"vault-to-sops"}),
        last={"apps/shop/api": None},
        left={each: value for each, value in made.items() if each != "shop/api"},
        rows=("sops",),
    ).live()
