"""Undo on a real OpenBao: former versions by compare-and-set, deletes taken back, and what its server has destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run.world import actions, counted

if TYPE_CHECKING:
    from conftest import Mount
    from support.http import Api

    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer

APP = "- {name: app, query: {path: app}}"


class Bao:
    """A world whose destination is one mount of the server."""

    def __init__(self, world: World, api: Api, mount: str) -> None:
        self.world, self.api, self.mount = world, api, mount
        self.opened_by(api.token)

    def opened_by(self, token: str, **spec: str) -> None:
        """Write the documents: the destination is opened with this token."""
        vault = f"address: '{self.api.address}', mount: {self.mount}, auth: {{token: {{value: {token}}}}}"
        self.world.store("dst", f"vault: {{{vault}}}")
        self.world.job(APP, deletionPolicy="Delete", maxDelete="5", **spec)

    def get(self, key: str) -> dict[str, Any] | None:
        """What stands at the destination."""
        return self.api.get(self.mount, key)

    def versions(self, key: str) -> dict[str, Any]:
        """The metadata of every version of a secret."""
        found = self.api.call("GET", f"{self.mount}/metadata/{key}")
        versions: dict[str, Any] = found["data"]["versions"]
        return versions

    async def rotated(self) -> str:
        """A run that updated ``a``, deleted ``b`` and created ``d``; gives it."""
        world = self.world
        await world.seed("src", {f"app/{name}": {"x": f"{name} 1"} for name in "abc"})
        await world.sync()
        await world.put("src", "app/a", {"x": "a 2"})
        await world.put("src", "app/d", {"x": "d 1"})
        await world.remove("src", "app/b")
        report = await world.sync()
        assert counted(report) == {"updated": 1, "created": 1, "deleted": 1, "unchanged": 1}
        return report.run


@pytest.fixture
def bao(world: World, openbao: OpenBaoServer, api: Api, mount: Mount) -> Bao:
    """A fresh mount as the destination."""
    return Bao(world, api, mount(openbao))


async def test_a_run_is_undone_and_redone(bao: Bao) -> None:
    """Undo gives new versions of the former values and undeletes; its own undo gives back what the run left."""
    run = await bao.rotated()
    assert actions(await bao.world.plan_undo(run)) == {"app/a": "update", "app/b": "create", "app/d": "delete"}
    report = await bao.world.undo(run)
    assert counted(report) == {"updated": 1, "created": 1, "deleted": 1}
    assert [bao.get(f"app/{name}") for name in "abcd"] == [{"x": "a 1"}, {"x": "b 1"}, {"x": "c 1"}, None]
    assert (len(bao.versions("app/a")), len(bao.versions("app/b"))) == (3, 1)
    assert (await bao.world.check()).drifted_count == 0
    assert actions(await bao.world.plan()) == {
        "app/a": "update", "app/b": "delete", "app/c": "unchanged", "app/d": "create",
    }  # fmt: skip
    await bao.world.undo(report.run)
    assert [bao.get(f"app/{name}") for name in "abcd"] == [{"x": "a 2"}, None, {"x": "c 1"}, {"x": "d 1"}]
    assert counted(await bao.world.sync()) == {"unchanged": 3}
    assert bao.world.sound()


async def test_what_the_server_destroyed_is_told_in_the_plan(bao: Bao) -> None:
    """Versions that were destroyed, and a secret that is gone with all its metadata, cannot come back: listed."""
    run = await bao.rotated()
    bao.api.call("PUT", f"{bao.mount}/destroy/app/a", {"versions": [1]})
    bao.api.call("PUT", f"{bao.mount}/destroy/app/b", {"versions": [1]})
    planned = await bao.world.plan_undo(run)
    told = {change.key: (change.reason.value, change.detail) for change in planned.changes}
    assert told["app/a"] == ("no-former-version", "version 1 of app/a is destroyed in dst")
    assert told["app/b"] == ("no-former-version", "app/b is destroyed in dst")
    bao.api.call("DELETE", f"{bao.mount}/metadata/app/b")
    told = {change.key: (change.reason.value, change.detail) for change in (await bao.world.plan_undo(run)).changes}
    assert told["app/b"] == ("no-former-version", "it is gone for good")
    assert counted(await bao.world.undo(run)) == {"deleted": 1, "refused": 2}
    assert bao.get("app/a") == {"x": "a 2"}


async def test_a_secret_that_was_made_anew(bao: Bao) -> None:
    """A secret that somebody removed and made again has the same version number, and is not the one that we wrote."""
    run = await bao.rotated()
    bao.api.call("DELETE", f"{bao.mount}/metadata/app/a")
    for number in (1, 2):
        bao.api.put(bao.mount, "app/a", {"x": f"theirs {number}"})
    planned = await bao.world.plan_undo(run, "app/a")
    assert [change.reason.value for change in planned.changes] == ["changed-outside"]
    assert counted(await bao.world.undo(run, "app/a")) == {"refused": 1}
    assert bao.get("app/a") == {"x": "theirs 2"}


async def test_a_token_that_may_not_undelete(bao: Bao, openbao: OpenBaoServer, make_token: Any) -> None:
    """Where the policy lacks undelete the rest is undone, and that key fails, saying what to grant."""
    run = await bao.rotated()
    rights = "create,read,update,delete,list".replace(",", '", "')
    policy = "\n".join(
        f'path "{bao.mount}/{part}/*" {{ capabilities = ["{rights}"] }}' for part in ("data", "metadata")
    )
    bao.opened_by(make_token(openbao, policy))
    report = await bao.world.undo(run)
    assert counted(report) == {"updated": 1, "deleted": 1, "failed": 1}
    (failure,) = report.failures
    assert (failure.change.key, failure.code) == ("app/b", "access-denied")
    assert bao.world.sound()
