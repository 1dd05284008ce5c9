"""A store that refuses our credentials for good is asked for nothing more, whoever finds out and whatever is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.cli import results
from secretsync_core.model.report import Result
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from run.world import World

MANY = 60


def _dead(store: str) -> CredentialsRefused:
    return CredentialsRefused(f"{store} does not know our token", store=store, hint="put a new one in TOKEN")


async def _fill(world: World) -> None:
    world.job("- {name: all, query: {}}", limits="{concurrency: 2}")
    await world.seed("src", {f"k{number:02}": {"x": str(number)} for number in range(MANY)})


@pytest.mark.parametrize(("store", "kind"), [("src", "read"), ("dst", "write")])
async def test_the_rest_of_a_sync_is_not_reached(world: World, store: str, kind: str) -> None:
    """What was done stays, what was under way failed, and the rest is not reached; the store is told once, with 3."""
    await _fill(world)
    world.gate_fault(store).fail(kind, _dead(store), first=11)
    report = await world.sync()
    failed = report.total(Result.FAILED)
    assert report.total(Result.CREATED) == 10
    assert 1 <= failed <= 4
    assert report.total(Result.NOT_REACHED) == MANY - 10 - failed
    assert report.requests[store][kind] <= 10 + 4
    (error,) = report.errors
    assert (error.code, error.hint) == ("locked-out", "put a new one in TOKEN")
    assert error.message == f"store {store} is lost: {store} does not know our token"
    assert results.of_sync(report) == 3
    world.gate_faults.clear()
    assert (await world.sync()).total(Result.CREATED) == MANY - 10


async def test_a_refused_listing_is_told_once(world: World) -> None:
    """Where the first word already says it all, no second error says it again."""
    await _fill(world)
    world.gate_fault("src").fail("list", _dead("src"))
    report = await world.sync()
    assert [(error.item, error.code) for error in report.errors] == [("all", "access-denied")]
    assert [error.message for error in (await world.plan()).errors] == ["src does not know our token"]


async def test_a_plan_and_a_check_ask_no_more_either(world: World) -> None:
    """Both are incomplete, with exit code 3, and have made no request for each secret."""
    await _fill(world)
    await world.sync()
    for number in range(MANY):
        await world.put("dst", f"k{number:02}", {"x": "other"})
    world.gate_fault("dst").fail("read", _dead("dst"), first=6)
    planned = await world.plan()
    assert planned.requests["dst"]["read"] <= 5 + 4
    assert [error.code for error in planned.errors] == ["locked-out"]
    assert results.of_plan(planned, detailed=False) == 3
    world.gate_faults.clear()
    world.gate_fault("dst").fail("read", _dead("dst"), first=6)
    report = await world.check()
    assert report.requests["dst"]["read"] <= 5 + 4
    assert [error.code for error in report.errors] == ["locked-out"]
    assert results.of_check(report) == 3
