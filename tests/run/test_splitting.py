"""One destination secret for each field of a source secret, and many put together again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run.world import World, actions, counted, reasons, wrote
from secretsync_core.errors import AccessDenied, DocumentError, StoreUnavailable
from secretsync_core.run.watch import Watch

if TYPE_CHECKING:
    from secretsync_core.model.report import Report

SPLIT = "- {name: all, split: fields, query: {recursive: true}}"
DB = {"user": "alice", "pass": "s3cret"}


def _reads(report: Report, store: str = "src") -> int:
    return report.requests.get(store, {}).get("read", 0)


async def _touched(world: World) -> set[str]:
    documents = world.documents
    seen = await Watch().look(documents.jobs.values(), documents, world.ledger, environ={})
    return set(seen["job"].touched)


async def test_each_field_becomes_a_secret(world: World) -> None:
    """A field is called after its secret and itself, and is the text of a blob, or the field `value`."""
    world.store("blobs", "memory: {shape: blob}")
    await world.put("src", "billing/db", DB)
    world.job(SPLIT, dest="[dst, blobs]")
    assert (await world.sync()).ok
    assert await world.all("dst") == {"billing/db/user": {"value": "alice"}, "billing/db/pass": {"value": "s3cret"}}
    assert await world.all("blobs") == {"billing/db/user": b"alice", "billing/db/pass": b"s3cret"}


async def test_what_stands_is_not_read(world: World) -> None:
    """While a source stays at its version none of its fields is read or written, however many there are."""
    await world.seed("src", {f"s{number}": {"a": "1", "b": "2", "c#%": "3"} for number in range(5)})
    world.job(SPLIT)
    first = await world.sync()
    assert counted(first) == {"created": 15}
    second = await world.sync()
    assert (counted(second), wrote(second), _reads(second)) == ({"unchanged": 15}, 0, 0)
    assert await _touched(world) == set()
    # Only the one that changes is read: once to see its fields, once to write.
    await world.put("src", "s3", {"a": "1", "b": "changed", "c#%": "3"})
    assert await _touched(world) == {"all"}
    third = await world.sync()
    assert counted(third) == {"unchanged": 14, "updated": 1}
    assert _reads(third) == 2


async def test_fields_come_and_go(world: World) -> None:
    """A new field is created; one that is gone is deleted where the policy says so, and only what was ours."""
    await world.put("src", "db", DB)
    world.job(SPLIT, deletionPolicy="Delete", maxDelete="100%")
    await world.sync()
    await world.put("src", "db", {"user": "alice", "host": "h"})
    assert actions(await world.plan()) == {"db/user": "unchanged", "db/host": "create", "db/pass": "delete"}
    assert (await world.sync()).ok
    assert set(await world.all("dst")) == {"db/user", "db/host"}
    again = await world.sync()
    assert (counted(again), _reads(again)) == ({"unchanged": 2}, 0)
    await world.remove("src", "db")
    assert (await world.sync()).ok
    assert await world.all("dst") == {}
    assert world.sound()


async def test_a_run_that_stopped_half_way_is_finished_by_the_next(world: World) -> None:
    """Where only some fields were written, the ledger does not take them for all."""
    await world.put("src", "db", DB)
    world.job(SPLIT)
    world.fault("dst").fail("write_if", AccessDenied("no"), key="db/user")
    assert reasons((await world.sync()).failures) == {"db/user": "new"}
    world.faults.clear()
    assert await _touched(world) == {"all"}
    report = await world.sync()
    assert counted(report) == {"created": 1, "unchanged": 1}
    assert set(await world.all("dst")) == {"db/user", "db/pass"}


async def test_a_copy_that_drifted_is_put_right(world: World) -> None:
    """Drift of one field is seen and mended, and the others are left alone."""
    await world.put("src", "db", DB)
    world.job(SPLIT)
    await world.sync()
    await world.put("dst", "db/user", {"value": "mallory"})
    report = await world.sync()
    assert [change.key for change in report.drifted] == ["db/user"]
    assert await world.get("dst", "db/user") == {"value": "alice"}


async def test_transforms_come_before_the_split(world: World) -> None:
    """Value transforms see the whole secret, key transforms each field's key."""
    await world.put("src", "App/DB", {**DB, "debug": "1"})
    world.job(
        """
        - name: all
          split: fields
          query: {recursive: true}
          valueTransform: [{fields: {exclude: [debug], rename: {pass: Password}}}]
          keyTransform: [{case: Lower}, {replace: {characters: /, with: '-'}}, {prefix: x-}]
        """
    )
    assert (await world.sync()).ok
    assert set(await world.all("dst")) == {"x-app-db-user", "x-app-db-password"}


