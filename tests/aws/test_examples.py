"""The examples run as they are, but for the addresses: with a real OpenBao, and moto for AWS."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.http import Api

from secretsync_core.demo.openbao import start_openbao
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.aws import Region

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
ADDRESS = "https://vault.example.com:8200"
REGION = "eu-central-1"


class Example:
    """A copy of one example, with a server and a region of its own in the places of those that it names."""

    def __init__(self, name: str, directory: Path, vault: Api, region: Region) -> None:
        self.directory = directory
        self.vault = vault
        self.region = region
        text = (EXAMPLES / name / "secretsync.yaml").read_text()
        assert ADDRESS in text
        assert REGION in text
        text = text.replace(ADDRESS, vault.address)
        text = re.sub(rf"( *)region: {REGION}", rf"\1region: {region.name}\n\1endpointUrl: {region.address}", text)
        (directory / "secretsync.yaml").write_text(text)

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run the command; its exit code, and what it says."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "VAULT_TOKEN": self.vault.token,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "secretsync_core.cli.main", *arguments, "--config", str(self.directory),
            env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path, region: Region) -> Iterator[Example]:
    """The example that the test's parameter names."""
    directory = tmp_path / "config"
    directory.mkdir()
    with start_openbao(tmp_path / "openbao") as server:
        vault = Api(server.address, server.root_token)
        yield Example(request.param, directory, vault, region)
        vault.close()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*aws*")), ids=lambda path: path.name)
def test_examples_are_valid_as_they_are(path: Path) -> None:
    """Each loads without an error, and without a warning."""
    documents = load_directory(path)
    assert documents.jobs
    assert documents.warnings == ()


@pytest.mark.parametrize("example", ["vault-to-aws"], indirect=True)
async def test_vault_to_aws(example: Example) -> None:
    """Fields arrive as JSON, single values as parameters, deletes are recoverable, and a second sync does nothing."""
    example.vault.put("secret", "payments/card", {"token": "t", "limit": 5})
    example.vault.put("secret", "payments/eu/sepa", {"iban": "DE"})
    for number in range(10):  # so that one is not more than maxDelete's share of them
        example.vault.put("secret", f"payments/others/{number}", {"token": str(number)})
    example.vault.put("secret", "billing/db", {"host": "db.example.com", "user": "u", "password": "p"})
    code, said = await example.run("sync")
    assert code == 0, said
    secrets, parameters = example.region.secrets, example.region.parameters

    def secret(name: str) -> Any:
        return json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])

    assert secret("prod/payments/card") == {"token": "t", "limit": 5}
    assert secret("prod/payments/eu/sepa") == {"iban": "DE"}
    assert secret("prod/rds/orders") == {
        "engine": "postgres", "host": "db.example.com", "port": "5432", "username": "u", "password": "p",
    }  # fmt: skip
    assert {"Key": "managed-by", "Value": "secretsync"} in secrets.describe_secret(SecretId="prod/rds/orders")["Tags"]
    found = parameters.get_parameters(Names=["/prod/billing/db-password", "/prod/billing/db-url"], WithDecryption=True)
    assert {each["Name"]: (each["Type"], each["Value"]) for each in found["Parameters"]} == {
        "/prod/billing/db-password": ("SecureString", "p"),
        "/prod/billing/db-url": ("SecureString", "postgres://u:p@db.example.com/orders"),
    }
    example.vault.call("DELETE", "secret/metadata/payments/card")
    before = example.region.counts()
    code, said = await example.run("plan", "--detailed-exitcode")
    assert code == 10, said
    code, said = await example.run("sync")
    assert code == 0, said
    assert "DeletedDate" in secrets.describe_secret(SecretId="prod/payments/card")
    wrote = ("CreateSecret", "PutSecretValue", "PutParameter")
    assert {name: example.region.counts().get(name, 0) - before.get(name, 0) for name in wrote} == dict.fromkeys(
        wrote, 0
    )
    assert (await example.run("check"))[0] == 0


@pytest.mark.parametrize("example", ["aws-to-vault"], indirect=True)
async def test_aws_to_vault(example: Example) -> None:
    """Tagged secrets, one that AWS manages and parameters arrive in Vault; what is not tagged does not."""
    secrets, parameters = example.region.secrets, example.region.parameters
    tags: Any = [{"Key": "vault", "Value": "yes"}]
    secrets.create_secret(Name="shop/db", SecretString='{"user": "u"}', Tags=tags)
    secrets.create_secret(Name="shop/key", SecretBinary=b"plain text", Tags=tags)
    secrets.create_secret(Name="private", SecretString="x")
    example.region.manage("rds!db-orders", '{"username": "admin", "password": "p"}')
    parameters.put_parameter(Name="/prod/app/level", Value="info", Type="String")
    parameters.put_parameter(Name="/prod/app/key", Value="k", Type="SecureString")
    code, said = await example.run("sync")
    assert code == 0, said
    get = example.vault.get
    assert get("secret", "aws/shop/db") == {"user": "u"}
    assert get("secret", "aws/shop/key") == {"value": "plain text"}
    assert get("secret", "aws/private") is None
    assert get("secret", "aws/rds/orders") == {"username": "admin", "password": "p"}
    assert get("secret", "aws/parameters/app/level") == {"value": "info"}
    assert get("secret", "aws/parameters/app/key") == {"value": "k"}
    code, said = await example.run("plan", "--detailed-exitcode")
    assert code == 0, said
