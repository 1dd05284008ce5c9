"""A listing that does not show a key deletes nothing: the source is asked for the key itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run.world import actions, counted, reasons
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_core.model.inventory import Entry
from secretsync_core.stores import memory
from secretsync_core.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from run.world import World
    from secretsync_core.model.inventory import Gap

APP = "- {name: app, query: {path: app}}"
DELETING = {"deletionPolicy": "Delete", "maxDelete": "100%"}


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Keys that listings leave out without a word, as a policy with a filter does."""
    keys: set[str] = set()
    whole = MemoryStore.list

    async def filtered(
        store: MemoryStore, prefix: str, *, recursive: bool, metadata: bool
    ) -> AsyncIterator[Entry | Gap]:
        async for entry in whole(store, prefix, recursive=recursive, metadata=metadata):
            if not (isinstance(entry, Entry) and entry.key in keys and store.facts.name == "src"):
                yield entry

    monkeypatch.setattr(MemoryStore, "list", filtered)
    return keys


async def _synced(world: World, plan: str = APP, **secrets: dict[str, str]) -> None:
    world.job(plan, **DELETING)
    given: Any = secrets or {"a": {"x": "1"}, "b": {"x": "1"}}
    await world.seed("src", {f"app/{key}": value for key, value in given.items()})
    assert (await world.sync()).ok


async def test_a_listing_that_hides_a_key_deletes_nothing(world: World, hidden: set[str]) -> None:
    """The secret is there and the listing leaves it out: nothing of its item is deleted, and the run fails."""
    await _synced(world)
    await world.remove("src", "app/b")
    hidden.add("app/a")
    assert actions(await world.plan()) == {}
    report = await world.sync()
    assert not report.ok
    assert [(error.item, error.message) for error in report.errors] == [
        ("app", "app/a is kept: src has the secret app/a but did not list it")
    ]
    assert set(await world.all("dst")) == {"app/a", "app/b"}


@pytest.mark.parametrize("error", [AccessDenied("no"), StoreUnavailable("down")])
async def test_a_key_that_cannot_be_read_is_not_gone(world: World, hidden: set[str], error: Exception) -> None:
    """Refused and unreachable are no absence."""
    await _synced(world)
    hidden.add("app/a")
    world.fault("src").fail("read", error, key="app/a")
    report = await world.sync()
    assert [each.code for each in report.errors] == [getattr(error, "code", "")]
    assert "app/a" in await world.all("dst")


async def test_deletes_cost_a_look_each(world: World) -> None:
    """For each secret that is to be deleted the source is read in the survey and right before, and for no other."""
    await _synced(world)
    await world.remove("src", "app/a")
    report = await world.sync()
    assert counted(report) == {"deleted": 1, "unchanged": 1}
    assert report.requests["src"]["read"] == 2


@pytest.mark.parametrize(
    "item",
    [
        "{name: app, query: {path: app, key: {exclude: [a$]}}}",
        "{name: app, query: {path: app, key: {regexp: b$}}}",
        "{name: app, query: {path: app}, keyTransform: [{regexp: {source: a$, target: c}}]}",
        "{name: app, query: {path: app, metadata: {team: b}}}",
        "{name: app, secret: {key: app/b}}",
    ],
)
async def test_what_is_selected_no_more_is_told_apart(world: World, item: str) -> None:
    """A secret that is there and that the item asks for no more is not called gone from the source."""
    await _synced(world)
    memory.set_metadata("src", "app/b", {"team": "b"})
    world.job(f"- {item}", **DELETING)
    planned = await world.plan()
    assert reasons([change for change in planned.changes if change.action == "delete"]) == {"app/a": "not-selected"}
    assert counted(await world.sync())["deleted"] == 1
    assert {record.draft.reason for record in world.records() if record.draft.action == "delete"} == {"not-selected"}


