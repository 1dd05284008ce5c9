"""On a real KV2 a mark outlives the secret that it was set on, and so proves nothing of the next one at that key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.world import counted

if TYPE_CHECKING:
    from conftest import Mount
    from support.http import Api

    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer


@pytest.fixture
async def deleted(world: World, openbao: OpenBaoServer, api: Api, mount: Mount) -> str:
    """The destination's mount, where the job has deleted ``k``; its mark stands there still."""
    name = mount(openbao)
    vault = f"address: '{api.address}', mount: {name}, auth: {{token: {{value: {api.token}}}}}"
    world.store("dst", f"vault: {{{vault}}}")
    deleting = {"deletionPolicy": "Delete", "maxDelete": "100%", "ownership": "{mark: true}"}
    world.job("- {name: all, query: {recursive: true}}", **deleting)
    await world.seed("src", {"k": {"x": "1"}, "other": {"x": "2"}})
    await world.sync()
    await world.remove("src", "k")
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 1}
    assert api.call("GET", f"{name}/metadata/k")["data"]["custom_metadata"]
    return name


async def test_a_new_secret_under_an_old_mark_is_not_overwritten(world: World, api: Api, deleted: str) -> None:
    """The source has the key again, but somebody has made a secret of their own there."""
    api.put(deleted, "k", {"x": "theirs"})
    await world.put("src", "k", {"x": "9"})
    report = await world.sync()
    assert counted(report) == {"refused": 1, "unchanged": 1}
    assert api.get(deleted, "k") == {"x": "theirs"}


async def test_the_same_value_put_back_by_hand_is_not_deleted(world: World, api: Api, deleted: str) -> None:
    """Something needed it: the job has deleted its own copy, and this one is somebody else's."""
    api.put(deleted, "k", {"x": "1"})
    assert counted(await world.sync()) == {"skipped": 1, "unchanged": 1}
    assert api.get(deleted, "k") == {"x": "1"}
