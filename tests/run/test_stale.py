"""A server that is behind, another one, and versions that went back: they decide nothing until somebody says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.restoring import Servers

from run.world import actions, counted, reasons, wrote
from secretsync_core.errors import UsageError
from secretsync_core.model.report import Result
from secretsync_core.stores import memory

if TYPE_CHECKING:
    from run.world import World

APP = "- {name: app, query: {path: app}}"
DELETING = {"deletionPolicy": "Delete", "maxDelete": "100%"}
VALUES = {"app/a": {"x": "1"}, "app/b": {"x": "1"}}


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    """What the stores in memory tell of themselves."""
    return Servers(monkeypatch)


async def _rotated(world: World, servers: Servers) -> Any:
    """Two secrets are copied; then one is rotated and one is made, and copied. Gives the source of before that."""
    world.job(APP, **DELETING)
    await world.seed("src", VALUES)
    assert (await world.sync()).ok
    before = servers.snapshot("src")
    await world.put("src", "app/a", {"x": "2"})
    await world.put("src", "app/new", {"x": "1"})
    assert (await world.sync()).ok
    return before


NOW = {"app/a": {"x": "2"}, "app/b": {"x": "1"}, "app/new": {"x": "1"}}


async def test_a_source_that_is_behind_decides_nothing(world: World, servers: Servers) -> None:
    """Its position is lower than the ledger knows: no rollback, no delete, the run fails, and the plan says it."""
    servers.restore("src", await _rotated(world, servers))
    planned = await world.plan()
    assert actions(planned) == {}
    assert [error.code for error in planned.errors] == ["server-behind"]
    report = await world.sync()
    assert [(error.item, error.code) for error in report.errors] == [("app", "server-behind")]
    assert "--restored src" in report.errors[0].hint
    assert (report.verdict, wrote(report)) == ("failed", 0)
    assert await world.all("dst") == NOW
    assert not (await world.sync()).ok  # what was behind once is not what the ledger knows from then on


async def test_a_source_that_was_restored_is_followed_when_it_is_said(world: World, servers: Servers) -> None:
    """With ``restored`` its state is taken over, deletes included, and its new position is the known one."""
    servers.restore("src", await _rotated(world, servers))
    assert actions(await world.plan(restored={"src"})) == {
        "app/a": "update",
        "app/b": "unchanged",
        "app/new": "delete",
    }
    assert not (await world.plan()).changes  # a plan keeps nothing
    report = await world.sync(restored={"src"})
    assert report.ok
    assert await world.all("dst") == VALUES
    assert counted(await world.sync()) == {"unchanged": 2}


async def test_a_version_that_went_back_is_refused(world: World, servers: Servers) -> None:
    """A raft that was restored goes on counting: there the versions tell, and every absence is in doubt with them."""
    servers.restore("src", await _rotated(world, servers), higher=True)
    planned = await world.plan()
    assert actions(planned) == {"app/a": "refuse", "app/b": "unchanged"}
    assert "version 1, older than 2" in planned.changes[0].detail
    report = await world.sync()
    assert reasons(report.failures) == {"app/a": "older-version"}
    assert not report.ok
    assert await world.all("dst") == NOW
    assert (await world.sync(restored={"src"})).ok
    assert await world.all("dst") == VALUES
    assert (await world.sync()).ok


async def test_other_items_of_that_source_delete_nothing_either(world: World, servers: Servers) -> None:
    """What was restored lacks what was made since, wherever it is: one old version is enough to know."""
    world.job(
        "- {name: app, query: {path: app}}\n- {name: web, query: {path: web}}\n- {name: one, query: {path: one}}",
        **DELETING,
    )
    await world.seed("src", {"app/a": {"x": "1"}})
    before = servers.snapshot("src")
    await world.seed("src", {"app/a": {"x": "2"}, "web/new": {"x": "1"}})
    assert (await world.sync()).ok
    servers.restore("src", before, higher=True)
    report = await world.sync()
    assert not report.ok
    assert await world.all("dst") == {"app/a": {"x": "2"}, "web/new": {"x": "1"}}


async def test_a_secret_that_was_made_anew_is_not_older(world: World, servers: Servers) -> None:
    """Its number begins at 1 again, and its time goes on: it is copied."""
    await _rotated(world, servers)
    memory.purge("src", "app/a")
    await world.put("src", "app/a", {"x": "9"})
    servers.silent.add("src")
    assert (await world.sync()).ok
    assert (await world.get("dst", "app/a")) == {"x": "9"}


async def test_a_key_of_another_source_is_not_compared(world: World, servers: Servers) -> None:
    """An item that draws on another secret now takes it, whatever its version."""
    await world.seed("src", {"one": {"x": "old"}})
    await world.seed("src", {"two": {"x": "1"}})
    await world.seed("src", {"two": {"x": "2"}})
    renamed = "- {name: app, secret: {key: KEY}, keyTransform: [{regexp: {source: '.*', target: app}}]}"
    world.job(renamed.replace("KEY", "two"))
    assert (await world.sync()).ok
    world.job(renamed.replace("KEY", "one"))
    assert (await world.sync()).ok
    assert await world.all("dst") == {"app": {"x": "old"}}


async def test_another_server_decides_nothing(world: World, servers: Servers) -> None:
    """The source calls itself otherwise than the ledger knows: refused, also where it is further on."""
    await _rotated(world, servers)
    servers.names["src"] = "src-2"
    memory.purge("src", "app/b")
    report = await world.sync()
    assert [(error.item, error.code) for error in report.errors] == [("app", "other-server")]
    assert await world.all("dst") == NOW
    assert (await world.sync(restored={"src"})).ok
    assert (await world.sync()).ok
    servers.names["src"] = "src-1"
    assert not (await world.sync()).ok


async def test_a_destination_that_is_behind_tells_of_no_drift(world: World, servers: Servers) -> None:
    """Neither a check nor a sync takes its old state for somebody's work."""
    world.job(APP, **DELETING)
    await world.seed("src", VALUES)
    assert (await world.sync()).ok
    before = servers.snapshot("dst")
    await world.put("src", "app/a", {"x": "2"})
    assert (await world.sync()).ok
    servers.restore("dst", before)
    for report in (await world.check(), await world.sync()):
        assert [(error.item, error.code) for error in report.errors] == [("", "server-behind")]
        assert report.drifted_count == 0
        assert wrote(report) == 0
    report = await world.sync(restored={"dst"})
    assert report.ok
    assert counted(report) == {"updated": 1, "unchanged": 1}
    assert (await world.get("dst", "app/a")) == {"x": "2"}