async def test_a_hidden_key_with_labels_is_not_deselected(world: World, hidden: set[str]) -> None:
    """Whether metadata still selects a secret that was not listed cannot be seen: it stays."""
    await world.seed("src", {"app/a": {"x": "1"}, "app/b": {"x": "1"}})
    for key in ("app/a", "app/b"):
        memory.set_metadata("src", key, {"team": "b"})
    world.job("- {name: app, query: {path: app, metadata: {team: b}}}", **DELETING)
    assert (await world.sync()).ok
    hidden.add("app/a")
    assert "deleted" not in counted(await world.sync())


async def test_a_renamed_item_with_a_mistyped_key_loses_nothing(world: World) -> None:
    """An item that is renamed, and whose key is mistyped in the same change, keeps its live copy."""
    plan = f"{APP}\n- {{name: billing, secret: {{key: billing}}}}"
    await world.put("src", "billing", {"x": "live"})
    await _synced(world, plan)
    world.job(plan.replace("billing, secret: {key: billing}", "api, secret: {key: biling}"), **DELETING)
    planned = await world.plan()
    assert actions(planned) == {"app/a": "unchanged", "app/b": "unchanged", "biling": "refuse"}
    assert any("not deleted from dst: billing" in warning for warning in planned.warnings)
    assert counted(await world.sync()) == {"unchanged": 2, "refused": 1}
    assert await world.get("dst", "billing") == {"x": "live"}


async def test_a_combined_secret_goes_with_all_of_its_sources(world: World, hidden: set[str]) -> None:
    """The ledger knows what a combined secret was made of: it goes once every one of these is gone, and not before."""
    await _synced(
        world, "- {name: all, key: all, combine: [{name: q, query: {path: app}}]}", a={"x": "1"}, b={"y": "1"}
    )
    hidden.update({"app/a", "app/b"})
    assert "deleted" not in counted(await world.sync())
    await world.remove("src", "app/a")
    assert "deleted" not in counted(await world.sync())
    await world.remove("src", "app/b")
    assert counted(await world.sync()) == {"deleted": 1}


async def test_a_combined_secret_of_an_older_ledger_stays(world: World) -> None:
    """Where the ledger does not say what a secret was made of, nobody can tell whether that is gone."""
    await _synced(
        world, "- {name: all, key: all, combine: [{name: q, query: {path: app}}]}", a={"x": "1"}, b={"y": "1"}
    )
    done = [record.draft for record in world.records() if record.draft.event == "done"]
    world.ledger.append("job", [done[-1]._replace(source="", source_key="")])
    for key in ("app/a", "app/b"):
        await world.remove("src", key)
    report = await world.sync()
    assert "deleted" not in counted(report)
    assert "does not say what it was made of" in report.errors[0].message


async def test_a_field_of_a_split_secret(world: World, hidden: set[str]) -> None:
    """A field that its secret lost takes its copy along; a secret that is only hidden keeps all of them."""
    await _synced(world, "- {name: app, query: {path: app}, split: fields}", a={"x": "1", "y": "2"}, b={"z": "3"})
    await world.put("src", "app/a", {"x": "1"})
    assert counted(await world.sync())["deleted"] == 1
    assert set(await world.all("dst")) == {"app/a/x", "app/b/z"}
    hidden.add("app/b")
    assert "deleted" not in counted(await world.sync())


async def test_a_key_that_the_ledger_had_to_escape(world: World) -> None:
    """A source key that cannot be printed is looked for as itself, and not by the name that the ledger has for it."""
    await world.seed("src", {"app/a\x07": {"x": "1"}, "app/b": {"x": "1"}})
    rename = 'keyTransform: [{regexp: {source: "a.$", target: c}}]'
    world.job(f"- {{name: app, query: {{path: app}}, {rename}}}", **DELETING)
    assert (await world.sync()).ok
    world.job(f"- {{name: app, query: {{path: app, key: {{exclude: [^a]}}}}, {rename}}}", **DELETING)
    planned = await world.plan()
    assert reasons([change for change in planned.changes if change.action == "delete"]) == {"app/c": "not-selected"}
