"""Marks in KV version 2: what they cost, and what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.http import Api

from secretsync_core.errors import AccessDenied
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import MARK_KEY
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from conftest import Mount, VaultStores

    from secretsync_core.demo.openbao import OpenBaoServer

VALUE = SecretValue({"value": "x"})
MARK = "job.0123456789abcdef"


async def test_a_mark_keeps_other_custom_metadata(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, mount: Mount
) -> None:
    """Marking adds one entry, and leaves what people wrote there."""
    name = mount(openbao)
    store = await vault_store_factory(mount=name, mark=MARK)
    api = Api(openbao.address, openbao.root_token)
    await store.write("a", VALUE)
    api.call("POST", f"{name}/metadata/a", {"custom_metadata": {"team": "payments"}})
    await store.mark("a")
    custom = api.call("GET", f"{name}/metadata/a")["data"]["custom_metadata"]
    assert custom == {"team": "payments", MARK_KEY: MARK}
    api.close()


async def test_without_a_mark_nothing_is_asked_twice(vault_store_factory: VaultStores) -> None:
    """A mark is one request more for a secret that is created, and none for one that is not."""
    gates = CountingGate(), CountingGate()
    plain, marking = await vault_store_factory(gate=gates[0]), await vault_store_factory(gate=gates[1], mark=MARK)
    for store in (plain, marking):
        for key in ("a", "b"):
            token = await store.write_if(key, VALUE, None)
            await store.write_if(key, VALUE, token)
    assert gates[0].counts["write"] == gates[1].counts["write"] == 4
    assert gates[0].counts["mark"] == 0
    assert gates[1].counts["mark"] == 2


async def test_who_may_not_mark_creates_nothing(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, mount: Mount
) -> None:
    """Where the policy has no patch on the metadata, the error comes before the write and says what to grant."""
    name = mount(openbao)
    api = Api(openbao.address, openbao.root_token)
    rules = "".join(
        f'path "{name}/{part}/*" {{ capabilities = ["create", "read", "update", "list"] }}\n'
        for part in ("data", "metadata")
    )
    api.call("PUT", f"sys/policies/acl/{name}", {"policy": rules})
    token = api.call("POST", "auth/token/create", {"policies": [name]})["auth"]["client_token"]
    store = await vault_store_factory(mount=name, mark=MARK, auth={"token": {"value": token}})
    with pytest.raises(AccessDenied) as caught:
        await store.write_if("a", VALUE, None)
    assert f"grant patch on {name}/metadata/*" in caught.value.hint
    assert api.ask("GET", f"{name}/data/a").status == 404
    api.close()
