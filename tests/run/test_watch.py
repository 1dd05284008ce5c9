"""Looking at the sources of many jobs: as if each were looked at by itself, and with as few requests as can be."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from run.world import FAST
from secretsync_core.errors import AccessDenied, RateLimited, StoreUnavailable
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.run import widening
from secretsync_core.run.gate import RetryPolicy
from secretsync_core.run.items import build_plan
from secretsync_core.run.listings import Question
from secretsync_core.run.look import listing_of
from secretsync_core.run.opening import OpenStores
from secretsync_core.run.watch import Sight, Watch
from secretsync_core.run.widening import Widening
from secretsync_core.schema.job import QuerySelector
from secretsync_core.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from conftest import MakeToken, Mount
    from support.http import Api

    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer
    from secretsync_core.run.items import JobPlan
    from secretsync_core.schema.documents import JobDocument

FOLDERS = [f"team-{number}" for number in range(12)]


def _jobs(world: World, plans: Iterable[str], **spec: str) -> list[str]:
    """Documents of one job for each plan; gives the jobs' names."""
    world.job("- {query: {}}", **spec)
    head, _, _ = (world.config / "job.yaml").read_text().partition("  plan:\n")
    (world.config / "job.yaml").unlink()
    names = []
    for number, plan in enumerate(plans):
        name = f"job-{number}"
        (world.config / f"{name}.yaml").write_text(f"{head.replace('name: job', f'name: {name}')}  plan:\n    {plan}\n")
        names.append(name)
    return names


def _folder_jobs(world: World) -> list[str]:
    return _jobs(world, [f"- {{name: all, query: {{path: {folder}, recursive: true}}}}" for folder in FOLDERS])


async def _fill(world: World, more: int = 0) -> None:
    await world.seed("src", {f"{folder}/{name}": {"x": "1"} for folder in FOLDERS for name in ("a", "b/c")})
    await world.seed("src", {f"other/{number}": {"x": "1"} for number in range(more)})


async def _look(world: World, names: Iterable[str], watch: Watch | None = None) -> dict[str, Sight]:
    documents = world.documents
    jobs = [documents.jobs[name] for name in names]
    return await (watch or Watch()).look(jobs, documents, world.ledger, environ={}, retry=FAST)


def _asked(world: World) -> list[str]:
    """The folders that were listed since the last call."""
    log = world.fault("src").log
    folders = [key for operation, key in log if operation == "list"]
    log.clear()
    return folders


async def test_jobs_that_ask_the_same_share_the_answer(world: World) -> None:
    """One listing for all of them, and one login, however many they are."""
    await _fill(world)
    names = _jobs(world, ["- {name: all, query: {path: team-1, recursive: true}}"] * 5)
    world.fault("src")
    seen = await _look(world, names)
    assert _asked(world) == ["team-1/"]
    assert {name: set(sight.touched) for name, sight in seen.items()} == {name: {"all"} for name in names}


async def test_what_is_gone_touches_its_item_unless_it_may_be_hidden(world: World) -> None:
    """A copy whose source is gone is to be deleted; where a part of the folder cannot be seen, nobody knows."""
    world.job("- {name: all, query: {path: team-1, recursive: true}}", deletionPolicy="Delete")
    await _fill(world)
    assert (await world.sync()).ok
    assert (await _look(world, ["job"]))["job"] == Sight({}, [])
    await world.remove("src", "team-1/b/c")
    assert set((await _look(world, ["job"]))["job"].touched) == {"all"}
    world.fault("src").gap("list", Gap("team-1/b/", "access-denied", "no"))
    sight = (await _look(world, ["job"]))["job"]
    assert sight.touched == {}
    assert [error.code for error in sight.errors] == ["access-denied"]


async def test_many_folders_are_one_listing(world: World) -> None:
    """The folder that holds them all is asked for, and each job is told of its own part alone."""
    await _fill(world)
    names = _folder_jobs(world)
    world.fault("src")
    before = await _look(world, names)
    assert _asked(world) == [""]
    await world.put("src", "team-3/b/c", {"x": "2"})
    after = await _look(world, names)
    assert [name for name in names if after[name] != before[name]] == ["job-3"]


async def test_a_listing_answers_those_within_it(world: World) -> None:
    """A few folders are asked for as they are; one within another, and one level of it, cost nothing more."""
    await _fill(world)
    queries = ["{path: team-1, recursive: true}", "{path: team-1/b}", "{path: team-1}", "{path: team-2}"]
    names = _jobs(world, [f"- {{name: all, query: {query}}}" for query in queries])
    world.fault("src")
    together = await _look(world, names)
    assert sorted(_asked(world)) == ["team-1/", "team-2/"]
    assert together == {name: (await _look(world, [name]))[name] for name in names}


