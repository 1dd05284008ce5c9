"""Logins that are refused, or end, in the middle of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from run.world import counted

from secretsync_core.cli.results import of_sync
from secretsync_core.model.report import Result

if TYPE_CHECKING:
    from run.world import World
    from support.azure.service import KeyVault

    from azure_key_vault.conftest import Section

MANY = 40


@pytest.fixture
def synced(world: World, section: Section, azure: KeyVault) -> World:
    """A job that copies many secrets from the vault."""
    world.store("src", f"azureKeyVault: {json.dumps(section())}")
    world.job("- {name: all, query: {}}", limits="{concurrency: 4}")
    for number in range(MANY):
        azure.vault.set(f"k{number:02}", {"value": str(number)})
        azure.vault.tick()
    azure.vault.tick()
    return world


def _refuse_logins(azure: KeyVault, tried: list[int]) -> None:
    """Refuse every login from now on, and note in ``tried`` that there was one."""

    def refuse() -> tuple[int, dict[str, str], bytes]:
        tried.append(1)
        body = {"error": "invalid_client", "error_description": "AADSTS7000222: The provided keys are expired."}
        return 401, {"Content-Type": "application/json"}, json.dumps(body).encode()

    azure.entra.before = refuse


async def test_a_refused_login_is_not_tried_for_each_secret(synced: World, azure: KeyVault) -> None:
    """It is tried once, and the run ends with exit code 3."""
    tried: list[int] = []
    _refuse_logins(azure, tried)
    report = await synced.sync()
    assert of_sync(report) == 3
    assert len(tried) == 1


async def test_who_is_locked_out_in_mid_run(synced: World, azure: KeyVault) -> None:
    """Where tokens and the secret end, there is one login with the secret read anew, and the store is lost."""
    tried: list[int] = []

    def lock_out() -> None:
        azure.entra.revoke()
        _refuse_logins(azure, tried)

    azure.before("GET /secrets/k1", lock_out)
    report = await synced.sync()
    assert len(tried) == 1
    assert report.total(Result.NOT_REACHED) >= MANY - 18 - 8
    assert [error.code for error in report.errors] == ["locked-out"]
    assert of_sync(report) == 3


async def test_tokens_that_end_in_mid_run(synced: World, azure: KeyVault) -> None:
    """Another one is got, once, and nothing is lost."""
    azure.before("GET /secrets/k1", azure.entra.revoke)
    report = await synced.sync()
    assert counted(report) == {"created": MANY}
    assert azure.entra.logins == 2
