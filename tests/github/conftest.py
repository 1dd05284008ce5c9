"""A GitHub of each test's own, over TLS, and stores there."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from run.world import connected_world
from support.certificates import certificate_in
from support.gate import CountingGate
from support.github.service import GitHub

from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.github_secrets import open_store
from secretsync_core.stores.github_secrets.config import GithubSecretsConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from run.world import World

    from secretsync_core.stores.base import RequestGate

REPOSITORY = "acme/app"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The chain and the key of 127.0.0.1, and the authority that it is signed by."""
    return certificate_in(tmp_path_factory.mktemp("github"))


@pytest.fixture(scope="session")
def server(certificate: tuple[Path, Path, Path]) -> Iterator[GitHub]:
    """The one for all tests."""
    with GitHub(certificate=certificate[:2]) as github:
        yield github


@pytest.fixture
def github(server: GitHub) -> Iterator[GitHub]:
    """An empty GitHub, but for the repository acme/app and the organization acme."""
    server.forget()
    server.accounts.repository(REPOSITORY)
    server.accounts.organisation("acme")
    yield server
    server.check()


class Section(Protocol):
    """``section(repository="acme/app")`` gives a document's section for ``github``, for everybody's token."""

    def __call__(self, **given: Any) -> dict[str, Any]: ...


@pytest.fixture
def section(github: GitHub, certificate: tuple[Path, Path, Path]) -> Section:
    """What a document says of a store at ``github``, with a token that may do everything."""
    token = github.people.classic("repo", "admin:org")

    def made(**given: Any) -> dict[str, Any]:
        where = {} if given.get("organization") else {"repository": REPOSITORY}
        auth = {"auth": {"token": {"value": token}}}
        return {"address": github.address, "tls": {"caFile": str(certificate[2])}, **where, **auth, **given}

    return made


class OpenStore(Protocol):
    """``await opened(environment="production")`` opens a store at ``github``; it is closed after the test."""

    async def __call__(self, *, gate: RequestGate | None = None, environ: Any = None, **given: Any) -> Any: ...


@pytest.fixture
def gate() -> CountingGate:
    """Counts the requests of a test's stores, and makes each once."""
    return CountingGate()


@pytest.fixture
async def opened(section: Section, gate: CountingGate) -> AsyncIterator[OpenStore]:
    """Opens stores at ``github``."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(*, gate: RequestGate = gate, environ: Any = None, **given: Any) -> Any:
            config = GithubSecretsConfig.model_validate_json(json.dumps(section(**given)))
            store = await open_store(config, StoreContext("gh", gate, environ or {}, 8))
            stack.push_async_callback(store.aclose)
            return store

        yield make  # type: ignore[misc]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two empty stores in memory, and a fresh ledger."""
    async with connected_world(tmp_path, monkeypatch) as world:
        yield world
