"""A job whose source is all namespaces below one, on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.world import counted
from secretsync_core.errors import PlanRefused

if TYPE_CHECKING:
    from support.http import Api

    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer


async def test_a_job_copies_them_and_keeps_what_vanishes_with_its_namespace(
    world: World, openbao: OpenBaoServer, api: Api
) -> None:
    """One query takes all; a namespace that is removed takes no copy along before somebody says so."""
    api.call("POST", "sys/namespaces/teams")

    def at(name: str = "") -> Api:
        return type(api)(openbao.address, openbao.root_token, namespace=f"teams/{name}".rstrip("/"))

    for name in ("a", "b"):
        at().call("POST", f"sys/namespaces/{name}")
        at(name).call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
        at(name).put("kv", "db", {"x": name}, version=2)
    at("a").put("kv", "shop/api", {"x": "2"}, version=2)
    vault = f"address: '{openbao.address}', mount: kv, auth: {{token: {{value: {openbao.root_token}}}}}"
    world.store("src", f"vault: {{{vault}, namespace: 'teams/*'}}", "Read")
    plan = "- {name: all, query: {recursive: true}, keyTransform: [{regexp: {source: '^([^/]+)/kv/', target: '$1/'}}]}"
    world.job(plan, deletionPolicy="Delete", maxDelete="9")
    assert counted(await world.sync()) == {"created": 3}
    assert await world.get("dst", "b/db") == {"x": "b"}
    at("a").call("DELETE", "kv/metadata/db")
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 2}
    at("b").call("DELETE", "sys/mounts/kv")
    at().call("DELETE", "sys/namespaces/b")
    report = await world.sync()
    assert not report.ok
    assert await world.get("dst", "b/db") == {"x": "b"}
    assert [error.message for error in report.errors] == [
        "b/db is kept: src shows no namespace with a mount 'kv' that 'b/kv/db' could be in"
    ]
    await world.remove("dst", "b/db")
    assert (await world.sync()).ok, "what somebody deleted by hand is kept no more"
    world.store("there", f"vault: {{{vault}, namespace: 'teams/*'}}")
    world.job(plan, dest="there", source="dst")
    with pytest.raises(PlanRefused, match="there cannot be written"):
        await world.sync()