async def test_folders_are_asked_for_by_themselves_where_the_one_above_holds_much_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wants to list a large store at every tick for a few of its folders; once a day it is tried again."""
    monkeypatch.setattr(widening, "_SPARE", 0)
    await _fill(world, more=len(FOLDERS) * 2 * 4)
    names = _folder_jobs(world)
    world.fault("src")
    watch = Watch()
    first = await _look(world, names, watch)
    assert _asked(world) == [""]
    assert await _look(world, names, watch) == first
    assert sorted(_asked(world)) == sorted(f"{folder}/" for folder in FOLDERS)
    monkeypatch.setattr(widening, "_APART_SECONDS", 0.0)
    watch = Watch()
    await _look(world, names, watch)
    await _look(world, names, watch)
    assert _asked(world) == ["", ""]


async def test_the_folder_above_is_given_up_where_it_takes_too_many_requests(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that lists key by key would be walked through as a whole for a few of its folders."""
    monkeypatch.setattr(widening, "_SPARE_REQUESTS", -len(FOLDERS))  # the listing itself is one
    await _fill(world)
    names = _folder_jobs(world)
    world.fault("src")
    watch = Watch()
    seen = await _look(world, names, watch)
    assert sorted(_asked(world)) == sorted(["", *(f"{folder}/" for folder in FOLDERS)])
    assert all(sight.touched and not sight.errors for sight in seen.values())
    await _look(world, names, watch)
    assert "" not in _asked(world)


@pytest.mark.parametrize("error", [StoreUnavailable("too long", store="src"), AccessDenied("no", store="src")])
async def test_folders_are_asked_for_by_themselves_where_the_one_above_is_not_answered(
    world: World, error: Exception
) -> None:
    """It is denied, or too large for the store: all jobs are told all the same, and that is remembered."""
    await _fill(world)
    names = _folder_jobs(world)
    world.fault("src").fail("list", error, key="")
    watch = Watch()
    for _ in range(2):
        seen = await _look(world, names, watch)
        assert all(sight.touched and not sight.errors for sight in seen.values())
    assert _asked(world).count("") == 1


@pytest.mark.parametrize(
    ("error", "most"), [(StoreUnavailable("away", store="src"), 4), (RateLimited("slowly", store="src"), 2)]
)
async def test_a_store_that_is_away_is_not_asked_a_thousand_times(world: World, error: Exception, most: int) -> None:
    """Everybody is told after a few questions; nobody waits for a hundred timeouts."""
    await _fill(world)
    names = _folder_jobs(world)
    world.gate_fault("src").fail("list", error)
    documents = world.documents
    retry = RetryPolicy(attempts=2, first_wait=0.001, longest_wait=0.002, longest_retry_after=0.001)
    seen = await Watch().look(documents.jobs.values(), documents, world.ledger, environ={}, retry=retry)
    assert world.gate_fault("src").calls["list"] <= most
    assert all(sight.errors and not sight.touched for sight in seen.values())
    assert set(seen) == set(names)


