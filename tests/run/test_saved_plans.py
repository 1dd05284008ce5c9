"""A saved plan: a run does what it names, as far as that is as the plan saw it, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from run.plain import Plain
from run.world import FAST, FINGERPRINT_KEY, counted, reasons
from secretsync_core.errors import PlanRefused
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.run import opening, saved_plan, steps
from secretsync_core.run.options import Options
from secretsync_core.schema.loader import load_directory
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from run.world import World
    from secretsync_core.model.report import Report

ALL = "- {name: all, query: {}}"
KEY = b"p" * 32


async def save(world: World, *items: str, **asked: Any) -> bytes:
    """Plan the job and give the plan's file."""
    documents = world.documents
    job = documents.jobs["job"]
    options = Options(frozenset(items), retry=FAST, pin_key=KEY, **asked)
    bound = saved_plan.bind(job, documents, world.ledger, options, KEY)
    planned = await steps.plan(
        job, documents, world.ledger, environ={}, fingerprint_key=FINGERPRINT_KEY, options=options
    )
    return saved_plan.seal([saved_plan.Content(bound, planned.changes, planned.named)], KEY)


async def carry_out(world: World, data: bytes, stop: asyncio.Event | None = None) -> Report:
    """Sync by a plan's file, as the command line does."""
    documents = world.documents
    plan = saved_plan.unseal(data, [KEY])
    saved_plan.check(plan, documents, world.ledger, KEY)
    options = replace(plan.options_of(plan.jobs[0], KEY), retry=FAST)
    return await steps.sync(
        documents.jobs["job"], documents, world.ledger, environ={}, fingerprint_key=FINGERPRINT_KEY, options=options,
        stop=stop,
    )  # fmt: skip


async def _synced(world: World, **spec: str) -> None:
    """Three copies, and then one of each: to create, to update and to delete."""
    world.job(ALL, **{"deletionPolicy": "Delete", "maxDelete": "5", **spec})
    await world.seed("src", {"changes": {"x": "1"}, "goes": {"x": "1"}, "stays": {"x": "1"}})
    assert (await world.sync()).ok
    await world.seed("src", {"changes": {"x": "2"}, "new": {"x": "1"}})
    await world.remove("src", "goes")


async def test_what_it_names_is_done(world: World) -> None:
    """A create, an update and a delete are done, and the run names the plan by the digest of its file."""
    await _synced(world)
    data = await save(world)
    report = await carry_out(world, data)
    assert report.ok
    assert counted(report) == {"created": 1, "updated": 1, "deleted": 1, "unchanged": 1}
    assert await world.all("dst") == {"changes": {"x": "2"}, "new": {"x": "1"}, "stays": {"x": "1"}}
    assert report.plan == saved_plan.digest_of(data)
    started = [record.draft for record in world.records() if record.draft.event == "run-started"][-1]
    assert (started.reason, started.definition) == ("plan", report.plan)
    assert world.sound()


async def test_nothing_else_is_done(world: World) -> None:
    """What came or went since is left alone with a warning, and its item does not count as brought in sync."""
    await _synced(world)
    data = await save(world)
    await world.seed("src", {"later": {"x": "1"}})
    await world.remove("src", "stays")
    report = await carry_out(world, data)
    assert reasons(report.failures) == {"goes": "item-failed"}  # its item is not whole, and so deletes nothing
    assert await world.get("dst", "later") is None
    assert await world.get("dst", "stays") == {"x": "1"}
    assert await world.get("dst", "goes") is not None
    assert [text for text in report.warnings if "2 keys need something that the saved plan does not name" in text]
    assert report.beyond == {"all"}


