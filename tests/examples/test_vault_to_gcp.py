"""The example from Vault to Google lives as its comments say; ``tests/gcp`` looks at what it makes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli.conftest import Cli

from examples.life import VAULT, Example, Life

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.google.server import Google
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


class _Google:
    """What is in the project, below the example's prefix."""

    def __init__(self, google: Google) -> None:
        self._secrets = google.secrets

    def held(self) -> dict[str, str]:
        return {name.removeprefix("prod-"): value.decode() for name, value in self._secrets.values().items()}

    def change(self, name: str) -> None:
        self._secrets.put(f"prod-{name}", b"by hand")

    def remove(self, name: str) -> None:
        self._secrets.remove(f"prod-{name}")


@pytest.mark.slow
def test_its_life(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api, google: Google) -> None:
    """Former values come back from versions that are still there; a secret that was deleted does not."""
    name = mount(openbao)
    fields = "".join(f"\n      {field}: {json.dumps(value)}" for field, value in google.section().items())
    replaced = {
        VAULT: openbao.address,
        "mount: secret": f"mount: {name}",
        "\n      project: example-project": fields,
        "limits: {rate: 8/s}": "limits: {rate: 100/s}",
    }
    card, sepa = {"payments-card": '{"number":"4111"}'}, {"payments-eu-sepa": '{"iban":"DE"}'}
    made = card | sepa | {"billing-db-password": "p"}
    Life(
        Example(Cli(tmp_path), "vault-to-gcp", replaced, {"VAULT_TOKEN": openbao.root_token}),
        _Google(google),
        (api, name),
        first={
            "payments/card": {"number": "4111"},
            "payments/eu/sepa": {"iban": "DE"},
            "billing/db": {"user": "u", "password": "p"},
        },
        made=made,
        changed=("billing-db-password",),
        removed=("payments-eu-sepa",),
        later={"billing/db": {"user": "u", "password": "new"}, "payments/more": {"x": "1"}},
        then=made | {"billing-db-password": "new", "payments-more": '{"x":"1"}'},
        undone=made,
        last={"payments/card": None},
        left=sepa | {"billing-db-password": "p"},
        rows=("Google",),
    ).live()
