"""Undo in AWS: Secrets Manager keeps versions and deletes; Parameter Store keeps versions, and deletes for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from run.world import actions, counted

if TYPE_CHECKING:
    from run.world import World
    from support.aws import Region

    from aws.conftest import InAws

APP = "- {name: app, query: {path: app}}"


async def _rotated(world: World) -> str:
    """A run that updated ``a``, deleted ``b`` and created ``d``; gives it."""
    world.job(APP, deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {f"app/{name}": {"value": f"{name} 1"} for name in "abc"})
    await world.sync()
    await world.put("src", "app/a", {"value": "a 2"})
    await world.put("src", "app/d", {"value": "d 1"})
    await world.remove("src", "app/b")
    report = await world.sync()
    assert counted(report) == {"updated": 1, "created": 1, "deleted": 1, "unchanged": 1}
    return report.run


def _secret(region: Region, name: str) -> str | None:
    try:
        return region.secrets.get_secret_value(SecretId=name)["SecretString"]
    except ClientError:
        return None


def _parameter(region: Region, name: str) -> str | None:
    try:
        return region.parameters.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except ClientError:
        return None


async def test_secrets_manager(world: World, in_aws: InAws, region: Region) -> None:
    """Former values become new versions, a deletion is taken back, what was created goes; and all of it again."""
    in_aws("dst", "awsSecretsManager", prefix="copy/")
    run = await _rotated(world)
    assert actions(await world.plan_undo(run)) == {"app/a": "update", "app/b": "create", "app/d": "delete"}
    report = await world.undo(run)
    assert counted(report) == {"updated": 1, "created": 1, "deleted": 1}
    assert [_secret(region, f"copy/app/{name}") for name in "abcd"] == ["a 1", "b 1", "c 1", None]
    assert (await world.check()).drifted_count == 0
    assert actions(await world.plan()) == {
        "app/a": "update", "app/b": "delete", "app/c": "unchanged", "app/d": "create",
    }  # fmt: skip
    await world.undo(report.run)
    assert [_secret(region, f"copy/app/{name}") for name in "abcd"] == ["a 2", None, "c 1", "d 1"]
    assert counted(await world.sync()) == {"unchanged": 3}
    assert world.sound()


async def test_a_secret_that_was_rotated_since(world: World, in_aws: InAws, region: Region) -> None:
    """A version that somebody has written since stays the current one."""
    in_aws("dst", "awsSecretsManager")
    run = await _rotated(world)
    region.secrets.put_secret_value(SecretId="app/a", SecretString="theirs")
    planned = await world.plan_undo(run, "app/a")
    assert [change.reason.value for change in planned.changes] == ["changed-outside"]
    assert counted(await world.undo(run, "app/a")) == {"refused": 1}
    assert _secret(region, "app/a") == "theirs"


async def test_a_secret_that_is_deleted_for_good(world: World, in_aws: InAws) -> None:
    """With forceDeleteWithoutRecovery nothing is left to bring back, and the plan says so."""
    in_aws("dst", "awsSecretsManager", forceDeleteWithoutRecovery=True)
    run = await _rotated(world)
    planned = await world.plan_undo(run, "app/b")
    assert [(change.reason.value, change.detail) for change in planned.changes] == [
        ("no-former-version", "it is gone for good")
    ]


async def test_parameter_store(world: World, in_aws: InAws, region: Region) -> None:
    """Former values become new versions, what was created goes; what was deleted cannot come back, and is listed."""
    in_aws("dst", "awsParameterStore", path="/copy")
    run = await _rotated(world)
    planned = await world.plan_undo(run)
    assert actions(planned) == {"app/a": "update", "app/b": "refuse", "app/d": "delete"}
    assert planned.changes[1].detail == "the store deletes for good"
    report = await world.undo(run)
    assert counted(report) == {"updated": 1, "deleted": 1, "refused": 1}
    assert [_parameter(region, f"/copy/app/{name}") for name in "abcd"] == ["a 1", None, "c 1", None]
    assert (await world.check()).drifted_count == 0
    assert actions(await world.plan())["app/a"] == "update"
    assert world.sound()


@pytest.mark.parametrize("moment", ["before the plan", "before the write"])
async def test_a_parameter_that_was_written_since(world: World, in_aws: InAws, region: Region, moment: str) -> None:
    """There is no compare-and-set: the look just before the write finds who wrote since the first look."""
    in_aws("dst", "awsParameterStore")
    run = await _rotated(world)

    def theirs() -> None:
        region.parameters.put_parameter(Name="/app/a", Value="theirs", Overwrite=True)

    if moment == "before the plan":
        theirs()
    else:

        async def meanwhile(_: str) -> None:
            theirs()

        world.fault("dst").run("stat", meanwhile, key="app/a", first=2)
    report = await world.undo(run, "app/a")
    assert counted(report) == {"refused": 1}
    assert _parameter(region, "/app/a") == "theirs"
