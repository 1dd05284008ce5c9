"""What only the open stores tell: a plan that would read what it writes is refused before its first write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.world import counted
from secretsync_core.errors import PlanRefused

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.http import Api

    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer

COPY = "- {name: all, query: {recursive: true}, keyTransform: [{prefix: copy/}]}"


async def _refuses(world: World, *told: str) -> None:
    """The plan and the first sync are refused with these reasons, and a ledger that knows nothing still does."""
    for attempt in (world.plan, world.sync):
        with pytest.raises(PlanRefused) as refused:
            await attempt()
        assert list(refused.value.reasons) == list(told)
        assert "exclude" in refused.value.hint
    assert world.state() == {}


def _in_vault(world: World, name: str, address: str, token: str, mount: str, namespace: str = "") -> None:
    where = f", namespace: {namespace}" if namespace else ""
    section = f"address: '{address}', auth: {{token: {{value: '{token}'}}}}, mount: {mount}{where}"
    world.store(name, f"vault: {{{section}, kvVersion: 2}}")


async def test_two_addresses_of_one_server(world: World, openbao: OpenBaoServer, api: Api, mount: Mount) -> None:
    """The documents name two servers, and the cluster's id tells that they are one."""
    name = mount(openbao)
    api.put(name, "a/x", {"v": "1"})
    _in_vault(world, "src", openbao.address, openbao.root_token, name)
    _in_vault(world, "dst", openbao.address.replace("127.0.0.1", "localhost"), openbao.root_token, name)
    world.job(COPY)
    await _refuses(world, "copy/a/x in dst: item all would read it as a source (src: copy/a/x)")
    assert api.call("LIST", f"{name}/metadata/")["data"]["keys"] == ["a/"]
    world.job("- {name: all, query: {recursive: true, key: {exclude: [^copy/]}}, keyTransform: [{prefix: copy/}]}")
    assert counted(await world.sync()) == {"created": 1}
    assert counted(await world.sync()) == {"unchanged": 1}
    assert api.call("LIST", f"{name}/metadata/copy/")["data"]["keys"] == ["a/"]


async def test_a_namespace_in_front_of_the_mount(world: World, openbao: OpenBaoServer, api: Api) -> None:
    """One mount of a namespace, named in two ways, at two addresses."""
    api.call("POST", "sys/namespaces/feeding", {})
    try:
        inside = type(api)(openbao.address, openbao.root_token, namespace="feeding")
        inside.call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
        inside.put("kv", "x", {"v": "1"})
        _in_vault(world, "src", openbao.address, openbao.root_token, "kv", "feeding")
        _in_vault(world, "dst", openbao.address.replace("127.0.0.1", "localhost"), openbao.root_token, "feeding/kv")
        world.job(COPY)
        await _refuses(world, "copy/x in dst: item all would read it as a source (src: copy/x)")
        assert inside.call("LIST", "kv/metadata/")["data"]["keys"] == ["x"]
    finally:
        api.call("DELETE", "sys/namespaces/feeding")


async def test_a_folder_that_a_link_leads_into(world: World, tmp_path: Path) -> None:
    """The documents name two directories, and one is in the other."""
    (tmp_path / "secrets" / "inner").mkdir(parents=True)
    (tmp_path / "secrets" / "x").write_text("1")
    (tmp_path / "elsewhere").symlink_to("secrets/inner")
    world.store("src", f"file: {{path: {tmp_path / 'secrets'}}}")
    world.store("dst", f"file: {{path: {tmp_path / 'elsewhere'}}}")
    world.job("- {name: all, query: {recursive: true}}")
    await _refuses(world, "x in dst: item all would read it as a source (src: inner/x)")
    assert list((tmp_path / "secrets" / "inner").iterdir()) == []
    world.job("- {name: all, query: {}}")
    assert (await world.sync()).ok
    assert (await world.sync()).ok
    assert [path.name for path in (tmp_path / "secrets" / "inner").iterdir()] == ["x"]


async def test_what_stands_already_is_refused_too(world: World) -> None:
    """Also where the copies were made by a run of before: the targets that need no decision count."""
    world.job("- {name: all, query: {}, keyTransform: [{prefix: copy/}]}", dest="src")
    await world.put("src", "key", {"v": "1"})
    assert (await world.sync()).ok
    world.job(
        "- {name: all, query: {}, keyTransform: [{prefix: copy/}]}\n"
        "- {name: more, query: {path: copy, key: {regexp: ^key$}}, keyTransform: [{prefix: again/}]}",
        dest="src",
    )
    with pytest.raises(PlanRefused) as refused:
        await world.sync()
    assert list(refused.value.reasons) == ["copy/key in src: item more would read it as a source (src: copy/key)"]
    assert await world.all("src") == {"key": {"v": "1"}, "copy/key": {"v": "1"}}