async def test_an_old_version_at_a_destination_is_no_drift(world: World, servers: Servers) -> None:
    """Where it tells no position, its versions do: it is refused and not overwritten, and a check says why."""
    servers.silent.add("dst")
    world.job(APP)
    await world.seed("src", VALUES)
    assert (await world.sync()).ok
    before = servers.snapshot("dst")
    await world.put("src", "app/a", {"x": "2"})
    assert (await world.sync()).ok
    servers.restore("dst", before)
    for report in (await world.check(), await world.sync()):
        assert reasons(report.failures) == {"app/a": "older-version"}
        assert (report.drifted_count, wrote(report)) == (0, 0)


async def test_what_our_own_write_replaced_is_not_drift_for_a_while(world: World, servers: Servers) -> None:
    """A store that lags shows the version of before: it counts as we left it, and nothing is read or written."""
    servers.silent.add("dst")
    servers.unordered.add("dst")
    world.job(APP)
    await world.seed("src", VALUES)
    assert (await world.sync()).ok
    before = servers.snapshot("dst")
    await world.put("src", "app/a", {"x": "2"})
    assert (await world.sync()).ok
    now = servers.snapshot("dst")
    servers.restore("dst", before)
    for report in (await world.check(), await world.sync(), await world.check(verify=True)):
        assert report.ok
        assert (report.drifted_count, wrote(report)) == (0, 0)
    servers.restore("dst", now)
    await world.put("dst", "app/a", {"x": "theirs"})
    assert (await world.check()).drifted_count == 1


async def test_after_a_while_it_is_drift(world: World, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever puts the version of before back on purpose is told of it once the time for lags has passed."""
    servers.silent.add("dst")
    servers.unordered.add("dst")
    world.job(APP)
    await world.seed("src", VALUES)
    assert (await world.sync()).ok
    before = servers.snapshot("dst")
    await world.put("src", "app/a", {"x": "2"})
    assert (await world.sync()).ok
    servers.restore("dst", before)
    monkeypatch.setattr("secretsync_core.run.older_versions.LAG_SECONDS", -1)
    assert (await world.check()).drifted_count == 1


async def test_a_read_that_is_older_than_the_listing_is_not_copied(world: World, servers: Servers) -> None:
    """Of several servers behind one address one may be behind: the copy fails, and the older value stays away."""
    servers.silent.add("src")
    world.job(APP)
    await world.seed("src", {"app/a": {"x": "old"}})
    before = servers.snapshot("src")
    await world.put("src", "app/a", {"x": "new"})

    async def back(_: str) -> None:
        servers.restore("src", before)

    world.fault("src").run("read", back)
    report = await world.sync()
    assert reasons(report.failures) == {"app/a": "new"}
    assert [outcome.code for outcome in report.failures] == ["server-behind"]
    assert report.total(Result.CREATED) == 0
    assert await world.all("dst") == {}


async def test_nothing_is_written_where_nothing_moved(world: World, servers: Servers) -> None:
    """The ledger keeps a position once for each store and run that moved on; a plan and a check keep none."""
    world.job(APP)
    await world.seed("src", VALUES)
    await world.plan()
    assert world.ledger.places.positions() == {}
    await world.sync()
    kept = world.ledger.places.positions()
    assert sorted(kept.values()) == ['["dst-1",2]', '["src-1",2]']
    await world.put("src", "app/c", {"x": "1"})
    await world.check()
    await world.plan()
    assert world.ledger.places.positions() == kept


async def test_a_run_of_another_job_makes_no_server_look_old(world: World, servers: Servers) -> None:
    """What another run keeps while this one looks is not held against what this one was told before."""
    world.job(APP)
    await world.seed("src", VALUES)
    assert (await world.sync()).ok
    place = next(place for place in world.ledger.places.positions() if '"src/"' in place)

    async def further(_: str) -> None:
        from secretsync_core.model.place import place_of_text

        found = place_of_text(place)
        assert found is not None
        ledger = world.another_ledger()
        ledger.places.reached(found, '["src-1",99]')
        ledger.close()

    world.fault("src").run("list", further)
    assert (await world.sync()).ok
    assert world.ledger.places.positions()[place] == '["src-1",99]'


async def test_a_store_that_the_job_does_not_have_is_a_wrong_call(world: World, servers: Servers) -> None:
    """A name that is mistyped would leave everything refused, and nobody the wiser."""
    from secretsync_core.run.items import check_restored

    world.job(APP)
    check_restored({"src", "dst"}, world.documents.jobs.values())
    with pytest.raises(UsageError, match="no SyncJob") as raised:
        check_restored({"scr"}, world.documents.jobs.values())
    assert "did you mean src?" in raised.value.hint
