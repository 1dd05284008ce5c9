"""SyncJobs to and from AWS Parameter Store: what they copy, what they ask, and what they do when AWS fails them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from run.world import counted

from secretsync_core.run.gate import RetryPolicy

if TYPE_CHECKING:
    from run.world import World
    from support.aws import Microburst, Region

    from aws.conftest import InAws

ALL = "- {name: all, query: {recursive: true}}"
STORE = "awsParameterStore"
PATIENT = RetryPolicy(attempts=8, first_wait=0.001, longest_wait=0.01)


def value(region: Region, name: str) -> str:
    """What stands in AWS, decrypted."""
    return region.parameters.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]


def versions(region: Region, *names: str) -> list[int]:
    """The numbers of the current versions."""
    return [region.parameters.get_parameter(Name=name)["Parameter"]["Version"] for name in names]


async def seed(world: World, count: int) -> list[str]:
    """Put secrets into the source."""
    keys = [f"app/{number:03}" for number in range(count)]
    for key in keys:
        await world.put("src", key, {"password": key})
    return keys


async def test_fields_become_json_and_come_back(world: World, in_aws: InAws, region: Region) -> None:
    """Fields are a JSON object in a SecureString, and the same fields again in a store of fields."""
    in_aws("dst", STORE, path="/copy")
    world.job(ALL)
    await world.seed("src", {"app/db": {"user": "u", "port": 5432}, "plain": {"value": "text"}})
    assert counted(await world.sync()) == {"created": 2}
    assert value(region, "/copy/app/db") == '{"port":5432,"user":"u"}'
    assert value(region, "/copy/plain") == "text"
    in_aws("src", STORE, path="/copy")
    world.store("back")
    world.job(ALL, dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"app/db": {"user": "u", "port": 5432}, "plain": {"value": "text"}}


async def test_changes_drift_and_deletes(world: World, in_aws: InAws, region: Region) -> None:
    """Nothing changed writes nothing; changes are written, drift is put right, what is gone is deleted for good."""
    in_aws("dst", STORE, path="/copy")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    keys = await seed(world, 4)
    names = [f"/copy/{key}" for key in keys]
    await world.sync()
    assert counted(await world.sync(verify=True)) == {"unchanged": 4}
    assert versions(region, *names) == [1, 1, 1, 1]
    await world.put("src", keys[0], {"password": "new"})
    region.parameters.put_parameter(Name=names[1], Value="theirs", Overwrite=True)
    await world.remove("src", keys[2])
    assert [change.key for change in (await world.check()).drifted] == [keys[1]]
    report = await world.sync()
    assert counted(report) == {"updated": 2, "deleted": 1, "unchanged": 1}
    assert value(region, names[0]) == '{"password":"new"}'
    assert value(region, names[1]) == '{"password":"app/001"}'
    assert versions(region, names[0], names[1], names[3]) == [2, 3, 1]
    assert counted(await world.sync()) == {"unchanged": 3}
    assert sorted(each["Name"] for each in region.parameters.describe_parameters()["Parameters"]) == [
        names[0], names[1], names[3],
    ]  # fmt: skip


async def test_the_copy_is_looked_at_last_before_a_delete(world: World, in_aws: InAws, region: Region) -> None:
    """What somebody writes while the source is asked once more stays: no other request is between look and delete."""
    in_aws("dst", STORE, path="/copy")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await seed(world, 2)
    await world.sync()
    await world.remove("src", "app/000")

    async def meanwhile(_: str) -> None:
        region.parameters.put_parameter(Name="/copy/app/000", Value="theirs", Overwrite=True)

    world.fault("src").run("read", meanwhile, key="app/000", first=2)
    report = await world.sync()
    assert counted(report) == {"refused": 1, "unchanged": 1}
    assert [failure.change.reason.value for failure in report.failures] == ["changed-outside"]
    assert value(region, "/copy/app/000") == "theirs"


async def test_a_parameter_that_somebody_deleted_and_made_again(world: World, in_aws: InAws, region: Region) -> None:
    """Its version is 1 again, and is not taken for the one that we wrote."""
    in_aws("dst", STORE)
    world.job(ALL)
    (key,) = await seed(world, 1)
    await world.sync()
    region.parameters.delete_parameter(Name=f"/{key}")
    region.parameters.put_parameter(Name=f"/{key}", Value="theirs", Type="SecureString")
    report = await world.sync()
    assert counted(report) == {"updated": 1}
    assert report.drifted_count == 1
    assert value(region, f"/{key}") == '{"password":"app/000"}'


async def test_change_detection_costs_a_page_for_fifty(world: World, in_aws: InAws, region: Region) -> None:
    """From Parameter Store to Parameter Store, 130 parameters and nothing changed: three requests a side."""
    for number in range(130):
        region.parameters.put_parameter(Name=f"/src/k{number:03}", Value="x", Type="SecureString")
    in_aws("src", STORE, path="/src")
    in_aws("dst", STORE, path="/dst")
    world.job(ALL)
    assert counted(await world.sync()) == {"created": 130}
    before = region.counts()
    report = await world.sync()
    assert counted(report) == {"unchanged": 130}
    assert report.requests == {"src": {"list": 3}, "dst": {"list": 3}}
    served = {action: count - before.get(action, 0) for action, count in region.counts().items()}
    assert {action: count for action, count in served.items() if count} == {"DescribeParameters": 6}


async def test_queries_select_by_tags(world: World, in_aws: InAws, region: Region) -> None:
    """A query's metadata are tags."""
    in_aws("src", STORE)
    for name, team in (("a", "payments"), ("b", "other")):
        region.parameters.put_parameter(Name=name, Value="x", Type="String", Tags=[{"Key": "team", "Value": team}])
    world.job("- {name: all, query: {metadata: {team: payments}}}")
    assert (await world.sync()).ok
    assert await world.all("dst") == {"a": {"value": "x"}}


