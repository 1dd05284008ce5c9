"""The example from one Vault to another runs as it stands, but for the addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import Cli

from examples.life import EXAMPLES, VAULT, Example, Life
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


class _Copies:
    """What is in the other Vault."""

    def __init__(self, api: Api, mount: str) -> None:
        self._api, self._mount = api, mount

    def held(self) -> dict[str, Any]:
        found = self._api.ask("SCAN", f"{self._mount}/metadata/")
        held = {name: self._api.get(self._mount, name) for name in found.json["data"].get("keys", ())}
        return {name: fields for name, fields in held.items() if fields is not None}

    def change(self, name: str) -> None:
        self._api.put(self._mount, name, {"by": "hand"})

    def remove(self, name: str) -> None:
        self._api.call("DELETE", f"{self._mount}/data/{name}")


def test_it_is_valid() -> None:
    """As it stands it loads without an error or a warning."""
    documents = load_directory(EXAMPLES / "vault-to-vault")
    assert (sorted(documents.jobs), list(documents.warnings)) == (["vault-to-vault"], [])


@pytest.mark.slow
def test_its_life(
    tmp_path: Path, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount, api: Api, api_dest: Api
) -> None:
    """What was deleted comes back, and what was replaced, too: KV version 2 keeps both."""
    source, copies = mount(openbao), mount(openbao_dest)
    replaced = {
        VAULT: openbao.address,
        "https://vault.cluster-b.example.com:8200": openbao_dest.address,
        "mount: secret": f"mount: {source}",
        "mount: copies": f"mount: {copies}",
    }
    environ = {"SOURCE_TOKEN": openbao.root_token, "COPIES_TOKEN": openbao_dest.root_token}
    card, sepa, database = {"token": "t", "limit": 5}, {"iban": "DE"}, {"host": "h", "user": "u", "password": "p"}
    made = {"payments/card": card, "payments/eu/sepa": sepa, "orders/db": database}
    Life(
        Example(Cli(tmp_path), "vault-to-vault", replaced, environ),
        _Copies(api_dest, copies),
        (api, source),
        first={"payments/card": card, "payments/eu/sepa": sepa, "billing/db": database | {"note": "n"}},
        made=made,
        changed=("payments/card",),
        removed=("orders/db",),
        later={"payments/card": {"token": "new"}, "payments/new": {"x": "1"}},
        then=made | {"payments/card": {"token": "new"}, "payments/new": {"x": "1"}},
        undone=made,
        last={"payments/eu/sepa": None},
        left={"payments/card": card, "orders/db": database},
        returned={"payments/eu/sepa": sepa},
        rows=("Vault, KV version 2",),
    ).live()