@pytest.mark.parametrize("dest", ["fields", "binary-fields", "blob"])
async def test_split_and_combined_again(world: World, dest: str) -> None:
    """What split took apart, combine puts together: the same fields in the same secret."""
    world.store("mid", f"memory: {{shape: {dest}}}")
    world.store("back")
    await world.put("src", "app/db", {"user": "alice", "pass": "s3cret", "json": '{"a": 1}', "empty": ""})
    world.job(SPLIT, dest="mid")
    assert (await world.sync()).ok
    world.job("- {name: one, key: app/db, combine: [{name: all, query: {path: app/db}}]}", source="mid", dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"app/db": await world.get("src", "app/db")}


@pytest.mark.parametrize(
    ("field", "child"),
    [
        (5432, {"value": 5432}),
        (None, {"value": None}),
        (["a"], {"value": ["a"]}),
        ({}, {"value": {}}),
        ({"host": "h", "port": 1}, {"host": "h", "port": 1}),
    ],
)
async def test_fields_that_are_not_text(world: World, field: Any, child: Any) -> None:
    """A number stays a number in the field `value`; an object becomes a secret of its own fields."""
    await world.put("src", "a", {"x": field})
    world.job(SPLIT)
    assert (await world.sync()).ok
    assert await world.all("dst") == {"a/x": child}


async def test_what_would_come_back_as_something_else_is_refused(world: World) -> None:
    """An object whose only field is `value` fails its field, and the others are written."""
    await world.put("src", "a", {"odd": {"value": "x"}, "even": "y"})
    world.job(SPLIT)
    report = await world.sync()
    assert [outcome.code for outcome in report.failures] == ["invalid-secret"]
    assert set(await world.all("dst")) == {"a/even"}


async def test_a_source_that_cannot_be_read_keeps_its_copies(world: World) -> None:
    """A failed read refuses that secret, syncs the others, and deletes nothing."""
    await world.seed("src", {"a": DB, "b": DB})
    world.job(SPLIT, deletionPolicy="Delete", maxDelete="100%")
    await world.sync()
    await world.put("src", "a", {"user": "new"})
    await world.put("src", "b", {**DB, "user": "bob"})
    world.fault("src").fail("read", StoreUnavailable("down"), key="a")
    report = await world.sync()
    assert reasons(report.failures)["a"] == "cannot-see"
    assert set(await world.all("dst")) == {"a/user", "a/pass", "b/user", "b/pass"}
    assert await world.get("dst", "b/user") == {"value": "bob"}
    world.faults.clear()
    assert (await world.sync()).ok
    assert set(await world.all("dst")) == {"a/user", "b/user", "b/pass"}


async def test_a_blob_without_fields_cannot_be_split(world: World) -> None:
    """Plain text is refused by name, and nothing of it is shown."""
    world.store("blobs", "memory: {shape: blob}")
    await world.put("blobs", "plain", b"only-text")
    world.job(SPLIT, source="blobs")
    (failure,) = (await world.sync()).failures
    assert failure.message == "plain in blobs is split, and has no fields"


async def test_two_fields_for_one_key_are_both_refused(world: World) -> None:
    """A collision after the key transform is told before any write, and neither field is copied."""
    await world.put("src", "a", {"x.y": "1", "x_y": "2"})
    world.job("- {name: all, split: fields, query: {}, keyTransform: [{replace: {characters: '._', with: '-'}}]}")
    report = await world.sync()
    assert {each.message for each in report.failures} == {
        "a/x-y is claimed by item all (src:a), and by item all (src:a)"
    }
    assert len(report.failures) == 2
    assert await world.all("dst") == {}


async def test_split_and_combine_exclude_each_other(world: World) -> None:
    """One item cannot do both."""
    world.job("- {name: a, key: k, split: fields, combine: [{name: q, query: {}}]}")
    with pytest.raises(DocumentError) as caught:
        _ = world.documents
    assert "split cannot be used with combine" in caught.value.problems[0].message
