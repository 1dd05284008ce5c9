"""Stores of AWS on a region of their own: on moto or ministack, microburst before it or not, or on strict stubs."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from botocore.stub import Stubber
from run.world import connected_world
from support.aws import Microburst

from aws.second_opinion import servers
from secretsync_core.stores.aws_parameter_store import open_store as open_parameter_store
from secretsync_core.stores.aws_parameter_store.config import AwsParameterStoreConfig
from secretsync_core.stores.aws_secrets_manager import open_store as open_secrets_manager
from secretsync_core.stores.aws_secrets_manager.config import AwsSecretsManagerConfig
from secretsync_core.stores.base import StoreContext
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from run.world import World
    from support.aws import Ministack, Moto, Region

    from secretsync_core.stores.base import RequestGate


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a region on both servers, or on the one that ``second_opinion`` leaves it to."""
    if "region" in metafunc.fixturenames:
        metafunc.parametrize("region", servers(metafunc.definition.nodeid.rpartition("/")[2]), indirect=True)


@pytest.fixture
def region(request: pytest.FixtureRequest) -> Iterator[Region]:
    """An empty region of AWS, on the server of ``pytest_generate_tests``."""
    server: Moto | Ministack = request.getfixturevalue(request.param)
    region = server.region()
    yield region
    region.close()


@pytest.fixture
def gate() -> CountingGate:
    """Counts the requests of a test's stores, and makes each once."""
    return CountingGate()


@pytest.fixture
async def burst(region: Region) -> AsyncIterator[Microburst]:
    """microburst before the server."""
    async with Microburst(region.address) as burst:
        yield burst


@pytest.fixture
def endpoint(request: pytest.FixtureRequest, region: Region) -> str:
    """What the stores of the conformance suite ask: microburst where a test has requests fail, else the server."""
    if "faults" not in request.fixturenames:
        return region.address
    return str(request.getfixturevalue("burst").address)


class OpenStore(Protocol):
    """``await secrets_manager(prefix="a/")`` opens a store on ``region``; it is closed after the test.

    Keyword arguments in camelCase go into the document, over what is set for you.
    """

    async def __call__(
        self,
        *,
        gate: RequestGate | None = None,
        environ: Mapping[str, str] | None = None,
        mark: str = "",
        concurrency: int = 8,
        **section: Any,
    ) -> Any: ...


@contextlib.asynccontextmanager
async def _opening(provider: str, region: Region, gate: CountingGate) -> AsyncIterator[OpenStore]:
    providers: dict[str, tuple[Any, Any]] = {
        "awsSecretsManager": (AwsSecretsManagerConfig, open_secrets_manager),
        "awsParameterStore": (AwsParameterStoreConfig, open_parameter_store),
    }
    model, opening = providers[provider]
    async with contextlib.AsyncExitStack() as stack:

        async def make(
            *,
            gate: RequestGate = gate,
            environ: Mapping[str, str] | None = None,
            mark: str = "",
            concurrency: int = 8,
            **section: Any,
        ) -> Any:
            # As JSON, which is how documents are validated.
            config = model.model_validate_json(json.dumps(region.section(**section)))
            context = StoreContext("aws", gate, environ or {}, concurrency, mark=mark, mark_at_a_cost=True)
            store = await opening(config, context)
            stack.push_async_callback(store.aclose)
            return store

        yield make  # type: ignore[misc]


@pytest.fixture
async def secrets_manager(region: Region, gate: CountingGate) -> AsyncIterator[OpenStore]:
    """Opens stores for Secrets Manager."""
    async with _opening("awsSecretsManager", region, gate) as make:
        yield make


@pytest.fixture
async def parameter_store(region: Region, gate: CountingGate) -> AsyncIterator[OpenStore]:
    """Opens stores for Parameter Store; tags of many parameters are asked for there too."""
    async with _opening("awsParameterStore", region, gate) as make:

        async def with_tagging(**section: Any) -> Any:
            return await make(**{"taggingEndpointUrl": region.address, **section})

        yield with_tagging


@pytest.fixture
async def stubbed(secrets_manager: OpenStore) -> AsyncIterator[tuple[Any, Stubber]]:
    """A store for Secrets Manager whose client takes only the calls that the test announces, in their order."""
    store = await secrets_manager(endpointUrl="http://127.0.0.1:9")
    identity = await store._account.identity()
    with Stubber(identity.client("secretsmanager", "http://127.0.0.1:9")) as stubber:
        yield store, stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
async def stubbed_parameters(parameter_store: OpenStore) -> AsyncIterator[tuple[Any, Stubber]]:
    """The same for Parameter Store, and without a service that knows all tags."""
    store = await parameter_store(endpointUrl="http://127.0.0.1:9", taggingEndpointUrl=None)
    identity = await store._account.identity()
    with Stubber(identity.client("ssm", "http://127.0.0.1:9")) as stubber:
        yield store, stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two empty stores in memory, and a fresh ledger; ``in_aws`` puts them elsewhere."""
    async with connected_world(tmp_path, monkeypatch) as world:
        yield world


class InAws(Protocol):
    """``in_aws("dst", "awsSecretsManager", prefix="copy/")`` puts a store of the world into ``region``."""

    def __call__(self, name: str, provider: str, **section: Any) -> None: ...


@pytest.fixture
def in_aws(world: World, region: Region) -> InAws:
    """Puts stores into AWS."""

    def put(name: str, provider: str, **section: Any) -> None:
        world.store(name, f"{provider}: {json.dumps(region.section(**section))}")

    return put
