"""The example from Vault to AWS lives as its comments say; ``tests/aws/test_examples.py`` looks at what it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cli.conftest import Cli

from examples.life import VAULT, Example, Life

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.aws import Region
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


class _Aws:
    """What is in Secrets Manager below prod/, and in Parameter Store below /prod/."""

    def __init__(self, region: Region) -> None:
        self._secrets: Any = region.secrets
        self._parameters: Any = region.parameters

    def held(self) -> dict[str, str]:
        names = [each["Name"] for each in self._secrets.list_secrets()["SecretList"]]
        secrets = {name: self._secrets.get_secret_value(SecretId=name)["SecretString"] for name in names}
        found = self._parameters.get_parameters_by_path(Path="/prod", Recursive=True, WithDecryption=True)
        parameters = {each["Name"]: each["Value"] for each in found["Parameters"]}
        return {name.lstrip("/").removeprefix("prod/"): value for name, value in (secrets | parameters).items()}

    def change(self, name: str) -> None:
        if name.startswith("billing/"):
            self._parameters.put_parameter(Name=f"/prod/{name}", Value="by hand", Overwrite=True)
        else:
            self._secrets.put_secret_value(SecretId=f"prod/{name}", SecretString="by hand")

    def remove(self, name: str) -> None:
        if name.startswith("billing/"):
            self._parameters.delete_parameter(Name=f"/prod/{name}")
        else:
            self._secrets.delete_secret(SecretId=f"prod/{name}")


@pytest.mark.slow
def test_its_life(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api, region: Region) -> None:
    """Both give former values back, and Secrets Manager what was deleted, for the week that the example says."""
    name = mount(openbao)
    replaced = {
        VAULT: openbao.address,
        "mount: secret": f"mount: {name}",
        "region: eu-central-1": f"region: {region.name}\n      endpointUrl: {region.address}",
    }
    environ = {"VAULT_TOKEN": openbao.root_token, "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test"}
    database = {"host": "h", "user": "u", "password": "p"}

    def of(password: str) -> dict[str, str]:
        orders = f'{{"engine":"postgres","host":"h","password":"{password}","port":"5432","username":"u"}}'
        url = f"postgres://u:{password}@h/orders"
        return {"rds/orders": orders, "billing/db-password": password, "billing/db-url": url}

    payments = {"payments/card": '{"limit":5,"token":"t"}', "payments/eu/sepa": '{"iban":"DE"}'}
    Life(
        Example(Cli(tmp_path), "vault-to-aws", replaced, environ),
        _Aws(region),
        (api, name),
        first={
            "payments/card": {"token": "t", "limit": 5},
            "payments/eu/sepa": {"iban": "DE"},
            "billing/db": database,
        },
        made=payments | of("p"),
        changed=("payments/card", "billing/db-url"),
        removed=("payments/eu/sepa", "billing/db-password"),
        later={"billing/db": database | {"password": "new"}, "payments/new": {"x": "1"}},
        then=payments | of("new") | {"payments/new": '{"x":"1"}'},
        undone=payments | of("p"),
        last={"payments/card": None},
        left={name: value for name, value in (payments | of("p")).items() if name != "payments/card"},
        returned={"payments/card": payments["payments/card"]},
        rows=("Secrets Manager",),
    ).live()
