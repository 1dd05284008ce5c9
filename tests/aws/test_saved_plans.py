"""Saved plans with AWS on either side: what moved is refused, and the rest is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from run.test_saved_plans import carry_out, save
from run.world import counted, reasons

if TYPE_CHECKING:
    from run.world import World

    from aws.conftest import InAws

APP = "- {name: app, query: {path: app}}"


@pytest.mark.parametrize("side", ["src", "dst"])
@pytest.mark.parametrize("provider", ["awsSecretsManager", "awsParameterStore"])
async def test_what_moved_is_refused(world: World, in_aws: InAws, provider: str, side: str) -> None:
    """A create, an update and a delete are done as planned, and refused where their secret has moved in AWS."""
    in_aws(side, provider)
    world.job(APP, deletionPolicy="Delete", maxDelete="5")

    async def put(store: str, text: str, *names: str) -> None:
        value = text.encode() if store == side else {"value": text}
        await world.seed(store, {f"app/{name}": value for name in names})

    await put("src", "1", "a", "b", "goes")
    assert (await world.sync()).ok
    await put("src", "2", "a", "b", "new")
    data = await save(world)
    await put(side, "moved", "a")
    report = await carry_out(world, data)
    assert reasons(report.failures) == {"app/a": "moved-since-plan"}
    assert counted(report) == {"created": 1, "updated": 1, "refused": 1, "unchanged": 1}
    await world.remove("src", "app/goes")
    report = await carry_out(world, await save(world))
    assert (report.ok, counted(report)) == (True, {"updated": 1, "deleted": 1, "unchanged": 2})
