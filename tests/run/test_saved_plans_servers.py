"""Saved plans against real servers: OpenBao with both versions of KV, and Kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.pair import UP
from run.test_saved_plans import carry_out, save
from run.world import counted, reasons

if TYPE_CHECKING:
    from conftest import Mount
    from support.http import Api

    from run.pair import Pair
    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer


async def test_from_openbao_to_kubernetes(pair: Pair) -> None:
    """A plan is carried out from OpenBao to Kubernetes, a key taken over with it; any change of a Secret refuses it."""
    for name in ("changes", "goes", "stays"):
        pair.put(f"app/{name}", {"x": "1"})
    delete = {"deletionPolicy": "Delete", "maxDelete": "5"}
    assert (await pair.up(**delete)).ok
    pair.put("app/changes", {"x": "2"})
    pair.put("app/new", {"x": "1"})
    pair.put("app/theirs", {"x": "1"})
    pair.create("app-theirs", {"x": b"theirs"})
    pair.remove("app/goes")
    adopt = frozenset({"app-theirs"})
    data = await save(pair.world, adopt=adopt)
    pair.patch("app-theirs", {"metadata": {"labels": {"team": "a"}}})
    pair.patch("app-changes", {"metadata": {"labels": {"team": "a"}}})
    report = await carry_out(pair.world, data)
    assert reasons(report.failures) == {
        "app-theirs": "moved-since-plan", "app-changes": "moved-since-plan", "app-goes": "item-failed",
    }  # fmt: skip
    assert pair.secret("app-theirs") == {"x": b"theirs"}
    assert pair.secret("app-new") == {"x": b"1"}
    report = await carry_out(pair.world, await save(pair.world, adopt=adopt))
    assert (report.ok, counted(report)) == (True, {"updated": 2, "deleted": 1, "unchanged": 2})
    assert pair.secret("app-theirs") == {"x": b"1"}
    assert "app-goes" not in pair.names()


@pytest.mark.parametrize("version", [1, 2])
async def test_from_openbao_to_openbao(
    world: World, openbao: OpenBaoServer, api: Api, mount: Mount, version: int
) -> None:
    """With either version of KV a value that moved since is refused on both sides, and the rest is done."""
    mounts = {}
    for name in ("src", "dst"):
        mounts[name] = mount(openbao, version)
        world.store(
            name, f"vault: {{address: '{api.address}', mount: {mounts[name]}, auth: {{token: {{value: {api.token}}}}}}}"
        )
    world.job(UP.replace("keyTransform", "#"), deletionPolicy="Delete", maxDelete="5")

    def put(store: str, key: str, value: str) -> None:
        if version == 1:
            api.call("POST", f"{mounts[store]}/app/{key}", {"x": value})
        else:
            api.put(mounts[store], f"app/{key}", {"x": value})

    for key in ("a", "b", "c", "goes"):
        put("src", key, "1")
    assert (await world.sync()).ok
    for key in ("a", "b", "c", "new"):
        put("src", key, "2")
    data = await save(world)
    put("src", "a", "3")
    put("dst", "b", "theirs")
    report = await carry_out(world, data)
    assert reasons(report.failures) == {"app/a": "moved-since-plan", "app/b": "moved-since-plan"}
    assert counted(report) == {"created": 1, "updated": 1, "refused": 2, "unchanged": 1}
    api.call("DELETE", f"{mounts['src']}/{'metadata/' if version == 2 else ''}app/goes")
    report = await carry_out(world, await save(world))
    assert (report.ok, counted(report)) == (True, {"updated": 2, "deleted": 1, "unchanged": 2})
