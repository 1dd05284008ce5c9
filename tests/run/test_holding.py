"""A key has one holder: who takes it over holds it from then on, and nobody else does."""

from __future__ import annotations

import asyncio
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from run.test_places import ALL, files, other_job
from run.world import FAST, FINGERPRINT_KEY, counted, reasons
from secretsync_core.errors import AccessDenied, UsageError
from secretsync_core.run import steps
from secretsync_core.run.options import Options, Silent
from secretsync_core.run.rebinding import rebind, rename_job
from secretsync_core.stores import memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from run.world import World

EVERY = "- {name: all, query: {recursive: true}}"
DELETING = {"deletionPolicy": "Delete", "maxDelete": "100%"}


def named(world: World, name: str, plan: str, **spec: str) -> None:
    """Write another SyncJob."""
    head = "".join(f"  {field}: {value}\n" for field, value in {"source": "src", "dest": "dst", **spec}.items())
    (world.config / f"job-{name}.yaml").write_text(
        f"apiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {{name: {name}}}\n"
        f"spec:\n{head}  plan:\n{textwrap.indent(plan, '    ')}\n"
    )


def held(world: World, job: str) -> set[tuple[str, str]]:
    """What the ledger says that a job holds."""
    return {place for place, _ in world.ledger.state.keys(job)}


def taking_over(world: World) -> Callable[[str], Awaitable[None]]:
    """Lets ``job`` take over the key ``k``, once, while another job's run is under way; to be used in a fault."""
    done: list[Any] = []

    async def meanwhile(key: str) -> None:
        del key
        if done:
            return
        ledger, documents = world.another_ledger(), world.documents
        done.append(ledger)
        kept, world.faults = world.faults, {}
        await steps.sync(
            documents.jobs["job"], documents, ledger, environ={}, fingerprint_key=FINGERPRINT_KEY,
            options=Options(frozenset(), retry=FAST, adopt=frozenset(["k"])),
        )  # fmt: skip
        world.faults = kept
        ledger.close()

    return meanwhile


async def theirs(world: World) -> None:
    """A key of another job's at a destination of ours, with another value than we want there."""
    files(world, "dst", "copies")
    other_job(world, "theirs", "copies", "a/1")
    await world.put("dst", "a/1", b"theirs")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}})


async def test_a_key_changes_hands_with_the_write(world: World) -> None:
    """One record ends the one hold and begins the other."""
    await theirs(world)
    assert counted(await world.sync(adopt=["a/1"])) == {"updated": 1}
    assert (held(world, "other"), held(world, "job")) == (set(), {("dst", "a/1")})
    assert all(report.sound for report in world.ledger.verify())


async def test_a_take_over_that_fails_takes_nothing(world: World) -> None:
    """The source cannot be read: the other job holds its key as before."""
    await theirs(world)
    world.fault("src").fail("read", AccessDenied("no"), key="a/1")
    assert counted(await world.sync(adopt=["a/1"])) == {"failed": 1}
    assert (len(held(world, "other")), held(world, "job")) == (1, set())


async def test_a_take_over_that_is_stopped_takes_nothing(world: World) -> None:
    """It was announced to nobody yet."""
    await theirs(world)
    stop = asyncio.Event()

    class Stopping(Silent):
        def phase(self, name: str) -> None:
            if name == "transferring":
                stop.set()

    await world.sync(adopt=["a/1"], stop=stop, observer=Stopping())
    assert (len(held(world, "other")), held(world, "job")) == (1, set())


async def test_who_lost_a_key_meanwhile_does_not_write_it(world: World) -> None:
    """Another job takes it over between our look and our write: the conflict is no reason to write once more."""
    named(world, "a", EVERY)
    world.store("src2")
    await world.seed("src", {"k": {"x": "1"}})
    await world.sync(job="a")
    world.job("- {name: k, secret: {key: k}}", source="src2")
    await world.seed("src2", {"k": {"x": "b"}})
    await world.put("src", "k", {"x": "2"})
    world.fault("dst").run("write_if", taking_over(world), key="k")
    report = await world.sync(job="a")
    assert reasons(report.failures) == {"k": "held"}
    assert await world.get("dst", "k") == {"x": "b"}
    assert (held(world, "a"), held(world, "job")) == (set(), {("dst", "k")})


async def test_a_copy_that_is_back_and_another_jobs_is_left_alone(world: World) -> None:
    """Another job has made what we deleted, with the same value and no mark."""
    named(world, "a", EVERY, **DELETING)
    await world.seed("src", {"k": {"x": "1"}, "other": {"x": "2"}})
    await world.sync(job="a")
    await world.remove("src", "k")
    assert counted(await world.sync(job="a"))["deleted"] == 1
    world.store("src2")
    await world.seed("src2", {"k": {"x": "1"}})
    named(world, "b", "- {name: k, secret: {key: k}}", source="src2", ownership="{mark: false}")
    await world.sync(job="b")
    report = await world.sync(job="a")
    assert (counted(report), report.warnings) == ({"unchanged": 1}, [])
    assert "k" in await world.all("dst")


