"""Properties, pins, metadata, folders and combined secrets, from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from run.world import counted, reasons, wrote
from secretsync_core.stores import memory

if TYPE_CHECKING:
    from run.world import World


async def test_one_property(world: World) -> None:
    """One property is copied under its own name; one that is not there fails and deletes nothing."""
    world.job("- {name: one, secret: {key: k, property: a}}", deletionPolicy="Delete")
    await world.put("src", "k", {"a": "1", "b": "2"})
    await world.sync()
    assert await world.get("dst", "k") == {"a": "1"}
    await world.put("src", "k", {"b": "2"})
    assert reasons((await world.sync()).failures) == {"k": "source-changed"}
    assert await world.get("dst", "k") == {"a": "1"}


async def test_a_pinned_version(world: World) -> None:
    """A pin is copied once and stays, however the source goes on, even when its newest version is deleted."""
    world.job("- {name: one, secret: {key: k, version: 1}}")
    await world.put("src", "k", {"x": "old"})
    await world.put("src", "k", {"x": "new"})
    await world.sync()
    assert await world.get("dst", "k") == {"x": "old"}
    await world.remove("src", "k")
    report = await world.sync()
    assert (counted(report), wrote(report)) == ({"unchanged": 1}, 0)
    assert "read" not in report.requests["src"]


async def test_a_folder_is_not_a_prefix(world: World) -> None:
    """``pay`` selects what is in the folder, neither ``payments`` nor what is deeper, unless it is recursive."""
    await world.seed("src", {key: {"x": "1"} for key in ("pay", "pay/a", "pay/b/c", "payments/a")})
    world.job("- {name: q, query: {path: /pay/}}")
    await world.sync()
    assert set(await world.all("dst")) == {"pay/a"}
    world.job("- {name: q, query: {path: pay, recursive: true}}")
    await world.sync()
    assert set(await world.all("dst")) == {"pay/a", "pay/b/c"}


async def test_by_metadata(world: World) -> None:
    """Custom metadata of the source selects."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    memory.set_metadata("src", "a", {"team": "pay"})
    world.job("- {name: q, query: {metadata: {team: pay}}}")
    await world.sync()
    assert set(await world.all("dst")) == {"a"}


async def test_combined(world: World) -> None:
    """Several secrets become one; it is written again when any of them changes, comes or goes, and only then."""
    world.job("""
        - name: env
          key: env
          combine: [{name: db, secret: {key: db}}, {name: apps, query: {path: apps}}]
          valueTransform: [{template: {data: {DB: "{{ db.pass }}", APPS: "{{ apps | tojson }}"}}}]
    """)
    await world.seed("src", {"db": {"pass": "p"}, "apps/one": {"t": "1"}})
    await world.sync()
    assert await world.get("dst", "env") == {"DB": "p", "APPS": '{"one":{"t":"1"}}'}
    assert (await world.sync()).requests == {"src": {"stat": 1, "list": 1}, "dst": {"stat": 1}}
    await world.put("src", "apps/two", {"t": "2"})
    assert counted(await world.sync()) == {"updated": 1}
    await world.remove("src", "apps/one")
    assert counted(await world.sync()) == {"updated": 1}
    assert await world.get("dst", "env") == {"DB": "p", "APPS": '{"two":{"t":"2"}}'}


async def test_bytes_between_files(world: World) -> None:
    """From file to file bytes are bytes; into fields they need ``encoding: base64``, and come back from it."""
    raw = bytes(range(256))
    for name in ("files", "back"):
        world.files(name)
    await world.put("files", "k", raw)
    world.job("- {name: one, secret: {key: k}}", source="files", dest="[back, dst]")
    report = await world.sync()
    assert counted(report) == {"created": 1, "failed": 1}
    assert (report.failures[0].change.dest, report.failures[0].code) == ("dst", "invalid-secret")
    assert await world.get("back", "k") == raw
    world.job("- {name: one, secret: {key: k}, encoding: base64}", source="files", dest="dst")
    await world.sync()
    world.job(
        "- {name: one, secret: {key: k}, keyTransform: [{template: again}], encoding: base64}",
        source="dst",
        dest="back",
    )
    await world.sync()
    assert await world.get("back", "again") == raw
