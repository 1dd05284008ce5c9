"""Fixtures that every test may use. Servers are started when the first test asks for one, a pair for each worker."""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import sys
import time
import typing
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from hypothesis import HealthCheck, settings
from support import dice as chance
from support.aws import Ministack, Moto, Region
from support.azure.service import KeyVault
from support.azure.trust import Trust, trust_in
from support.gate import CountingGate
from support.github.service import GitHub
from support.gitlab.service import GitLab
from support.google.server import Google
from support.http import Api
from support.kube_build import wanted
from support.kube_either import kube_api
from support.rest.inhouse import InHouse

from secretsync_core.demo.openbao import start_openbao
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.vault import open_store
from secretsync_core.stores.vault.config import VaultConfig

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable, Iterator

    from support.kube_api import KubeApi
    from support.kube_server import KubeServer

    from secretsync_core.demo.openbao import OpenBaoServer
    from secretsync_core.stores.base import RequestGate

_numbers = itertools.count(1)


class Server(Protocol):
    """What the fixtures need to know of a server."""

    @property
    def address(self) -> str: ...
    @property
    def root_token(self) -> str: ...


def pytest_configure() -> None:
    """Draw the seed before any worker is started, and let what is imported now be looked through just once."""
    chance.seed()
    gc.disable()
    _keep_protocols()
    # How long an example takes, or is in the making, is the machine's affair.
    slowness = [HealthCheck.too_slow]
    settings.register_profile("patient", deadline=None, print_blob=True, suppress_health_check=slowness)
    settings.load_profile("patient")


def _keep_protocols() -> None:
    """List the members of a protocol once and not for each ``isinstance``, as Python itself does from 3.12 on."""
    if sys.version_info < (3, 12):
        kept: Any = typing
        kept._get_protocol_attrs = functools.cache(kept._get_protocol_attrs)
        kept._is_callable_members_only = functools.cache(kept._is_callable_members_only)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what all tests share: it would look through all of it in every one of them."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_report_header() -> str:
    """Tell the seed."""
    return chance.told()


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """What a test leaves to chance; the seed is told where it fails."""
    return chance.dice_of(request.node.nodeid)


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBaoServer]:
    """A real OpenBao server to read from; shared by all tests of a worker, so mount your own engine (``mount``)."""
    with start_openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture(scope="session")
def openbao_dest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBaoServer]:
    """A second one, to write to."""
    with start_openbao(tmp_path_factory.mktemp("openbao-dest")) as server:
        yield server


@pytest.fixture
def api(openbao: OpenBaoServer) -> Iterator[Api]:
    """Calls to ``openbao`` as root."""
    with_root = Api(openbao.address, openbao.root_token)
    yield with_root
    with_root.close()


@pytest.fixture
def api_dest(openbao_dest: OpenBaoServer) -> Iterator[Api]:
    """Calls to ``openbao_dest`` as root."""
    with_root = Api(openbao_dest.address, openbao_dest.root_token)
    yield with_root
    with_root.close()


@pytest.fixture(scope="session")
def google_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    """A fake of Google's Secret Manager and of its logins; one for a worker, and each test has it empty: ``google``."""
    server = Google(tmp_path_factory.mktemp("google"))
    yield server
    server.stop()


@pytest.fixture
def google(google_server: Google) -> Google:
    """The fake, without secrets and tokens."""
    google_server.reset()
    return google_server


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    """A moto server, which stands in for AWS; shared by all tests of a worker, each of which has its own ``region``."""
    server = Moto()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """A ministack server, the second opinion on AWS; shared like ``moto``."""
    server = Ministack(tmp_path_factory.mktemp("ministack"))
    yield server
    server.stop()


@pytest.fixture
def region(moto: Moto) -> Iterator[Region]:
    """An empty region of AWS."""
    region = moto.region()
    yield region
    region.close()