async def test_the_mark_of_a_former_name_takes_nothing_from_a_new_job_of_that_name(world: World) -> None:
    """A job ``a`` was renamed to ``b``, and another one is called ``a`` now."""
    named(world, "a", EVERY, **DELETING)
    await world.seed("src", {"k": {"x": "1"}, "other": {"x": "2"}})
    await world.sync(job="a")
    (world.config / "job-a.yaml").unlink()
    named(world, "b", EVERY, **DELETING)
    assert await rename_job("a", "b", world.documents, world.ledger) == 2
    await world.remove("src", "k")
    assert counted(await world.sync(job="b"))["deleted"] == 1
    world.store("src2")
    await world.seed("src2", {"k": {"x": "1"}})
    named(world, "a", "- {name: k, secret: {key: k}}", source="src2")
    await world.sync(job="a")
    assert counted(await world.sync(job="b")) == {"unchanged": 1}
    assert "k" in await world.all("dst")


async def test_a_delete_looks_once_more(world: World) -> None:
    """Somebody wrote the key while the copies were made."""
    world.job(EVERY, **DELETING)
    await world.seed("src", {"k": {"x": "1"}, "other": {"x": "2"}})
    await world.sync()
    await world.remove("src", "k")
    await world.put("src", "other", {"x": "3"})

    async def meanwhile(key: str) -> None:
        del key
        await world.put("dst", "k", {"x": "theirs"})

    world.fault("dst").run("write_if", meanwhile, key="other")
    report = await world.sync()
    assert reasons(report.failures) == {"k": "changed-outside"}
    assert await world.get("dst", "k") == {"x": "theirs"}


async def test_a_lost_answer_of_an_undo_keeps_nothing(world: World) -> None:
    """The undo of a take-over gave the secret back; that its answer was lost does not make it the job's again."""
    world.job(EVERY)
    await world.put("dst", "k", {"x": "theirs"})
    await world.put("src", "k", {"x": "1"})
    run = (await world.sync(adopt=["k"])).run
    memory.set_metadata("dst", "k", {})  # where the store carries no marks, only the ledger tells
    world.lose("k", "write_if", done=True)
    await world.undo(run, "k")
    world.faults.clear()
    await world.sync()
    assert await world.get("dst", "k") == {"x": "theirs"}
    assert world.state() == {}
    assert world.sound()


# -- Rebinding --------------------------------------------------------------------------------------------------------


async def rebound(world: World, *, same_secrets: bool) -> None:
    """Say what happened to ``dst``."""
    documents = world.documents
    await rebind(documents.jobs["job"], "dst", documents, world.ledger, same_secrets=same_secrets, environ={})


async def test_an_open_write_to_the_old_place_is_not_looked_for_at_the_new_one(world: World) -> None:
    """Somebody has the same value there: it stays theirs."""
    files(world, "dst", "p1")
    world.job(ALL, dest="dst", **DELETING)
    await world.seed("src", {"a/0": {"v": "0"}, "a/1": {"v": "1"}})
    for operation in ("write", "write_if", "create"):
        world.lose("a/1", operation, done=True)
    assert counted(await world.sync()) == {"created": 1, "uncertain": 1}
    world.faults.clear()
    (world.path / "p2/a").mkdir(parents=True)
    (world.path / "p2/a/1").write_text('{"v":"1"}')
    files(world, "dst", "p2")
    await rebound(world, same_secrets=False)
    await world.sync()
    assert not world.state()["dst", "a/1"].owned
    await world.remove("src", "a/1")
    await world.sync()
    assert (world.path / "p2/a/1").exists()


async def test_what_no_place_was_known_of_stays_behind_as_well(world: World) -> None:
    """A ledger from before there were places: --new leaves its keys, and begins anew."""
    files(world, "dst", "p1")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    with world.ledger.places._database.write() as transaction:
        transaction.run("DELETE FROM places", ())
    (world.path / "p2/a").mkdir(parents=True)
    (world.path / "p2/a/1").write_text("theirs")
    files(world, "dst", "p2")
    await rebound(world, same_secrets=False)
    assert counted(await world.sync()) == {"refused": 1}
    assert (world.path / "p2/a/1").read_text() == "theirs"


async def test_keys_are_not_moved_to_where_another_job_holds_them(world: World) -> None:
    """--moved is refused, and the job is named."""
    files(world, "dst", "p1")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    (world.path / "p2").mkdir()
    other_job(world, "o", "p2", "a/1")
    files(world, "dst", "p2")
    with pytest.raises(UsageError, match="job other holds 1 key of dst"):
        await rebound(world, same_secrets=True)
