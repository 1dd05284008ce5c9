"""A key vault of each test's own, over TLS, and stores there."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from azure.keyvault.secrets._shared import http_challenge_cache
from run.world import connected_world
from support.azure.entra import CLIENT, TENANT, Identity
from support.azure.service import KeyVault
from support.gate import CountingGate

from secretsync_core.stores.azure_key_vault import open_store
from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
from secretsync_core.stores.base import StoreContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from run.world import World
    from support.azure.trust import Trust

    from secretsync_core.stores.base import RequestGate

SECRET = "a client secret of tests"


@pytest.fixture(scope="session")
def key_vault(azure_trust: Trust) -> Iterator[KeyVault]:
    """The one for all tests."""
    with KeyVault(azure_trust.server) as azure:
        yield azure


@pytest.fixture
def azure(key_vault: KeyVault) -> Iterator[KeyVault]:
    """An empty vault, and an application that may do everything there but purge."""
    http_challenge_cache.clear()
    key_vault.forget()
    key_vault.entra.identities.append(Identity(secret=SECRET))
    yield key_vault
    key_vault.check()


class Section(Protocol):
    """``section(tags={...})`` gives a document's section for ``azure``."""

    def __call__(self, **given: Any) -> dict[str, Any]: ...


@pytest.fixture
def section(azure: KeyVault, azure_trust: Trust) -> Section:
    """What a document says of a store at ``azure``, with a client secret."""
    who = {"tenantId": TENANT, "clientId": CLIENT, "secret": {"value": SECRET}}

    def made(**given: Any) -> dict[str, Any]:
        where = {
            "vaultUrl": azure.address,
            "authorityHost": azure.entra.address,
            "tls": {"caFile": str(azure_trust.ca)},
        }
        made = {**where, "auth": {"clientSecret": who}, **given}
        return {name: value for name, value in made.items() if value is not None}

    return made


class OpenStore(Protocol):
    """``await opened(tags={...})`` opens a store at ``azure``; it is closed after the test."""

    async def __call__(
        self, *, gate: RequestGate | None = None, environ: Any = None, mark: str = "", **given: Any
    ) -> Any: ...


@pytest.fixture
def gate() -> CountingGate:
    """Counts the requests of a test's stores, and makes each once."""
    return CountingGate()


@pytest.fixture
async def opened(section: Section, gate: CountingGate) -> AsyncIterator[OpenStore]:
    """Opens stores at ``azure``."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(*, gate: RequestGate = gate, environ: Any = None, mark: str = "", **given: Any) -> Any:
            config = AzureKeyVaultConfig.model_validate_json(json.dumps(section(**given)))
            store = await open_store(config, StoreContext("kv", gate, environ or {}, 8, mark=mark))
            stack.push_async_callback(store.aclose)
            return store

        yield make  # type: ignore[misc]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two empty stores in memory, and a fresh ledger."""
    async with connected_world(tmp_path, monkeypatch) as world:
        yield world
