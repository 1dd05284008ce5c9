"""A GitLab of each test's own, over TLS, and stores there."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from run.world import connected_world
from support.certificates import certificate_in
from support.gate import CountingGate
from support.gitlab.service import GitLab

from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.gitlab_variables import open_store
from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from run.world import World

    from secretsync_core.stores.base import RequestGate

PROJECT = "acme/app"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The chain and the key of 127.0.0.1, and the authority that it is signed by."""
    return certificate_in(tmp_path_factory.mktemp("gitlab"))


@pytest.fixture(scope="session")
def server(certificate: tuple[Path, Path, Path]) -> Iterator[GitLab]:
    """The one for all tests."""
    with GitLab(certificate=certificate[:2]) as gitlab:
        yield gitlab


@pytest.fixture
def gitlab(server: GitLab) -> Iterator[GitLab]:
    """An empty GitLab, but for the project acme/app and the group acme."""
    server.forget()
    server.holders.project(PROJECT)
    server.holders.group("acme")
    yield server
    server.check()


class Section(Protocol):
    """``section(project="acme/app")`` gives a document's section for ``gitlab``, for everybody's token."""

    def __call__(self, **given: Any) -> dict[str, Any]: ...


@pytest.fixture
def section(gitlab: GitLab, certificate: tuple[Path, Path, Path]) -> Section:
    """What a document says of a store at ``gitlab``, with a token that may do everything."""
    token = gitlab.token()

    def made(**given: Any) -> dict[str, Any]:
        where = {} if given.keys() & {"group", "instance"} else {"project": PROJECT}
        auth = {"auth": {"token": {"value": token}}}
        return {"address": gitlab.address, "tls": {"caFile": str(certificate[2])}, **where, **auth, **given}

    return made


class OpenStore(Protocol):
    """``await opened(environmentScope="production")`` opens a store at ``gitlab``; it is closed after the test."""

    async def __call__(
        self, *, gate: RequestGate | None = None, environ: Any = None, mark: str = "", **given: Any
    ) -> Any: ...


@pytest.fixture
def gate() -> CountingGate:
    """Counts the requests of a test's stores, and makes each once."""
    return CountingGate()


@pytest.fixture
async def opened(section: Section, gate: CountingGate) -> AsyncIterator[OpenStore]:
    """Opens stores at ``gitlab``."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(*, gate: RequestGate = gate, environ: Any = None, mark: str = "", **given: Any) -> Any:
            config = GitlabVariablesConfig.model_validate_json(json.dumps(section(**given)))
            store = await open_store(config, StoreContext("gl", gate, environ or {}, 8, mark=mark))
            stack.push_async_callback(store.aclose)
            return store

        yield make  # type: ignore[misc]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two empty stores in memory, and a fresh ledger."""
    async with connected_world(tmp_path, monkeypatch) as world:
        yield world