async def test_what_does_not_fit(world: World, in_aws: InAws, region: Region) -> None:
    """One byte over the limit, a reference, a name of AWS, another type: each has its reason, the others are synced."""
    in_aws("dst", STORE)
    region.parameters.put_parameter(Name="plain", Value="x", Type="String")
    world.job(ALL, writePolicy="Replace")
    await world.seed(
        "src",
        {
            "fits": {"value": "x" * 4096},
            "large": {"value": "x" * 4097},
            "reference": {"value": "{{ssm:other}}"},
            "aws/mine": {"value": "x"},
            "with space": {"value": "x"},
            "plain": {"value": "y"},
        },
    )
    report = await world.sync()
    assert counted(report) == {"created": 1, "failed": 3, "refused": 2}
    told = {outcome.change.key: f"{outcome.message} {outcome.hint}" for outcome in report.failures}
    assert "4,097 bytes, and 4,096 fit" in told["large"]
    assert "it holds {{…}}" in told["reference"]
    assert "belong to AWS" in told["aws/mine"]
    assert "another type" in told["plain"]
    assert value(region, "fits") == "x" * 4096
    assert value(region, "plain") == "x"


async def test_one_that_is_denied_and_many_that_are_throttled(
    world: World, in_aws: InAws, region: Region, burst: Microburst
) -> None:
    """A denial fails one parameter; what is throttled is repeated; the next sync does what is left."""
    in_aws("dst", STORE, endpointUrl=burst.address)
    world.job(ALL)
    keys = await seed(world, 20)
    burst.rules(
        {"operation": "PutParameter", "body": f"Name == '/{keys[7]}'", "error": {"code": "AccessDeniedException"}},
        {"sequence": {"fail": 1, "pass": 3}, "error": {"code": "ThrottlingException"}},
    )
    report = await world.sync(retry=PATIENT)
    assert counted(report) == {"created": 19, "failed": 1}
    assert [(outcome.change.key, outcome.code) for outcome in report.failures] == [(keys[7], "access-denied")]
    assert report.failures[0].hint == "our identity must be allowed ssm:PutParameter, ssm:AddTagsToResource"
    burst.rules()
    assert counted(await world.sync()) == {"created": 1, "unchanged": 19}
    assert versions(region, *(f"/{key}" for key in keys)) == [1] * 20
    assert world.sound()


async def test_answers_that_are_lost(world: World, in_aws: InAws, region: Region, burst: Microburst) -> None:
    """A creation that was carried out and never answered is found, and not reported as somebody else's."""
    in_aws("dst", STORE, endpointUrl=burst.address)
    world.job(ALL)
    await seed(world, 4)
    burst.rules({"operation": "PutParameter", "sequence": {"fail": 1, "pass": 1}, "response": {"abort_bytes": 1}})
    assert counted(await world.sync()) == {"created": 4}
    burst.rules()
    assert counted(await world.sync()) == {"unchanged": 4}
    assert all(state.owned for state in world.state().values())
    assert world.sound()


async def test_a_session_that_expires(world: World, in_aws: InAws, region: Region, burst: Microburst) -> None:
    """The token expires in the middle: what was done stays done, the rest fails with a hint, and nothing is lost."""
    in_aws("dst", STORE, endpointUrl=burst.address)
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await seed(world, 6)
    late = [f"/app/{number:03}" for number in range(2, 6)]
    body = f"contains(`{json.dumps(late)}`, Name)"
    burst.rules({"operation": "PutParameter", "body": body, "error": {"code": "ExpiredTokenException"}})
    report = await world.sync()
    assert counted(report) == {"created": 2, "failed": 4}
    assert "expired" in report.failures[0].hint
    burst.rules({"error": {"code": "ExpiredTokenException"}})
    report = await world.sync()
    assert [(error.code, error.exit_code) for error in report.errors] == [("access-denied", 3)]
    burst.rules()
    assert counted(await world.sync()) == {"created": 4, "unchanged": 2}


async def test_a_writer_between_our_look_and_our_write(world: World, in_aws: InAws, region: Region) -> None:
    """There is no compare-and-set: an update replaces him. A creation does not: it looks, and with Replace updates."""
    in_aws("dst", STORE)
    world.job(ALL, writePolicy="Replace")
    (key,) = await seed(world, 1)

    def theirs(_: Any) -> Any:
        async def write() -> None:
            region.parameters.put_parameter(Name=f"/{key}", Value="theirs", Type="SecureString", Overwrite=True)

        return write()

    world.fault("dst").run("create", theirs)
    report = await world.sync()
    assert counted(report) == {"updated": 1}
    assert not world.state()["dst", key].owned
    assert value(region, f"/{key}") == '{"password":"app/000"}'
