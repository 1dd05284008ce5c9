"""Tags, descriptions and replica regions on what is in AWS already, and copied there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from run.truth import Outcomes
from run.world import actions, counted
from support.slow import one_in

from secretsync_core.errors import AccessDenied
from secretsync_core.stores import memory

if TYPE_CHECKING:
    from run.world import World
    from support.aws import Microburst, Region

    from aws.conftest import InAws

ALL = "- {name: all, query: {recursive: true}}"
COPY = "- {name: all, query: {recursive: true}, metadata: {copy: ['*', '*/*']}}"
STORES = {"awsSecretsManager": {"prefix": "copy/"}, "awsParameterStore": {"path": "/copy"}}
both = pytest.mark.parametrize("provider", STORES)


def put_in(in_aws: InAws, region: Region, provider: str, name: str = "dst", **section: object) -> None:
    """The destination, with tags of many parameters asked for at moto too."""
    more = {"taggingEndpointUrl": region.address} if provider == "awsParameterStore" else {}
    in_aws(name, provider, **{**STORES[provider], **more, **section})


def tags(region: Region, provider: str, key: str) -> dict[str, str]:
    """The tags of a secret, without our mark."""
    if provider == "awsSecretsManager":
        found: Any = region.secrets.describe_secret(SecretId=f"copy/{key}").get("Tags", [])
    else:
        found = region.parameters.list_tags_for_resource(ResourceType="Parameter", ResourceId=f"/copy/{key}")["TagList"]
    return {tag["Key"]: tag["Value"] for tag in found if tag["Key"] != "secretsync.io/owner"}


async def seed(world: World, count: int) -> list[str]:
    """Put secrets into the source."""
    keys = [f"k{number:02}" for number in range(count)]
    await world.seed("src", {key: {"x": key} for key in keys})
    return keys


@both
@pytest.mark.parametrize("count", one_in(2, [2, 30]))
async def test_tags_of_the_document_reach_what_is_there(
    world: World, in_aws: InAws, region: Region, provider: str, count: int
) -> None:
    """They are planned, set beside the tags of others, and found in place by the next run for a few requests."""
    put_in(in_aws, region, provider)
    world.job(ALL)
    keys = await seed(world, count)
    await world.sync()
    plain = (await world.sync()).requests["dst"]
    if provider == "awsSecretsManager":
        region.secrets.tag_resource(SecretId="copy/k01", Tags=[{"Key": "theirs", "Value": "1"}])
    else:
        region.parameters.add_tags_to_resource(
            ResourceType="Parameter", ResourceId="/copy/k01", Tags=[{"Key": "theirs", "Value": "1"}]
        )
    put_in(in_aws, region, provider, tags={"team": "blue"})
    planned = await world.plan()
    assert {(change.action, change.metadata) for change in planned.changes} == {("update", ("tag team",))}
    assert counted(await world.sync()) == {"updated": count}
    assert [tags(region, provider, key) for key in keys[:2]] == [{"team": "blue"}, {"team": "blue", "theirs": "1"}]
    report = await world.sync()
    assert (counted(report), report.drifted_count) == ({"unchanged": count}, 0)
    more = {"awsSecretsManager": 0, "awsParameterStore": min(count, 1 if count > 3 else count)}[provider]
    assert sum(report.requests["dst"].values()) == sum(plain.values()) + more


@both
async def test_a_description_reaches_what_is_there(world: World, in_aws: InAws, region: Region, provider: str) -> None:
    """Secrets Manager takes it alone; Parameter Store only with the value, which stays what it is."""
    put_in(in_aws, region, provider, description="one")
    world.job(ALL)
    await seed(world, 1)
    await world.sync()
    put_in(in_aws, region, provider, description="two")
    assert [change.metadata for change in (await world.plan()).changes] == [("description",)]
    report = await world.sync()
    assert (counted(report), report.ok) == ({"updated": 1}, True)
    if provider == "awsSecretsManager":
        assert region.secrets.describe_secret(SecretId="copy/k00")["Description"] == "two"
        assert len(region.secrets.list_secret_version_ids(SecretId="copy/k00")["Versions"]) == 1
    else:
        (found,) = region.parameters.describe_parameters()["Parameters"]
        assert (found["Description"], found["Version"], found["Type"]) == ("two", 2, "SecureString")
        value = region.parameters.get_parameter(Name="/copy/k00", WithDecryption=True)["Parameter"]["Value"]
        assert value == '{"x":"k00"}'
    assert counted(await world.sync()) == {"unchanged": 1}


async def test_a_description_changes_nothing_else_of_a_parameter(world: World, in_aws: InAws, region: Region) -> None:
    """The value is sent once more for it, and encrypted by the key that the parameter has, in its tier."""
    put_in(in_aws, region, "awsParameterStore")
    world.job(ALL)
    await seed(world, 1)
    await world.sync()
    region.parameters.put_parameter(
        Name="/copy/k00", Value='{"x":"k00"}', Type="SecureString", KeyId="alias/mine", Tier="Advanced", Overwrite=True
    )
    put_in(in_aws, region, "awsParameterStore", description="two")
    assert counted(await world.sync()) == {"updated": 1}
    (found,) = region.parameters.describe_parameters()["Parameters"]
    assert (found["Description"], found["KeyId"], found["Tier"], found["Version"]) == (
        "two", "alias/mine", "Advanced", 3,
    )  # fmt: skip


async def test_what_a_closer_look_may_not_see_is_refused_in_the_plan(
    world: World, in_aws: InAws, region: Region
) -> None:
    """Where listings lag, plan and sync look at each secret once more, and both say what keeps them from it."""
    put_in(in_aws, region, "awsSecretsManager")
    world.job(ALL)
    await seed(world, 1)
    await world.sync()
    put_in(in_aws, region, "awsSecretsManager", tags={"team": "blue"})
    faults = world.fault("dst")
    faults.fail("describe", AccessDenied("no look", store="dst"), first=2)
    (change,) = (await world.plan()).changes
    assert (change.action, change.metadata) == ("refuse", ())
    assert change.failure == ("access-denied", "no look", "")
    faults.clear()
    faults.fail("describe", AccessDenied("no look", store="dst"), first=2)
    outcomes = Outcomes()
    await world.sync(observer=outcomes)
    assert [outcome[1:5] for outcome in outcomes.found] == [("failed", *change.failure)]


async def test_replica_regions_reach_what_is_there(world: World, in_aws: InAws, region: Region) -> None:
    """A region that is added is replicated to; others stay, although the document names them no more."""
    provider = "awsSecretsManager"
    put_in(in_aws, region, provider, replicaRegions=[{"region": "eu-west-1"}])
    world.job(ALL)
    await seed(world, 1)
    await world.sync()
    put_in(in_aws, region, provider, replicaRegions=[{"region": "eu-west-3"}])
    assert [change.metadata for change in (await world.plan()).changes] == [("replica region eu-west-3",)]
    assert counted(await world.sync()) == {"updated": 1}
    found = region.secrets.describe_secret(SecretId="copy/k00")["ReplicationStatus"]
    assert {each["Region"] for each in found} == {"eu-west-1", "eu-west-3"}
    assert counted(await world.sync()) == {"unchanged": 1}


@both
async def test_metadata_is_copied_into_tags_and_back(
    world: World, in_aws: InAws, region: Region, provider: str
) -> None:
    """Custom metadata becomes tags; what AWS does not take is refused in the plan; tags become custom metadata."""
    put_in(in_aws, region, provider)
    await seed(world, 3)
    memory.set_metadata("src", "k00", {"team": "blue", "secretsync.io/owner": "x.1"})
    memory.set_metadata("src", "k01", {"team": "what?"})
    memory.set_metadata("src", "k02", {f"t{number}": "x" for number in range(50)})
    world.job(COPY)
    planned = await world.plan()
    assert actions(planned) == {"k00": "create", "k01": "refuse", "k02": "refuse"}
    told = {change.key: change.detail for change in planned.changes}
    assert told["k01"] == "tag team: it must be letters, digits, spaces and _ . : / = + - @"
    assert told["k02"] == "it would have 51 tags, and the store takes 50"
    assert counted(await world.sync()) == {"created": 1, "refused": 2}
    assert tags(region, provider, "k00") == {"team": "blue"}
    put_in(in_aws, region, provider, "src")
    world.store("back")
    world.job(COPY, dest="back")
    assert counted(await world.sync()) == {"created": 1}
    handle = await world.handle("back")
    (entry,) = [entry async for entry in handle.describe(["k00"])]
    assert entry.metadata["team"] == "blue"
    assert entry.metadata["secretsync.io/owner"] not in ("x.1", "")


@both
async def test_the_tags_of_the_document_win_over_what_is_copied(
    world: World, in_aws: InAws, region: Region, provider: str
) -> None:
    """Of one name, on what is created and on what is there."""
    put_in(in_aws, region, provider)
    world.job(COPY)
    for key in await seed(world, 2):
        memory.set_metadata("src", key, {"team": "copied", "note": "copied"})
    memory.set_metadata("src", "k01", {"note": "copied"})
    await world.sync()
    put_in(in_aws, region, provider, tags={"team": "blue"})
    memory.set_metadata("src", "k01", {"team": "copied", "note": "copied"})
    assert (await world.sync()).ok
    assert [tags(region, provider, key) for key in ("k00", "k01")] == [{"team": "blue", "note": "copied"}] * 2
    assert counted(await world.sync()) == {"unchanged": 2}


async def test_tags_that_nobody_may_list_are_asked_for_one_by_one(world: World, in_aws: InAws, region: Region) -> None:
    """Without the service that knows the tags of many parameters, each is asked for its own."""
    in_aws("dst", "awsParameterStore", path="/copy", tags={"team": "blue"})
    world.job(ALL)
    await seed(world, 5)
    await world.sync()
    report = await world.sync()
    assert (counted(report), report.requests["dst"]["tags"]) == ({"unchanged": 5}, 5)


async def test_tags_that_may_not_be_looked_at_are_left_alone(world: World, in_aws: InAws, burst: Microburst) -> None:
    """Without the right to list tags a job goes on as before, and says that it does not compare them."""
    in_aws("dst", "awsParameterStore", path="/copy", tags={"team": "blue"}, endpointUrl=burst.address)
    world.job(ALL)
    await seed(world, 2)
    await world.sync()
    burst.rules({"operation": "ListTagsForResource", "error": {"code": "AccessDeniedException", "status": 400}})
    report = await world.sync()
    assert (counted(report), report.ok, report.requests["dst"].get("read")) == ({"unchanged": 2}, True, None)
    assert report.warnings == [
        "dst does not let us look at the tags of 2 secrets: what the documents ask for there is not compared"
    ]