async def test_an_item_with_more_to_do_is_not_called_well(world: World) -> None:
    """An item that was out of sync stays so while something of it is due that the plan does not name."""
    await _synced(world)
    world.fault("dst").fail("write_if", PermissionError(), key="new")
    assert not (await world.sync()).ok
    world.faults.clear()
    data = await save(world)
    await world.seed("src", {"later": {"x": "1"}})
    assert reasons((await carry_out(world, data)).failures) == {"goes": "item-failed"}
    assert [found.item for found in world.ledger.items.out_of_sync("job")] == ["all"]


async def test_what_a_sync_would_refuse_is_refused(world: World) -> None:
    """A key that the plan does not name and a sync refuses makes the run fail as it makes a sync fail."""
    world.job("- {name: one, secret: {key: stays}}")
    await world.seed("src", {"stays": {"x": "1"}})
    assert (await world.sync()).ok
    data = await save(world)
    await world.remove("src", "stays")
    report = await carry_out(world, data)
    assert not report.ok
    assert await world.get("dst", "stays") == {"x": "1"}


@pytest.mark.parametrize("plain", [False, True], ids=["with versions", "without versions"])
async def test_a_delete_is_of_the_value_that_the_plan_saw(
    world: World, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    """Back with another value, synced and gone again: another delete than the plan's, which is refused."""

    async def opened(document: Any, context: Any) -> Any:
        store = await world._open(document, context)
        return Plain(store) if plain and document.name == "dst" else store

    monkeypatch.setattr(opening, "open_store", opened)
    await _synced(world)
    data = await save(world)
    await world.put("src", "goes", {"x": "another"})
    assert (await world.sync()).ok
    await world.remove("src", "goes")
    report = await carry_out(world, data)
    assert reasons(report.failures)["goes"] == "moved-since-plan"
    assert await world.get("dst", "goes") == {"x": "another"}


async def test_a_key_that_another_job_took_over_since_is_not_taken_over(world: World) -> None:
    """Whose a key is has changed since the plan with ``--adopt`` was made: it is refused."""
    world.job(ALL)
    await world.seed("src", {"k": {"x": "1"}})
    await world.seed("dst", {"k": {"x": "theirs"}})
    data = await save(world, adopt=frozenset({"k"}))
    mine = (world.config / "job.yaml").read_text()
    (world.config / "job.yaml").write_text(mine.replace("metadata: {name: job}", "metadata: {name: other}"))
    assert (await world.sync(adopt={"k"}, job="other")).ok
    (world.config / "job.yaml").write_text(mine)
    report = await carry_out(world, data)
    assert reasons(report.failures) == {"k": "moved-since-plan"}


async def test_what_was_written_after_the_look_is_not_taken_over(world: World) -> None:
    """A value that somebody writes between the plan's check and our mark is another one than the plan saw."""
    world.job(ALL)
    await world.seed("src", {"k": {"x": "1"}})
    await world.seed("dst", {"k": {"x": "theirs"}})
    data = await save(world, adopt=frozenset({"k"}))

    async def meanwhile(key: str) -> None:
        await world.put("dst", key, {"x": "newer"})

    world.fault("dst").run("mark", meanwhile, key="k")
    report = await carry_out(world, data)
    assert reasons(report.failures) == {"k": "moved-since-plan"}
    assert await world.get("dst", "k") == {"x": "newer"}


async def test_what_was_written_between_our_mark_and_our_write_is_not_taken_over(world: World) -> None:
    """The mark may make another version of the same value; of another value it is somebody else's, which stays."""
    world.job(ALL)
    await world.seed("src", {"k": {"x": "1"}})
    await world.seed("dst", {"k": {"x": "theirs"}})
    data = await save(world, adopt=frozenset({"k"}))
    world.fault("dst").run("mark", lambda key: world.put("dst", key, {"x": "newer"}), key="k", after=True)
    report = await carry_out(world, data)
    assert reasons(report.failures) == {"k": "moved-since-plan"}
    assert await world.get("dst", "k") == {"x": "newer"}


async def test_a_version_that_our_own_mark_makes_is_no_other(world: World) -> None:
    """As in Kubernetes, where a label is a version: the value is the one that the plan saw, and is taken over."""
    world.job(ALL)
    await world.seed("src", {"k": {"x": "1"}})
    await world.seed("dst", {"k": {"x": "theirs"}})
    data = await save(world, adopt=frozenset({"k"}))
    world.fault("dst").run("mark", lambda key: world.put("dst", key, {"x": "theirs"}), key="k", after=True)
    assert (await carry_out(world, data)).ok
    assert await world.get("dst", "k") == {"x": "1"}


@pytest.mark.parametrize("key", ["changes", "new", "goes"])
@pytest.mark.parametrize("store", ["src", "dst"])
async def test_what_moved_is_refused(world: World, store: str, key: str) -> None:
    """A key of which the source or the destination moved since is refused and left as it is; the others are done."""
    await _synced(world)
    data = await save(world)
    await world.put(store, key, {"x": "3"})
    before = await world.get("dst", key)
    report = await carry_out(world, data)
    told = reasons(report.failures)
    assert not report.ok
    by_itself = {("dst", "goes"): "changed-outside", ("dst", "new"): "not-managed"}  # refused without a plan, too
    assert told[key] == by_itself.get((store, key), "moved-since-plan")
    assert await world.get("dst", key) == before
    assert {"changes", "new"} - told.keys() == {
        name for name in ("changes", "new") if await world.get("dst", name) == {"x": {"changes": "2", "new": "1"}[name]}
    }


@pytest.mark.parametrize("store", ["src", "dst"])
async def test_what_moves_before_its_write_is_refused(world: World, store: str) -> None:
    """What moves after the run looked, and right before it writes, is not written either."""
    await _synced(world)
    data = await save(world)
    world.fault("src").run("read", lambda key: world.put(store, key, {"x": "3"}), key="changes", times=1)
    report = await carry_out(world, data)
    assert reasons(report.failures)["changes"] == "moved-since-plan"
    assert (await world.get("dst", "changes")) == {"x": "1" if store == "src" else "3"}


async def test_a_conflict_decides_nothing_anew(world: World) -> None:
    """Where somebody creates the key between the look and the write, the plan's create does not become an update."""
    await _synced(world, writePolicy="Replace")
    data = await save(world)
    world.fault("dst").run("write_if", lambda key: world.put("dst", key, {"x": "theirs"}), key="new", times=1)
    report = await carry_out(world, data)
    assert reasons(report.failures) == {"new": "moved-since-plan", "goes": "item-failed"}
    assert await world.get("dst", "new") == {"x": "theirs"}


async def test_it_can_be_carried_out_again(world: World) -> None:
    """What the same plan did before is in place, and no failure: an interrupted run is completed by the same plan."""
    await _synced(world)
    data = await save(world)
    world.fault("dst").fail("write_if", PermissionError(), key="changes")
    assert not (await carry_out(world, data)).ok
    world.faults.clear()
    report = await carry_out(world, data)
    assert (report.ok, counted(report).get("updated")) == (True, 1)
    assert counted(await carry_out(world, data)) == {"unchanged": 3}


async def test_a_run_that_was_stopped_refuses_nothing(world: World) -> None:
    """What a run did not come to look at has not moved: it is not done, and nothing is said against it."""
    await _synced(world)
    data = await save(world)
    stop = asyncio.Event()
    stop.set()
    report = await carry_out(world, data, stop)
    assert (report.stopped, counted(report)) == (True, {})
    assert (await carry_out(world, data)).ok


async def test_the_same_key_synced_anew_is_refused(world: World) -> None:
    """Where another run has copied a newer version since, the plan's older one is not asked for any more."""
    await _synced(world)
    data = await save(world)
    await world.put("src", "changes", {"x": "3"})
    assert (await world.sync()).ok
    report = await carry_out(world, data)
    assert reasons(report.failures) == {"changes": "moved-since-plan"}
    assert await world.get("dst", "changes") == {"x": "3"}


async def test_refused_keys_stay_refused(world: World) -> None:
    """A key that the plan refused, and that is refused still, is told again; the rest is done."""
    await _synced(world)
    await world.seed("dst", {"new": {"x": "theirs"}})
    report = await carry_out(world, await save(world))
    assert reasons(report.failures) == {"new": "not-managed", "goes": "item-failed"}
    assert await world.get("dst", "changes") == {"x": "2"}


async def test_a_refused_key_that_could_be_written_is_left(world: World) -> None:
    """The plan names no change of a key that it refused, so none is made, whatever is possible by now."""
    await _synced(world)
    await world.seed("dst", {"new": {"x": "theirs"}})
    data = await save(world)
    await world.remove("dst", "new")
    report = await carry_out(world, data)
    assert reasons(report.failures)["new"] == "moved-since-plan"
    assert await world.get("dst", "new") is None


async def test_what_is_compared_anyway_is_no_surprise(world: World) -> None:
    """With ``--verify`` every value is compared: what is equal is unchanged, and what differs now is left alone."""
    await _synced(world)
    data = await save(world, verify=True)
    assert counted(await carry_out(world, data)) == {"created": 1, "updated": 1, "deleted": 1, "unchanged": 1}
    assert not (report := await carry_out(world, await save(world, verify=True))).beyond, report.warnings


async def test_taken_over_keys(world: World) -> None:
    """``--adopt`` is in the plan: the key is taken over if it is still the same secret, and refused if not."""
    await _synced(world)
    await world.seed("dst", {"new": {"x": "theirs"}})
    data = await save(world, adopt=frozenset({"new"}))
    await world.put("dst", "new", {"x": "other"})
    before = await world.versions("dst")
    report = await carry_out(world, data)
    assert reasons(report.failures)["new"] == "moved-since-plan"
    assert (await world.versions("dst"))["new"] == before["new"]
    assert ("dst", "new") not in world.state()
    assert (await carry_out(world, await save(world, adopt=frozenset({"new"})))).ok
    assert await world.get("dst", "new") == {"x": "1"}
    assert world.state()["dst", "new"].owned


async def test_max_delete_is_the_plans(world: World) -> None:
    """``--max-delete`` is in the plan, and counts all that would go now: where more is missing, nothing goes."""
    await _synced(world, maxDelete="0")
    data = await save(world, max_delete=1)
    await world.remove("src", "stays")
    report = await carry_out(world, data)
    assert (await world.all("dst")).keys() == {"changes", "goes", "new", "stays"}
    assert [error.code for error in report.errors] == ["max-delete"]
    await world.put("src", "stays", {"x": "1"})
    assert counted(await carry_out(world, await save(world, max_delete=1)))["deleted"] == 1


async def test_chosen_items_are_the_plans(world: World) -> None:
    """A plan of some items is carried out for these alone."""
    world.job("- {name: one, query: {path: one}}\n- {name: two, query: {path: two}}")
    await world.seed("src", {"one/a": {"x": "1"}, "two/a": {"x": "1"}})
    assert counted(await carry_out(world, await save(world, "one"))) == {"created": 1}


async def test_the_first_sync(world: World) -> None:
    """A plan from before the first sync fits once; what is equal already is managed from then on."""
    world.job(ALL)
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    await world.seed("dst", {"b": {"x": "1"}})
    data = await save(world)
    assert counted(await carry_out(world, data)) == {"created": 1, "unchanged": 1}
    assert ("dst", "b") in world.state()
    with pytest.raises(PlanRefused, match="had nothing of SyncJob job when it was made"):
        await carry_out(world, data)


@pytest.mark.parametrize("plain", [("src",), ("dst",), ("src", "dst")], ids="+".join)
async def test_without_versions_values_decide(
    world: World, monkeypatch: pytest.MonkeyPatch, plain: tuple[str, ...]
) -> None:
    """Where a side has no versions the plan names its value, by an HMAC: another value is refused, the same is done."""

    async def opened(document: Any, context: Any) -> Any:
        store = await world._open(document, context)
        return Plain(store) if document.name in plain else store

    monkeypatch.setattr(opening, "open_store", opened)
    await _synced(world)
    data = await save(world)
    await world.seed("src", {"new": {"x": "moved"}})
    await world.seed("dst", {"changes": {"x": "moved"}})
    report = await carry_out(world, data)
    assert reasons(report.failures) == {
        "changes": "moved-since-plan", "new": "moved-since-plan", "goes": "item-failed",
    }  # fmt: skip
    assert await world.get("dst", "changes") == {"x": "moved"}
    assert await world.get("dst", "new") is None
    report = await carry_out(world, await save(world))
    assert counted(report) == {"created": 1, "updated": 1, "deleted": 1, "unchanged": 1}
    data = await save(world)
    await world.seed("dst", {"stays": {"x": "moved"}})
    report = await carry_out(world, data)
    assert report.ok
    assert report.beyond == {"all"}
    assert await world.get("dst", "stays") == {"x": "moved"}


async def test_it_holds_no_value(world: World) -> None:
    """Neither a value nor a fingerprint of the ledger's is in the file, also where values are named."""
    await _synced(world)
    await world.seed("src", {"new": {"x": "canary-4711"}})
    data = await save(world)
    assert b"canary-4711" not in data
    assert all(record.draft.fingerprint.encode() not in data for record in world.records() if record.draft.fingerprint)


# -- Refused as a whole -----------------------------------------------------------------------------------------------


async def _refusal(world: World, data: bytes) -> str:
    records = len(world.records())
    before = await world.versions("dst")
    with pytest.raises(PlanRefused) as refused:
        await carry_out(world, data)
    assert refused.value.exit_code == 2
    assert len(world.records()) == records
    assert await world.versions("dst") == before
    return refused.value.message


def _resigned(data: bytes, **changed: Any) -> bytes:
    """The plan with another frame, and a signature that holds."""
    _, frame, *lines = data.splitlines(keepends=True)
    body = orjson.dumps({**orjson.loads(frame), **changed}, option=orjson.OPT_APPEND_NEWLINE) + b"".join(lines)
    sign = {"secretsyncPlan": 1, "signature": saved_plan._signature(body, KEY)}
    return orjson.dumps(sign, option=orjson.OPT_APPEND_NEWLINE) + body


async def test_a_plan_that_was_changed(world: World) -> None:
    """One byte more, less or other, anywhere, and the plan is refused; so is what was no plan."""
    await _synced(world)
    data = await save(world)
    forged = data.replace(b'"action":"update"', b'"action":"delete"')
    for wrong in (
        forged,
        data[:-1],
        data + b"\n",
        b"".join(data.splitlines(keepends=True)[:-1]),
        data[10:],
        b"",
        b"{}",
    ):
        assert wrong != data
        assert "the saved plan is refused" in await _refusal(world, wrong)


async def test_a_plan_of_another_key(world: World) -> None:
    """Another ledger's key does not sign for this one, and neither does a former key."""
    await _synced(world)
    data = await save(world)
    with pytest.raises(PlanRefused, match="another ledger"):
        saved_plan.unseal(data, [b"q" * 32])
    with pytest.raises(PlanRefused, match="key was replaced since"):
        saved_plan.unseal(data, [b"q" * 32, KEY])


async def test_a_plan_of_another_version_or_time(world: World) -> None:
    """A plan of another version, of more than seven days ago or of the future is refused."""
    await _synced(world)
    data = await save(world)
    made = orjson.loads(data.splitlines()[1])["made"]
    assert "SecretSync 0.0.1 made it" in await _refusal(world, _resigned(data, version="0.0.1"))
    assert "8 days old" in await _refusal(world, _resigned(data, made=made - 8 * 86_400))
    assert "from the future" in await _refusal(world, _resigned(data, made=made + 3_600))


async def test_a_plan_of_other_documents(world: World) -> None:
    """A job or a store whose document was changed since is named; comments and paths elsewhere are no change."""
    await _synced(world)
    data = await save(world)
    job = (world.config / "job.yaml").read_text()
    (world.config / "job.yaml").write_text("# a comment\n" + job)
    world.store("dst", permissions="Write")
    told = "the saved plan cannot be used: the document of"
    where = world.config / "store-dst.yaml"
    assert await _refusal(world, data) == f"{told} SecretStore dst was changed since ({where}:1)"
    world.store("dst")
    (world.config / "job.yaml").write_text(job.replace("maxDelete: 5", "maxDelete: 6"))
    assert await _refusal(world, data) == f"{told} SyncJob job was changed since ({world.config / 'job.yaml'}:1)"
    (world.config / "job.yaml").write_text(job.replace("name: job}", "name: other}"))
    assert "no SyncJob job any more" in await _refusal(world, data)


async def test_a_plan_of_another_ledger(world: World) -> None:
    """A ledger with the same key that does not hold the plan's last record is another one, or an older copy."""
    await _synced(world)
    data = await save(world)
    plan = saved_plan.unseal(data, [KEY])
    with pytest.raises(PlanRefused, match=r"has no record \d+ of SyncJob job"):
        saved_plan.check(plan, world.documents, None, KEY)
    seq, _ = plan.jobs[0].head
    jobs = [
        {"job": "job", "head": [seq, "0" * 64], "documents": plan.jobs[0].documents, "options": plan.jobs[0].options}
    ]
    assert f"has no record {seq}" in await _refusal(world, _resigned(data, jobs=jobs))


async def test_documents_may_be_checked_out_elsewhere(world: World) -> None:
    """Of paths in documents only what is below the document counts: one machine plans, and another one syncs."""
    names = []
    for place in ("here", "there"):
        home = world.path / place
        home.mkdir()
        (home / "all.yaml").write_text(ELSEWHERE)
        documents = load_directory(home)
        names.append(saved_plan._documents(documents.jobs["job"], documents, KEY))
    assert names[0] == names[1]
    assert names[0].keys() == {"SyncJob job", "SecretStore src", "SecretStore dst"}


ELSEWHERE = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: src}
spec: {provider: {file: {path: secrets}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: dst}
spec: {provider: {vault: {address: "https://vault", auth: {token: {file: token}}}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: job}
spec: {source: src, dest: dst, plan: [{name: all, query: {}}]}
"""


async def test_metadata_is_set_as_far_as_it_names_it(world: World) -> None:
    """A plan's file has names of metadata and no texts; what was found missing only later is left alone."""
    world.job("- {name: all, query: {}, metadata: {copy: ['*']}}")
    await world.seed("src", {"a": {"x": "1"}})
    assert (await world.sync()).ok
    source = await world.handle("src")
    await source.set_metadata("a", {Slot(Kind.CUSTOM, "team"): "blue"}, None)
    data = await save(world)
    assert b"custom metadata team" in data
    assert b"blue" not in data
    await source.set_metadata("a", {Slot(Kind.CUSTOM, "later"): "x"}, None)
    report = await carry_out(world, data)
    assert counted(report) == {"updated": 1}
    assert "1 key needs something that the saved plan does not name, left alone: a" in report.warnings[0]
    assert await _custom(world, "a") == {"team": "blue"}
    assert counted(await world.sync()) == {"updated": 1}
    assert await _custom(world, "a") == {"team": "blue", "later": "x"}


async def _custom(world: World, key: str) -> dict[str, str]:
    found = [entry async for entry in (await world.handle("dst")).describe([key])]
    return {name: text for name, text in found[0].metadata.items() if name != MARK_KEY}
