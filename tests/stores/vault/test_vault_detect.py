"""Which version of KV a mount is, by what the server says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest
from support.altered import with_value
from support.faulty_http import FaultyHttp

from secretsync_core.errors import MalformedAnswer, SecretNotFound, StoreError
from secretsync_core.stores.vault.detect import kv_version
from secretsync_core.stores.vault.transport import Received, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Mount, VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer
    from secretsync_core.stores.vault.answers import Request


class _Says:
    """A transport whose server says that of the mount."""

    store, mount, namespace = "vault", "kv", ""

    def __init__(self, options: object) -> None:
        self._data: dict[str, Any] = {"type": "kv", "path": "kv/", "options": options}

    async def system(self, _kind: str, _path: str, request: Request, parse: Callable[[Received], Any]) -> Any:
        return parse(Received(request, orjson.dumps({"data": self._data}), {}))


@pytest.mark.parametrize(
    ("options", "version"), [(None, 1), ({}, 1), ({"version": "1"}, 1), ({"version": "2", "other": "x"}, 2)]
)
async def test_the_version_that_the_server_tells(options: object, version: int) -> None:
    """A mount without a version is of the first."""
    assert await kv_version(cast("Transport", _Says(options))) == (version, bool(options))


@pytest.mark.parametrize(
    "options", [{"x": 5}, {"version": 2}, {"version": "3"}, {"version": None}, {"version": ["2"]}, [], "2", 2]
)
async def test_nonsense_is_no_version(options: object) -> None:
    """What makes no sense is an error of the store: 2 taken for 1 would see no secret and write beside them."""
    with pytest.raises(MalformedAnswer):
        await kv_version(cast("Transport", _Says(options)))


@pytest.mark.parametrize("options", [{}, None, {"x": "y"}])
async def test_a_version_that_is_left_out(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount, options: object
) -> None:
    """A mount without a version is of the first; with what version 2 keeps in it, nothing counts as absent."""
    name = mount(openbao, 1)
    async with FaultyHttp(openbao.address) as relay:
        relay.alter("ui/mounts/", lambda body: with_value(body, ("data", "options"), options))
        for holds, error in (("app/db", SecretNotFound), ("metadata/app", StoreError)):
            api.put(name, holds, {"a": "1"}, version=1)
            store = await vault_store_factory(1, mount=name, address=relay.address)
            assert (await store.read(holds)).value.reveal() == {"a": "1"}
            for _ in range(2):
                with pytest.raises(error) as raised:
                    await store.read("none")
                assert type(raised.value) is error
        with pytest.raises(StoreError, match="which version of KV"):
            await anext(store.stat(["none/none"]), None)
        pinned = await vault_store_factory(1, mount=name, address=relay.address, kvVersion=1)
        with pytest.raises(SecretNotFound):
            await pinned.read("none")
