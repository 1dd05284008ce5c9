"""Names of the service that are no keys, and globs: what a job sees of them, on moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from run.world import actions, counted, reasons

from secretsync_core.errors import PlanRefused
from secretsync_core.selection import Rule, Selection, pattern_of

if TYPE_CHECKING:
    from run.world import World
    from support.aws import Region

    from aws.conftest import OpenStore

ODD = ("/team-b/db", "prod//x", "trail/")


def _secrets(world: World, region: Region, *names: str) -> None:
    world.store("src", f"awsSecretsManager: {json.dumps(region.section())}")
    for name in names:
        region.secrets.create_secret(Name=name, SecretString="v")


@pytest.mark.parametrize("query", ["{path: prod, key: {regexp: ^ok}}", "{path: 'pro?/ok*'}"])
async def test_names_that_are_ruled_out_hold_nothing_up(world: World, region: Region, query: str) -> None:
    """Somebody else's odd names in the account concern no query that does not select them, and no delete."""
    world.files("dst")
    _secrets(world, region, "prod/ok", "prod/ok2", *ODD)
    world.job(f"- {{name: all, query: {query}}}", deletionPolicy="Delete")
    assert counted(await world.sync()) == {"created": 2}
    region.secrets.delete_secret(SecretId="prod/ok2", ForceDeleteWithoutRecovery=True)
    report = await world.sync()
    assert (report.ok, report.errors, counted(report)) == (True, [], {"unchanged": 1, "deleted": 1})


async def test_names_that_are_selected_are_refused_one_by_one(world: World, region: Region) -> None:
    """Each has its line in the plan, with what to do; the rest goes on, deletes included."""
    world.files("dst")
    _secrets(world, region, "prod/ok", "prod/ok2", *ODD)
    world.job("- {name: all, query: {recursive: true}}", deletionPolicy="Delete")
    await world.sync()
    region.secrets.delete_secret(SecretId="prod/ok2", ForceDeleteWithoutRecovery=True)
    planned = await world.plan()
    assert actions(planned) == {"prod/ok": "unchanged", "prod/ok2": "delete", **dict.fromkeys(ODD, "refuse")}
    assert "prefix that begins with '/'" in next(each.detail for each in planned.changes if each.key == ODD[0])
    report = await world.sync()
    assert counted(report) == {"unchanged": 1, "deleted": 1, "refused": 3}
    assert reasons(report.failures) == dict.fromkeys(ODD, "no-key")


async def test_a_key_with_a_slash_in_front_is_told_of_the_prefix(world: World, region: Region) -> None:
    """A single secret whose name begins with a slash: the refusal says what to write."""
    _secrets(world, region, "/prod/db")
    world.job("- {name: db, secret: {key: /prod/db}}")
    with pytest.raises(PlanRefused) as refused:
        await world.plan()
    (reason,) = refused.value.reasons
    assert "cannot have the key '/prod/db'" in reason
    assert "prefix: /" in reason
    world.store("src", f"awsSecretsManager: {json.dumps(region.section(prefix='/'))}")
    world.files("dst")
    world.job("- {name: db, secret: {key: prod/db}}")
    assert counted(await world.sync()) == {"created": 1}


async def test_a_glob_asks_secrets_manager_for_what_begins_as_it_does(
    secrets_manager: OpenStore, region: Region
) -> None:
    """The letters before the first ``*`` are the service's filter, so that pages hold nothing else."""
    for name in ("teams/team-a/prod/x", "teams/team-b/dev/x", "teams/other/prod/x"):
        region.secrets.create_secret(Name=name, SecretString="v")
    store = await secrets_manager()
    wanted = Selection([Rule(pattern_of("teams/team-*/prod/**", recursive=False))])
    found = [each.key async for each in store.select(wanted, metadata=False)]
    assert sorted(found) == ["teams/team-a/prod/x", "teams/team-b/dev/x"]


async def test_parameters_by_globs(world: World, region: Region) -> None:
    """Parameter Store is asked for the fixed folders of the path; names with a slash in front are plain keys there."""
    world.files("dst")
    world.store("src", f"awsParameterStore: {json.dumps(region.section())}")
    for name in ("/teams/a/prod/x", "/teams/a/dev/x", "/else/prod/x", "plain"):
        region.parameters.put_parameter(Name=name, Value="v", Type="SecureString")
    world.job("- {name: prod, query: {path: 'teams/*/prod/*'}}")
    assert counted(await world.sync()) == {"created": 1}
    assert list(await world.all("dst")) == ["teams/a/prod/x"]
