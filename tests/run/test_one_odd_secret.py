"""One secret's fault is that secret's: it fails by its name, and the others go on, however many faults there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from run.world import actions, counted
from secretsync_core.errors import SecretFails
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from typing import Any

    from run.world import World
    from secretsync_core.secret import Secret


def _break(world: World, broken: Collection[str]) -> None:
    """Let stores fail at these secrets, within the requests, as a server does that cannot read what it has stored."""
    read = MemoryStore.read

    async def tried(store: MemoryStore, key: str, version: str | None = None) -> Secret:
        def fail() -> None:
            raise SecretFails(f"the store fails to read {key}", store=store.facts.name, key=key)

        if key in broken:
            await store._run("read", fail)
        return await read(store, key, version)

    world.patch.setattr(MemoryStore, "read", tried)


async def test_broken_secrets_do_not_starve_the_rest(world: World) -> None:
    """Five secrets that the source fails at, ahead of all others, fail by name in every run; the others are copied."""
    world.job("- {name: app, query: {path: app}}", limits="{concurrency: 1}")
    broken = [f"app/a{number}" for number in range(5)]
    await world.seed("src", {key: {"x": "1"} for key in [*broken, "app/b", "app/c"]})
    _break(world, broken)
    assert actions(await world.plan()) == {**dict.fromkeys(broken, "refuse"), "app/b": "create", "app/c": "create"}
    first = await world.sync()
    assert counted(first) == {"failed": 5, "created": 2}
    assert first.errors == []  # nothing happened to the store
    assert {(each.change.key, each.code) for each in first.failures} == {(key, "secret-fails") for key in broken}
    assert counted(await world.sync()) == {"failed": 5, "unchanged": 2}


async def test_a_copy_that_cannot_be_seen_is_not_deleted(world: World) -> None:
    """Its source is gone, and its destination fails to show it: refused by its name, with what the store said."""
    world.job("- {name: app, query: {path: app}}", deletionPolicy="Delete", maxDelete="100%")
    await world.seed("src", {"app/a": {"x": "1"}, "app/b": {"x": "1"}, "app/c": {"x": "1"}})
    await world.sync()
    await world.remove("src", "app/a")
    await world.remove("src", "app/b")
    world.fault("dst").gap("stat", Gap("app/a", SecretFails.code, "dst fails to show app/a", is_key=True))
    assert actions(await world.plan()) == {"app/a": "refuse", "app/b": "delete", "app/c": "unchanged"}
    report = await world.sync()
    assert [(each.change.key, each.code, each.message) for each in report.failures] == [
        ("app/a", "secret-fails", "dst fails to show app/a")
    ]
    assert "app/a" in await world.all("dst")


async def test_more_fields_than_the_ledger_can_name(world: World) -> None:
    """With Merge, a secret of more fields than the ledger has room for is refused by its name, in plan and sync."""
    world.job("- {name: app, query: {path: app}}", writePolicy="Merge")
    await world.seed("src", {"app/a": {f"f{number}": "1" for number in range(1100)}, "app/b": {"x": "1"}})
    await world.put("dst", "app/a", {"theirs": "1"})
    assert actions(await world.plan()) == {"app/a": "refuse", "app/b": "create"}
    report = await world.sync()
    assert counted(report) == {"failed": 1, "created": 1}
    (failure,) = report.failures
    assert failure.code == "invalid-secret"
    assert "app/a" in failure.message
    assert "1,100" in failure.message
    assert world.sound()


async def test_a_version_that_the_ledger_cannot_hold(world: World) -> None:
    """A store whose versions are too long for one secret hides that one: it is named, and the others are copied."""
    world.job("- {name: app, query: {path: app}}", deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {"app/a": {"x": "1"}, "app/b": {"x": "1"}})
    whole = MemoryStore.list

    async def listed(store: MemoryStore, prefix: str, **how: Any) -> AsyncIterator[Entry | Gap]:
        async for found in whole(store, prefix, **how):
            odd = isinstance(found, Entry) and found.key == "app/a" and store.facts.name == "src"
            yield found._replace(version="1" * 300) if odd and isinstance(found, Entry) else found

    await world.sync()
    await world.put("src", "app/c", {"x": "1"})
    world.patch.setattr(MemoryStore, "list", listed)
    for report in (await world.plan(), await world.sync()):
        (error,) = report.errors
        assert "app/a in src has a version that is none" in error.message
    assert sorted(await world.all("dst")) == ["app/a", "app/b", "app/c"]
