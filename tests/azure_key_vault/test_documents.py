"""The example runs as it is, but for addresses and logins; a policy bounds where vaults are; a place is an address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import ValidationError

from secretsync_core.policy.loading import examine
from secretsync_core.schema.loader import load_directory
from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
from secretsync_core.stores.azure_key_vault.place import declared_place

if TYPE_CHECKING:
    from run.world import World
    from support.azure.service import KeyVault

    from azure_key_vault.conftest import Section

EXAMPLE = Path(__file__).parents[2] / "examples" / "vault-to-azure"


def test_the_example_is_valid_as_it_is() -> None:
    """It loads without an error, and without a warning."""
    documents = load_directory(EXAMPLE)
    assert documents.jobs
    assert documents.warnings == ()


async def test_the_example_does_what_its_comments_say(world: World, section: Section, azure: KeyVault) -> None:
    """Secrets of Vault are there under the names that it gives, as JSON and as one value, and go when Vault's go."""
    documents = {
        each["metadata"]["name"]: each for each in yaml.safe_load_all((EXAMPLE / "secretsync.yaml").read_text())
    }
    config = documents["azure"]["spec"]["provider"]["azureKeyVault"]
    del config["vaultUrl"]
    world.store("dst", f"azureKeyVault: {json.dumps(section(**config))}")
    job = documents["vault-to-azure"]["spec"]
    world.job(yaml.safe_dump(job["plan"]), deletionPolicy=job["deletionPolicy"])
    await world.seed("src", {"payments/card_token": {"number": "4111"}, "billing/db": {"password": "p", "user": "u"}})
    assert (await world.sync()).ok
    assert azure.vault.values() == {"payments-card-token": '{"number":"4111"}', "billing-db-password": "p"}
    assert azure.vault.live["payments-card-token"].current.tags["managed-by"] == "secretsync"
    await world.remove("src", "payments/card_token")
    assert (await world.sync()).ok
    assert list(azure.vault.values()) == ["billing-db-password"]


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ("{hosts: [acme-prod.vault.azure.net, vault.example.com]}", ""),
        ("{hosts: [vault.example.com]}", "does not permit this host"),
        ("{deny: {kinds: [azureKeyVault]}}", "denies stores of the kind azureKeyVault"),
    ],
)
def test_a_policy_bounds_it(tmp_path: Path, spec: str, refused: str) -> None:
    """By the vault's host, and by its kind."""
    policy = tmp_path / "policy.yaml"
    head = "apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {name: platform}\n"
    policy.write_text(f"{head}spec: {spec}\n")
    policy.chmod(0o600)
    problems = examine([EXAMPLE], environ={"SECRETSYNC_POLICY": str(policy)})[1]
    assert [each for each in problems if refused in each.message] if refused else problems == ()


def place(**fields: Any) -> Any:
    """The place of a document."""
    return declared_place(AzureKeyVaultConfig.model_validate_json(json.dumps(fields)))


def test_a_place_is_an_address() -> None:
    """However it is written, and whoever logs in; another vault is another place."""
    here = place(vaultUrl="https://acme.vault.azure.net")
    assert here.is_same(place(vaultUrl="https://ACME.vault.azure.net:443/", auth={"managedIdentity": {}}))
    assert not here.is_same(place(vaultUrl="https://acme2.vault.azure.net"))
    assert not here.is_same(place(vaultUrl="https://acme.vault.azure.cn"))


def test_a_time_that_is_in_no_year_in_utc() -> None:
    """The last hours of the year 9999 west of Greenwich, and the first of the year 1 east of it, are refused."""
    for text in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"):
        with pytest.raises(ValidationError):
            AzureKeyVaultConfig.model_validate({"vaultUrl": "https://a.vault.azure.net", "expires": text})
