"""Servers that refuse, slow down, fail, talk nonsense or hang up: nothing is lost, nothing is deleted on a doubt."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest
from support.slow import one_in

from secretsync_core.model.report import Result
from secretsync_core.run.gate import RetryPolicy
from secretsync_core.stores import connecting
from survival.watcher import WRITES
from survival.world import QUICK, exit_code, failure

if TYPE_CHECKING:
    from conftest import MakeToken

    from secretsync_core.demo.openbao import OpenBaoServer
    from survival.watcher import Watcher
    from survival.world import World

DELETES = {"deletionPolicy": "Delete", "maxDelete": "100%"}
PATIENT = RetryPolicy(attempts=12, first_wait=0.05, longest_wait=0.3)


async def _copied(world: World, count: int) -> list[str]:
    """Copy ``count`` secrets with a policy that deletes, then take the last one away from the source."""
    keys = world.source.fill(count)
    world.spec |= DELETES
    report = await world.sync()
    assert report.total(Result.CREATED) == count
    world.source.forget(keys[-1])
    return keys


async def test_denied_key(world: World, source_proxy: Watcher, openbao: OpenBaoServer, make_token: MakeToken) -> None:
    """A policy that denies one key fails that key alone, and nothing of its item is deleted."""
    keys = await _copied(world, 10)
    for key in keys[:3]:
        world.source.put(key, {"password": "new"})
    mount = world.source.mount
    world.environ["SOURCE_TOKEN"] = make_token(
        openbao,
        f'path "{mount}/*" {{ capabilities = ["read", "list", "scan"] }}\n'
        f'path "{mount}/data/{keys[0]}" {{ capabilities = ["deny"] }}',
    )
    source_proxy.forget()
    report = await world.sync()
    assert report.total(Result.UPDATED) == 2
    assert failure(report, keys[0]).code == "access-denied"
    assert failure(report, keys[-1]).change.reason == "item-failed"
    assert exit_code(report) == 1
    assert set(world.dest.contents()) == set(keys)
    assert source_proxy.count(f"GET /v1/{mount}/data/{keys[0]}") == 1


async def test_gone_since_listed(world: World, source_proxy: Watcher) -> None:
    """A key that is gone when its turn comes fails and keeps its old copy; the next sync goes by the new list."""
    keys = await _copied(world, 6)
    world.source.put(keys[0], {"password": "new"})
    world.source.put("app/late", {"password": "new"})
    source_proxy.before(f"GET .*/data/{keys[0]}$", lambda: world.source.forget(keys[0]))
    report = await world.sync()
    assert failure(report, keys[0]).code == "not-found"
    assert world.dest.get("app/late") == {"password": "new"}
    assert set(world.dest.contents()) == {*keys, "app/late"}
    report = await world.sync()
    assert report.ok
    assert set(world.dest.contents()) == {*keys[1:-1], "app/late"}


@pytest.mark.slow
async def test_retry_after(world: World, source_proxy: Watcher) -> None:
    """A store that asks for a second of quiet gets it, from all requests, and everything is copied then."""
    world.source.fill(20)
    world.spec["limits"] = {"concurrency": 4}
    source_proxy.answer("GET .*/data/", 429, headers={"Retry-After": "1"}, times=1)
    started = time.monotonic()
    report = await world.sync()
    assert report.ok
    assert report.total(Result.CREATED) == 20
    assert time.monotonic() - started >= 1.0
    first = next(
        at for at, (_, path, _) in zip(source_proxy.times, source_proxy.requests, strict=True) if "/data/" in path
    )
    early = [at for at in source_proxy.times if first < at < first + 0.95]
    assert len(early) <= 3  # those that were on their way already


@pytest.mark.slow
async def test_rate_quota(world: World) -> None:
    """A real rate quota of the server slows the sync down and fails nothing."""
    world.source.fill(60)
    quota = f"sys/quotas/rate-limit/{world.dest.mount}"
    world.dest.api.call("POST", quota, {"rate": 40, "interval": "1s", "path": f"{world.dest.mount}/"})
    try:
        report = await world.sync(retry=PATIENT)
    finally:
        world.dest.api.call("DELETE", quota)
    assert report.ok
    assert report.total(Result.CREATED) == 60
    assert set(world.dest.versions().values()) == {1}


@pytest.mark.slow
async def test_tight_rate_quota(world: World) -> None:
    """A quota far below the concurrency is waited for as long as the store makes progress."""
    world.source.fill(24)
    quota = f"sys/quotas/rate-limit/{world.dest.mount}"
    world.dest.api.call("POST", quota, {"rate": 10, "interval": "1s", "path": f"{world.dest.mount}/"})
    try:
        report = await world.sync(retry=RetryPolicy(attempts=5, first_wait=0.15))
    finally:
        world.dest.api.call("DELETE", quota)
    assert report.total(Result.CREATED) == 24


@pytest.mark.parametrize("kind", ["GET .*/data/", "SCAN ", "GET .*/mounts/", "POST .*/data/"])
async def test_sealed_for_a_moment(world: World, source_proxy: Watcher, dest_proxy: Watcher, kind: str) -> None:
    """A server that is sealed for a moment is waited for, whatever it was asked then."""
    world.source.fill(12)
    for proxy in (source_proxy, dest_proxy):
        proxy.answer(kind, 503, b'{"errors":["Vault is sealed"]}', times=2)
    report = await world.sync()
    assert report.ok
    assert report.total(Result.CREATED) == 12
    assert set(world.dest.versions().values()) == {1}


@pytest.mark.parametrize("status", one_in(3, [500, 502, 503]))
async def test_failing_for_good(world: World, dest_proxy: Watcher, status: int) -> None:
    """A destination that fails for good in the middle ends the sync soon, with exit code 3 and words that say so."""
    world.source.fill(100)
    dest_proxy.answer("POST .*/data/", status, b'{"errors":["Vault is sealed"]}')
    report = await world.sync()
    assert dest_proxy.count("POST .*/data/") < 200  # three tries of each would be 300
    assert exit_code(report) == 3
    assert any("dest" in error.message and error.exit_code == 3 for error in report.errors)
    assert report.total(Result.CREATED) == 0
    assert report.total() == 100
    assert dest_proxy.count("POST") <= QUICK.attempts * 64
    dest_proxy.heal()
    report = await world.sync()
    assert report.total(Result.CREATED) == 100
    world.assert_sound()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b'{"errors":["Vault is sealed"]}'),
        (500, b'{"errors":["internal error"]}'),
        (200, b"<html>It works!</html>"),
        (200, b'{"data":'),
        (200, b'{"data":{"keys":[1,2]}}'),
        (200, b'{"data":{"key_info":{"app/0000":{"current_version":1}}}}'),
        (200, b"{}"),
        (200, b""),
        (302, b""),
        (404, b"<html>Not Found</html>"),
    ],
)
async def test_listing_that_fails(world: World, source_proxy: Watcher, status: int, body: bytes) -> None:
    """A listing that fails or is nonsense is an error and never an empty store: nothing is deleted."""
    keys = await _copied(world, 8)
    source_proxy.answer("^(SCAN|LIST) |=true", status, body, headers={"Location": "http://127.0.0.1:1/"})
    report = await world.sync()
    assert report.errors
    assert exit_code(report) == 3
    assert report.total(Result.DELETED) == 0
    assert set(world.dest.contents()) == set(keys)


@pytest.mark.parametrize("share", one_in(2, [0.0, 0.3, 0.6, 0.99]))
async def test_listing_that_is_cut(world: World, source_proxy: Watcher, share: float) -> None:
    """A listing that is cut at any place is asked for again; where it is cut for good, nothing is deleted."""
    keys = await _copied(world, 40)
    answer = world.source.api.call("SCAN", f"{world.source.mount}/detailed-metadata/")
    size = len(json.dumps(answer, separators=(",", ":")))
    source_proxy.cut("^SCAN ", after=int(size * share))
    report = await world.sync()
    assert exit_code(report) == 3
    assert set(world.dest.contents()) == set(keys)
    source_proxy.heal()
    source_proxy.cut("^SCAN ", after=int(size * share), times=1)
    report = await world.sync()
    assert report.total(Result.DELETED) == 1
    assert set(world.dest.contents()) == set(keys[:-1])


@pytest.mark.parametrize("fault", one_in(2, ["503", "403", "nonsense", "cut"]))
async def test_folder_that_hides(
    world: World, source_proxy: Watcher, openbao: OpenBaoServer, make_token: MakeToken, fault: str
) -> None:
    """Without SCAN, one folder or one key that cannot be looked at keeps the whole item from deleting."""
    keys = await _copied(world, 6)
    world.source.put("deep/er/key", {"password": "deep"})
    assert (await world.sync()).total(Result.DELETED) == 1
    world.source.forget(keys[0])
    mount = world.source.mount
    world.environ["SOURCE_TOKEN"] = make_token(openbao, f'path "{mount}/*" {{ capabilities = ["read", "list"] }}')
    match = "LIST .*/metadata/deep/er|GET .*/metadata/deep/er/?.list=true"
    if fault == "cut":
        source_proxy.cut(match, after=20)
    else:
        body = b"[]" if fault == "nonsense" else b'{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}'
        source_proxy.answer(match, 200 if fault == "nonsense" else int(fault), body)
    report = await world.sync()
    assert not report.ok
    assert report.total(Result.DELETED) == 0
    assert set(world.dest.contents()) == {*keys[:-1], "deep/er/key"}
    source_proxy.heal()
    report = await world.sync()
    assert report.ok
    assert report.total(Result.DELETED) == 1


@pytest.mark.parametrize("body", [b"garbage", b'{"data":{}}', b'{"data":{"data":[1],"metadata":{}}}', b"\xff\xfe"])
async def test_read_that_is_nonsense(world: World, source_proxy: Watcher, body: bytes) -> None:
    """A read that is answered by nonsense fails that key, and the nonsense is never copied."""
    keys = world.source.fill(5)
    source_proxy.answer(f"GET .*/data/{keys[2]}$", 200, body)
    report = await world.sync()
    assert report.total(Result.CREATED) == 4
    assert failure(report, keys[2]).code == "malformed-answer"
    assert keys[2] not in world.dest.contents()


async def test_answers_that_are_cut(world: World, source_proxy: Watcher, dest_proxy: Watcher) -> None:
    """Connections that are cut before or in the middle of an answer are tried again, and no write is done twice."""
    world.source.fill(20)
    source_proxy.cut("GET .*/data/", after=150, times=5)
    dest_proxy.cut("POST .*/data/", after=0, times=3)
    dest_proxy.cut("POST .*/data/", after=90, times=3)
    report = await world.sync()
    assert report.ok
    assert set(world.dest.versions().values()) == {1}
    assert world.dest.contents() == world.source.contents()
    world.assert_sound()


async def test_write_whose_answer_is_lost(world: World, dest_proxy: Watcher) -> None:
    """A write that was done although its answer was lost is found out, told as done, and remains ours to delete."""
    keys = world.source.fill(4)
    world.spec |= DELETES
    dest_proxy.cut(f"POST .*/data/{keys[0]}$", after=0, times=1)
    report = await world.sync()
    assert report.total(Result.CREATED) == 4
    assert world.story(keys[0]) == ["intended create new", "done create new"]
    world.source.forget(keys[0])
    report = await world.sync()
    assert report.total(Result.DELETED) == 1
    world.assert_sound()


async def test_write_whose_answers_are_all_lost(world: World, dest_proxy: Watcher) -> None:
    """A write that was done although no answer ever came is found by a look at the destination."""
    keys = world.source.fill(4)
    dest_proxy.cut(f"POST .*/data/{keys[0]}$", after=0)
    report = await world.sync()
    assert report.total(Result.CREATED) == 4
    assert world.story(keys[0]) == ["intended create new", "done create new"]


async def test_write_that_nobody_saw(world: World, dest_proxy: Watcher) -> None:
    """A write of which nothing can be found out is uncertain; once it is seen it is ours, and was not repeated."""
    keys = world.source.fill(4)
    world.spec |= DELETES
    dest_proxy.cut(f"(POST|GET) .*/data/{keys[0]}$", after=0)
    report = await world.sync()
    assert failure(report, keys[0]).code == "uncertain"
    dest_proxy.heal()
    report = await world.sync()
    assert report.ok
    assert world.dest.versions() == dict.fromkeys(keys, 1)
    world.source.forget(keys[0])
    report = await world.sync()
    assert report.total(Result.DELETED) == 1
    assert keys[0] not in world.dest.contents()
    world.assert_sound()


async def test_server_that_does_not_answer(
    world: World, source_proxy: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes a request and says nothing is given up in time, and a slow one is waited for."""
    monkeypatch.setattr(connecting, "TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=0.3))
    keys = world.source.fill(6)
    source_proxy.delay(f"GET .*/data/{keys[0]}$", 30)
    source_proxy.delay(f"GET .*/data/{keys[1]}$", 0.15)
    started = time.monotonic()
    report = await world.sync()
    assert time.monotonic() - started < 20  # and not 30
    assert failure(report, keys[0]).code == "secret-fails"  # the store answered others meanwhile
    assert "in time" in failure(report, keys[0]).message
    assert report.total(Result.CREATED) == 5


async def test_lost_source_deletes_nothing(world: World, source_proxy: Watcher) -> None:
    """A source that goes away between the listing and the reads leaves the destination as it was."""
    keys = await _copied(world, 30)
    for key in keys[:20]:
        world.source.put(key, {"password": "new"})
    source_proxy.answer("GET .*/data/", 503)
    report = await world.sync()
    assert exit_code(report) == 3
    assert any("source" in error.message for error in report.errors)
    assert report.total(Result.DELETED) == 0
    assert set(world.dest.versions().values()) == {1}


async def test_stop_while_a_store_fails(world: World, source_proxy: Watcher) -> None:
    """A sync that is asked to stop while it waits to try again does not wait any longer."""
    world.source.fill(10)
    source_proxy.answer("GET .*/data/", 503)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, stop.set)
    started = time.monotonic()
    report = await world.sync(retry=RetryPolicy(attempts=6, first_wait=20, longest_wait=60), stop=stop)
    assert time.monotonic() - started < 15  # and not 20
    assert report.stopped
    assert source_proxy.count(WRITES) == 0
    world.assert_sound()
