"""On a real KV2 a mark outlives the secret that it was set on, and so proves nothing of the next one at that key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.dying import killed
from run.world import counted, reasons
from secretsync_core.errors import StoreUnavailable

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


async def test_an_old_mark_does_not_settle_a_create_that_was_killed(
    world: World, openbao: OpenBaoServer, api: Api, deleted: str
) -> None:
    """Where no value may be read the mark tells who has made a secret, but not one that was there before it."""
    vault = f"address: '{api.address}', mount: {deleted}, auth: {{token: {{value: {api.token}}}}}"
    world.store("dst", f"vault: {{{vault}}}", "Write\n  look: true")
    await world.put("src", "k", {"x": "9"})
    await killed(world, written=False)
    api.put(deleted, "k", {"x": "theirs"})
    assert reasons((await world.sync()).failures) == {"k": "not-managed"}
    assert api.get(deleted, "k") == {"x": "theirs"}


@pytest.mark.parametrize("history", ["deleted", "destroyed", "metadata only", "none"])
async def test_what_is_created_is_marked_whatever_the_key_has_been_through(
    world: World, openbao: OpenBaoServer, api: Api, mount: Mount, history: str
) -> None:
    """A key that somebody deleted or destroyed, or of which there is metadata alone, carries the mark once we write."""
    name = mount(openbao)
    vault = f"address: '{api.address}', mount: {name}, auth: {{token: {{value: {api.token}}}}}"
    world.store("dst", f"vault: {{{vault}}}")
    if history == "metadata only":
        api.call("POST", f"{name}/metadata/k", {"custom_metadata": {"team": "x"}})
    elif history != "none":
        api.put(name, "k", {"x": "old"})
        api.call(*(("DELETE", f"{name}/data/k") if history == "deleted" else ("PUT", f"{name}/destroy/k")),
                 *([] if history == "deleted" else [{"versions": [1]}]))  # fmt: skip
    await world.put("src", "k", {"x": "1"})
    world.job("- {name: all, query: {recursive: true}}", ownership="{mark: true}")
    report = await world.sync()
    assert counted(report) == {"created": 1}
    custom = api.call("GET", f"{name}/metadata/k")["data"]["custom_metadata"]
    assert custom["secretsync.io/owner"].startswith("job.")
    assert custom.get("team") == ("x" if history == "metadata only" else None)
    await world.put("src", "k", {"x": "2"})
    assert "mark" not in (await world.sync()).requests["dst"]  # an update costs no more than without marks


async def test_a_creation_without_an_answer_is_marked_too(
    world: World, openbao: OpenBaoServer, api: Api, mount: Mount
) -> None:
    """The answer to the write, or to the mark after it, is lost: once it is known to be made, the mark is put."""
    name = mount(openbao)
    vault = f"address: '{api.address}', mount: {name}, auth: {{token: {{value: {api.token}}}}}"
    world.store("dst", f"vault: {{{vault}}}")
    world.job("- {name: all, query: {recursive: true}}", ownership="{mark: true}")
    for kind, times in (("write", 1), ("mark", 3)):
        await world.put("src", kind, {"x": "1"})
        faults = world.gate_fault("dst")
        faults.fail(kind, StoreUnavailable("no answer"), times=times, after=kind == "write")
        if kind == "write":  # and no attempt after it comes through
            faults.fail(kind, StoreUnavailable("no answer"), first=2, times=2)
        report = await world.sync()
        assert report.ok
        faults.clear()
        custom = api.call("GET", f"{name}/metadata/{kind}")["data"]["custom_metadata"]
        assert custom["secretsync.io/owner"].startswith("job.")
