"""Keys that the API or a server cannot hold: refused by themselves, and no sign that the server is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.faulty_http import FaultyHttp

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Entry, Gap

if TYPE_CHECKING:
    from conftest import Mount, VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer


async def test_a_server_that_takes_no_dots(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, mount: Mount
) -> None:
    """HashiCorp Vault answers 500 for ``a..b`` in KV version 1: that is the key's fault, and asking again is no use."""
    name = mount(openbao, 1)
    async with FaultyHttp(openbao.address) as proxy:
        proxy.answer(r"/a\.\.b", 500, b'{"errors":["1 error occurred:\\n\\t* relative paths not supported\\n\\n"]}')
        store = await vault_store_factory(mount=name, kvVersion=1, address=proxy.address)
        with pytest.raises(InvalidSecret, match=r"refuses the key 'a\.\.b'") as refused:
            await store.read("a..b")
        assert not refused.value.retryable
        await store.aclose()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("scans", [True, False])
async def test_listed_names_that_are_no_keys(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount, version: int, scans: bool
) -> None:
    """A name with a character that no request can carry is a gap of its own; names with blanks and dots are keys."""
    name = mount(openbao, version)
    for key in ("a..b", "t ", "plain"):
        api.put(name, key, {"v": "1"}, version=version)
    async with FaultyHttp(openbao.address) as proxy:
        proxy.alter("^(SCAN|LIST) ", lambda body: body.replace(b'"plain"', b'"pl\\u0007ain"'))
        if not scans:
            proxy.answer("^SCAN |scan=true|detailed", 405)
        store = await vault_store_factory(mount=name, kvVersion=version, address=proxy.address)
        found = [each async for each in store.list("", recursive=True, metadata=False)]
        assert sorted(each.key for each in found if isinstance(each, Entry)) == ["a..b", "t "]
        (gap,) = [each for each in found if isinstance(each, Gap)]
        assert (gap.prefix, gap.code, gap.is_key) == ("pl\x07ain", "invalid-secret", True)
        assert "\x07" not in gap.message
        await store.aclose()