async def test_one_odd_job_is_told_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with one job is no reason not to look at the others; no text of it gets out."""
    await _fill(world)
    names = _folder_jobs(world)

    def odd(job: JobDocument) -> JobPlan:
        if job.name == "job-5":
            raise ValueError("hunter2")
        return build_plan(job)

    monkeypatch.setattr("secretsync_core.run.watch.build_plan", odd)
    seen = await _look(world, names)
    assert [name for name in names if seen[name].errors] == ["job-5"]
    assert seen["job-5"].errors[0].message == "an unexpected ValueError"
    assert all(seen[name].touched for name in names if name != "job-5")


async def test_limits_hold_for_the_jobs_that_set_them(world: World) -> None:
    """A job that may ask a store little has its own way to it; jobs of the same limits share theirs."""
    await _fill(world)
    names = _folder_jobs(world)
    for name in names[:2]:
        file = world.config / f"{name}.yaml"
        file.write_text(file.read_text().replace("  plan:", "  limits: {rate: 1000/s}\n  plan:"))
    world.fault("src")
    seen = await _look(world, names)
    assert sorted(_asked(world)) == ["", "team-0/", "team-1/"]
    assert all(sight.touched for sight in seen.values())


async def test_a_real_server_tells_the_same_whatever_it_lets_us_do(
    world: World, openbao: OpenBaoServer, api: Api, mount: Mount, make_token: MakeToken
) -> None:
    """With SCAN, with LIST alone, and with no right to anything but the folders themselves."""
    name = mount(openbao)
    for folder in FOLDERS:
        for key in ("a", "b/c"):
            api.put(name, f"{folder}/{key}", {"x": "1"})
    api.put(name, "other/secret", {"x": "1"})
    everywhere = "".join(f'path "{name}/{part}/*" {{ capabilities = [%s] }}\n' for part in _PARTS)
    folders = "".join(
        f'path "{name}/metadata/{folder}/*" {{ capabilities = ["read", "list"] }}\n' for folder in FOLDERS
    )
    names = _folder_jobs(world)
    seen = []
    for policy in (everywhere % (('"read", "list", "scan"',) * 2), everywhere % (('"read", "list"',) * 2), folders):
        auth = f'auth: {{token: {{value: "{make_token(openbao, policy)}"}}}}'
        world.store("src", f'vault: {{address: "{openbao.address}", mount: {name}, {auth}}}', "Read")
        watch = Watch()
        seen += [await _look(world, names, watch), await _look(world, names, watch)]
    assert all(each == seen[0] for each in seen)
    assert all(set(sight.touched) == {"all"} and not sight.errors for sight in seen[0].values())


_PARTS = ("metadata", "detailed-metadata")


def _hide(monkeypatch: pytest.MonkeyPatch, hidden: Sequence[str]) -> None:
    """Let stores in memory refuse folders as a server does: denied if asked for, a gap in what is above them."""
    real = MemoryStore.list

    async def listed(store: MemoryStore, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        if any(prefix.startswith(folder) for folder in hidden):
            raise AccessDenied("hidden", store="src")
        for folder in hidden:
            if folder.startswith(prefix) and recursive:
                yield Gap(folder, "access-denied", "hidden")
        async for entry in real(store, prefix, recursive=recursive, metadata=metadata):
            if not any(entry[0].startswith(folder) for folder in hidden):
                yield entry

    monkeypatch.setattr(MemoryStore, "list", listed)


@pytest.mark.parametrize("seed", range(40))
async def test_together_is_as_by_itself(world: World, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Whatever jobs ask and whatever is hidden, each is told what it would be told alone."""
    rng = random.Random(seed)
    names = ["a", "b", "c"]
    folders = ["", *names, *(f"{one}/{two}" for one in names for two in names)]
    keys = {f"{rng.choice(folders)}/{rng.choice('klmn')}".lstrip("/") for _ in range(30)}
    await world.seed("src", {key: {"x": "1"} for key in sorted(keys)})

    def query() -> str:
        recursive = rng.choice(["true", "false"])
        metadata = rng.choice(["", ", metadata: {team: x}"]) if rng.random() < 0.3 else ""
        if rng.random() < 0.25:
            glob = rng.choice(["a/*", "*/a/**", "**/b/k", "?/", "b/*/l"])
            exclude = rng.choice(["", ", exclude: ['c/a']", ", exclude: ['**/k']"])
            return f"{{path: '{glob}'{exclude}{metadata}}}"
        return f"{{path: '{rng.choice(folders)}', recursive: {recursive}{metadata}}}"

    plans = [
        f"[{{name: one, query: {query()}}}, {{name: two, query: {query()}}}, {{name: three, secret: {{key: a/k}},"
        f" keyTransform: [{{prefix: j{number}-}}]}}]"
        for number in range(rng.randrange(2, 15))
    ]
    jobs = _jobs(world, plans)
    world.job(f"- {{query: {query()}}}")
    await world.sync()
    for key in rng.sample(sorted(keys), 3):
        await world.put("src", key, {"x": "2"})
    _hide(monkeypatch, [f"{folder}/" for folder in rng.sample(folders[1:], rng.randrange(3))])
    together = await _look(world, ["job", *jobs])
    for name in ["job", *jobs]:
        alone = (await _look(world, [name]))[name]
        assert together[name].touched == alone.touched
        assert sorted(together[name].errors) == sorted(alone.errors)


def test_who_asks_for_chosen_folders_is_not_asked_for_more() -> None:
    """However many queries with globs there are, no listing of the folder above them takes their place."""
    asked = [listing_of("src", QuerySelector(path=f"team-{number}/*/prod/**")) for number in range(20)]
    assert all(listing.selective for listing in asked)
    arranged = Widening().arrange({listing: Question(listing) for listing in asked}, OpenStores())
    assert sorted(question.listing for question in arranged) == sorted(asked)