class Mount(Protocol):
    """``mount(server, kv_version=2)`` mounts a fresh KV engine and gives its name."""

    def __call__(self, server: Server, kv_version: int = 2, **options: Any) -> str: ...


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts fresh KV engines, and unmounts them after the test."""
    mounted: list[tuple[Api, str]] = []

    def make(server: Server, kv_version: int = 2, **options: Any) -> str:
        api = Api(server.address, server.root_token)
        name = f"kv{kv_version}-{next(_numbers)}"
        api.call("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": str(kv_version)}})
        mounted.append((api, name))
        if kv_version == 2:
            # A new version 2 mount answers 400 until it has upgraded itself.
            deadline = time.monotonic() + 10
            while api.ask("GET", f"{name}/config").status != 200 and time.monotonic() < deadline:
                time.sleep(0.005)
            if options:
                api.call("POST", f"{name}/config", options)
        return name

    yield make
    for api, name in mounted:
        api.ask("DELETE", f"sys/mounts/{name}")
        api.close()


class MakeToken(Protocol):
    """``make_token(server, policy)`` gives a token that may do what the policy (HCL) says, and nothing else."""

    def __call__(self, server: Server, policy: str, **parameters: Any) -> str: ...


@pytest.fixture
def make_token() -> MakeToken:
    """Makes tokens; ``parameters`` go to auth/token/create (``ttl``, ``renewable``, ...)."""

    def make(server: Server, policy: str, **parameters: Any) -> str:
        api = Api(server.address, server.root_token)
        name = f"policy-{next(_numbers)}"
        api.call("POST", f"sys/policies/acl/{name}", {"policy": policy})
        body = {"policies": [name], "no_default_policy": False, **parameters}
        token: str = api.call("POST", "auth/token/create", body)["auth"]["client_token"]
        api.close()
        return token

    return make


@pytest.fixture
def kube() -> Iterator[KubeApi]:
    """A Kubernetes API server, with the namespaces team-a and team-b: a fake, or for `make test-kube` a real one."""
    with kube_api() as api:
        for name in ("team-a", "team-b"):
            api.cluster.create_namespace(name)
        yield api


@pytest.fixture
def real_kube() -> KubeServer:
    """A real kube-apiserver with the namespaces of a new cluster, which only `make test-kube` has."""
    if not wanted():
        pytest.skip("`make test-kube` runs this against a real kube-apiserver")
    from support.kube_relay import RealCluster
    from support.kube_server import server

    RealCluster().clean()
    return server()


@pytest.fixture
def plain_github() -> Iterator[GitHub]:
    """A fake GitHub that holds nothing yet, without TLS, so that a relay can stand before it."""
    with GitHub() as github:
        yield github


@pytest.fixture
def plain_gitlab() -> Iterator[GitLab]:
    """A fake GitLab that holds nothing yet, without TLS, so that a relay can stand before it."""
    with GitLab() as gitlab:
        yield gitlab


@pytest.fixture
def plain_inhouse() -> Iterator[InHouse]:
    """An in-house service that holds nothing yet, without TLS."""
    with InHouse() as service:
        yield service


@pytest.fixture(scope="session")
def azure_trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """Whom clients of the fake Azure trust."""
    return trust_in(tmp_path_factory.mktemp("azure"))


@pytest.fixture
def new_key_vault(azure_trust: Trust) -> Iterator[Callable[[], KeyVault]]:
    """Starts a fake key vault that is empty, over TLS, for this test."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(KeyVault(azure_trust.server))


class VaultStores(Protocol):
    """``await vault_store_factory(kv_version=2)`` opens a store on a fresh mount; it is closed after the test.

    With ``mark`` it marks what it creates. Other keyword arguments go into the ``vault`` section of the document
    (camelCase), over what is set for you.
    """

    async def __call__(
        self, kv_version: int = 2, *, gate: RequestGate | None = None, mark: str = "", **config: Any
    ) -> Any: ...


@pytest.fixture
async def vault_store_factory(openbao: OpenBaoServer, mount: Mount) -> AsyncIterator[VaultStores]:
    """Opens Vault stores on ``openbao``, as root unless ``auth=`` says otherwise."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(kv_version: int = 2, *, gate: RequestGate | None = None, mark: str = "", **config: Any) -> Any:
            document = {
                "address": openbao.address,
                "mount": config.pop("mount", None) or mount(openbao, kv_version),
                "auth": {"token": {"value": openbao.root_token}},
                **config,
            }
            context = StoreContext("test-vault", gate or CountingGate(), {}, 32, mark, mark_at_a_cost=bool(mark))
            store = await open_store(VaultConfig.model_validate(document), context)
            stack.push_async_callback(store.aclose)
            return store

        yield make
