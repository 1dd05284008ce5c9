"""The example from Vault to Azure lives as its comments say; ``tests/azure_key_vault`` looks at what it makes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli.conftest import Cli
from support.azure.entra import CLIENT, TENANT, Identity

from examples.life import VAULT, Example, Life

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Mount
    from support.azure.service import KeyVault
    from support.azure.trust import Trust
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


class _Azure:
    """What is in the vault."""

    def __init__(self, azure: KeyVault) -> None:
        self._azure = azure

    def held(self) -> dict[str, str]:
        return self._azure.vault.values()

    def change(self, name: str) -> None:
        tags = self._azure.vault.live[name].current.tags  # as `az keyvault secret set --tags` keeps them
        self._azure.vault.set(name, {"value": "by hand", "tags": tags})

    def remove(self, name: str) -> None:
        self._azure.vault.delete(name)


@pytest.mark.slow
def test_its_life(
    tmp_path: Path,
    openbao: OpenBaoServer,
    mount: Mount,
    api: Api,
    new_key_vault: Callable[[], KeyVault],
    azure_trust: Trust,
) -> None:
    """Former values come back, and so does what was deleted, for as long as the vault keeps it."""
    name, azure = mount(openbao), new_key_vault()
    azure.entra.identities.append(Identity(secret="a client secret"))
    login = {"authorityHost": azure.entra.address, "tls": {"caFile": str(azure_trust.ca)}}
    fields = "".join(f"\n      {field}: {json.dumps(value)}" for field, value in login.items())
    replaced = {
        VAULT: openbao.address,
        "mount: secret": f"mount: {name}",
        "vaultUrl: https://acme-prod.vault.azure.net": f"vaultUrl: {azure.address}{fields}",
    }
    environ = {
        "VAULT_TOKEN": openbao.root_token,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_CLIENT_SECRET": "a client secret",
        "AZURE_AUTHORITY_HOST": azure.entra.address,
    }
    card, sepa = {"payments-card-token": '{"number":"4111"}'}, {"payments-sepa": '{"iban":"DE"}'}
    made = card | sepa | {"billing-db-password": "p"}
    Life(
        Example(Cli(tmp_path), "vault-to-azure", replaced, environ),
        _Azure(azure),
        (api, name),
        first={
            "payments/card_token": {"number": "4111"},
            "payments/sepa": {"iban": "DE"},
            "billing/db": {"user": "u", "password": "p"},
        },
        made=made,
        changed=("billing-db-password",),
        removed=("payments-sepa",),
        later={"billing/db": {"user": "u", "password": "new"}, "payments/more": {"x": "1"}},
        then=made | {"billing-db-password": "new", "payments-more": '{"x":"1"}'},
        undone=made,
        last={"payments/card_token": None},
        left=sepa | {"billing-db-password": "p"},
        returned=card,
        rows=("Azure",),
    ).live()
    azure.check()
