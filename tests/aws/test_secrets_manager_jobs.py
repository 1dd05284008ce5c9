"""SyncJobs to and from AWS Secrets Manager: what they copy, what they ask, and what they do when AWS fails them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from run.world import FAST, counted

from secretsync_core.run.gate import RetryPolicy
from secretsync_core.stores.aws_secrets_manager.calls import Calls

if TYPE_CHECKING:
    from run.world import World
    from support.aws import Microburst, Region

    from aws.conftest import InAws

ALL = "- {name: all, query: {recursive: true}}"
STORE = "awsSecretsManager"
PATIENT = RetryPolicy(attempts=8, first_wait=0.001, longest_wait=0.01)


def codes(report: Any) -> dict[str, str]:
    """The code of each failure, by key."""
    return {outcome.change.key: outcome.code for outcome in report.failures}


def value(region: Region, name: str) -> str:
    """What stands in AWS."""
    return region.secrets.get_secret_value(SecretId=name)["SecretString"]


async def seed(world: World, count: int) -> list[str]:
    """Put secrets into the source."""
    keys = [f"app/{number:03}" for number in range(count)]
    for key in keys:
        await world.put("src", key, {"password": key})
    return keys


# -- what is copied


async def test_fields_become_json_and_come_back(world: World, in_aws: InAws, region: Region) -> None:
    """Fields are a JSON object in AWS, and the same fields again in a store of fields."""
    in_aws("dst", STORE, prefix="copy/")
    world.job(ALL)
    await world.seed(
        "src", {"app/db": {"user": "u", "port": 5432, "nested": {"a": [1, None]}}, "app/plain": {"value": "text"}}
    )
    assert counted(await world.sync()) == {"created": 2}
    assert value(region, "copy/app/db") == '{"nested":{"a":[1,null]},"port":5432,"user":"u"}'
    assert value(region, "copy/app/plain") == "text"
    in_aws("src", STORE, prefix="copy/")
    world.store("back")
    world.job(ALL, dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {
        "app/db": {"user": "u", "port": 5432, "nested": {"a": [1, None]}},
        "app/plain": {"value": "text"},
    }


async def test_a_sync_that_changes_nothing(world: World, in_aws: InAws, region: Region) -> None:
    """The second sync reads no value and writes nothing; with verify it reads all, and still writes nothing."""
    in_aws("dst", STORE)
    world.job(ALL)
    await seed(world, 40)
    await world.sync()
    before = await world.versions("dst")
    report = await world.sync()
    assert counted(report) == {"unchanged": 40}
    assert report.requests["dst"] == {"list": 1}
    report = await world.sync(verify=True)
    assert counted(report) == {"unchanged": 40}
    assert set(report.requests["dst"]) == {"list", "read-many"} | ({"read"} & set(report.requests["dst"]))
    assert await world.versions("dst") == before


async def test_changes_drift_and_deletes(world: World, in_aws: InAws, region: Region) -> None:
    """What changed at the source is updated, what somebody else changed is put right, what is gone is deleted."""
    in_aws("dst", STORE)
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await seed(world, 4)
    await world.sync()
    await world.put("src", "app/000", {"password": "new"})
    region.secrets.put_secret_value(SecretId="app/001", SecretString="theirs")
    await world.remove("src", "app/002")
    drift = await world.check()
    assert [change.key for change in drift.drifted] == ["app/001"]
    report = await world.sync()
    assert counted(report) == {"updated": 2, "deleted": 1, "unchanged": 1}
    assert [change.key for change in report.drifted] == ["app/001"]
    assert value(region, "app/000") == '{"password":"new"}'
    assert value(region, "app/001") == '{"password":"app/001"}'
    assert "DeletedDate" in region.secrets.describe_secret(SecretId="app/002")
    assert counted(await world.sync()) == {"unchanged": 3}


async def test_a_pin_that_is_longer_than_a_version_in_the_ledger(world: World, in_aws: InAws, region: Region) -> None:
    """A staging label may have 256 characters: a secret that is pinned to one is copied, and the next run knows it."""
    in_aws("src", STORE)
    label = "l" * 256
    for key in ("pinned", "plain"):
        region.secrets.create_secret(Name=key, SecretString='{"x":"1"}')
    region.secrets.put_secret_value(SecretId="pinned", SecretString='{"x":"2"}', VersionStages=[label])
    plan = f"- {{name: pin, secret: {{key: pinned, version: {label}}}}}\n- {{name: all, secret: {{key: plain}}}}"
    world.job(plan)
    assert counted(await world.sync()) == {"created": 2}
    assert await world.get("dst", "pinned") == {"x": "2"}
    assert counted(await world.sync()) == {"unchanged": 2}
    assert world.sound()


async def test_written_right_before_the_delete(world: World, in_aws: InAws, region: Region) -> None:
    """What somebody writes after the last look is there again as soon as the delete has shown it, and is told."""
    in_aws("dst", STORE)
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await seed(world, 2)
    await world.sync()
    await world.remove("src", "app/000")

    async def meanwhile(key: str) -> None:
        region.secrets.put_secret_value(SecretId=key, SecretString="theirs")

    world.fault("dst").run("delete", meanwhile)
    report = await world.sync()
    assert counted(report) == {"refused": 1, "unchanged": 1}
    assert [failure.change.reason.value for failure in report.failures] == ["changed-outside"]
    assert value(region, "app/000") == "theirs"
    assert world.sound()


async def test_a_secret_that_comes_back(world: World, in_aws: InAws, region: Region) -> None:
    """What somebody scheduled for deletion is restored and written, and noticed; what we deleted comes back too."""
    in_aws("dst", STORE)
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await seed(world, 2)
    await world.sync()
    region.secrets.delete_secret(SecretId="app/000")
    report = await world.sync()
    assert counted(report) == {"created": 1, "unchanged": 1}
    assert [change.drift.value for change in report.drifted] == ["removed"]
    assert value(region, "app/000") == '{"password":"app/000"}'
    await world.remove("src", "app/001")
    assert counted(await world.sync())["deleted"] == 1
    await world.put("src", "app/001", {"password": "back"})
    assert counted(await world.sync()) == {"created": 1, "unchanged": 1}
    assert value(region, "app/001") == '{"password":"back"}'


async def test_secrets_that_terraform_made_without_a_value(world: World, in_aws: InAws, region: Region) -> None:
    """They are filled, with the key and the tags that they were made with."""
    in_aws("dst", STORE)
    world.job(ALL)
    (key,) = await seed(world, 1)
    region.secrets.create_secret(Name=key, Tags=[{"Key": "by", "Value": "terraform"}])
    assert counted(await world.sync()) == {"created": 1}
    assert value(region, key) == '{"password":"app/000"}'
    assert region.secrets.describe_secret(SecretId=key)["Tags"] == [{"Key": "by", "Value": "terraform"}]
    assert counted(await world.sync()) == {"unchanged": 1}


async def test_queries_select_by_tags(world: World, in_aws: InAws, region: Region) -> None:
    """A query's metadata are tags."""
    in_aws("src", STORE)
    for name, team in (("a", "payments"), ("b", "other")):
        region.secrets.create_secret(Name=name, SecretString="x", Tags=[{"Key": "team", "Value": team}])
    world.job("- {name: all, query: {metadata: {team: payments}}}")
    assert (await world.sync()).ok
    assert await world.all("dst") == {"a": {"value": "x"}}


async def test_pins(world: World, in_aws: InAws, region: Region) -> None:
    """An item stays at the version that it names, by id or by label."""
    in_aws("src", STORE)
    first = region.secrets.create_secret(Name="a", SecretString="1")["VersionId"]
    region.secrets.put_secret_value(SecretId="a", SecretString="2")
    world.job(f"- {{name: one, secret: {{key: a, version: {first}}}}}")
    assert (await world.sync()).ok
    assert await world.all("dst") == {"a": {"value": "1"}}
    world.job("- {name: one, secret: {key: a, version: AWSCURRENT}}")
    assert (await world.sync()).ok
    assert await world.all("dst") == {"a": {"value": "2"}}


# -- what it costs


@pytest.mark.slow
async def test_change_detection_costs_a_page_for_a_hundred(world: World, in_aws: InAws, region: Region) -> None:
    """From Secrets Manager to Secrets Manager, 250 secrets and nothing changed: three requests a side."""
    names = [f"src/{number:03}" for number in range(250)]
    for name in names:
        region.secrets.create_secret(Name=name, SecretString=name)
    in_aws("src", STORE, prefix="src/")
    in_aws("dst", STORE, prefix="dst/")
    world.job(ALL)
    assert counted(await world.sync()) == {"created": 250}
    before = region.counts()
    report = await world.sync()
    assert counted(report) == {"unchanged": 250}
    assert report.requests == {"src": {"list": 3}, "dst": {"list": 3}}
    served = {action: count - before.get(action, 0) for action, count in region.counts().items()}
    assert {action: count for action, count in served.items() if count} == {"ListSecrets": 6}


# -- listings that are late


@pytest.mark.slow
async def test_a_late_listing_makes_no_write_and_no_drift(
    world: World, in_aws: InAws, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service may list what was true five minutes ago. Right after a sync, the next one still writes nothing.

    moto is never late, so the pages from before the sync are served again: without the created secrets, with the old
    versions of the updated ones, and with a secret as deleted that has been restored.
    """
    in_aws("dst", STORE)
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%", writePolicy="Replace")
    keys = await seed(world, 60)
    for key in keys[:30]:
        region.secrets.create_secret(Name=key, SecretString="old")
    await world.sync()
    await world.remove("dst", keys[0])
    for key in keys[:20]:
        await world.put("src", key, {"password": "newer"})
    late: list[Any] = []
    real = Calls.page

    async def page(calls: Calls, folder: str, token: str | None) -> Any:
        found = await real(calls, folder, token)
        late.append(found._replace(found=[each for each in found.found if each[0] < keys[50]]))
        return found

    monkeypatch.setattr(Calls, "page", page)
    await world.sync()
    before = region.counts()

    async def late_page(calls: Calls, folder: str, token: str | None) -> Any:
        await real(calls, folder, token)
        return late[0]

    monkeypatch.setattr(Calls, "page", late_page)
    report = await world.sync()
    assert counted(report) == {"unchanged": 60}
    assert report.ok
    assert report.drifted_count == 0
    wrote = (
        "PutSecretValue",
        "CreateSecret",
        "UpdateSecretVersionStage",
        "RestoreSecret",
        "DeleteSecret",
        "TagResource",
    )
    assert {action: region.counts().get(action, 0) - before.get(action, 0) for action in wrote} == dict.fromkeys(
        wrote, 0
    )
    assert (await world.check()).drifted_count == 0
    # Nor is a secret forgotten that is to be deleted because a listing does not show it yet.
    await world.remove("src", keys[59])
    assert counted(await world.sync()) == {"unchanged": 59, "deleted": 1}
    assert "DeletedDate" in region.secrets.describe_secret(SecretId=keys[59])


# -- when AWS fails


async def test_one_secret_that_is_denied(world: World, in_aws: InAws, region: Region, burst: Microburst) -> None:
    """A policy that denies one secret fails that one, by name and with what to allow; the others are synced."""
    in_aws("dst", STORE, endpointUrl=burst.address)
    world.job(ALL)
    keys = await seed(world, 10)
    burst.rules(
        {"operation": "CreateSecret", "body": f"Name == '{keys[5]}'", "error": {"code": "AccessDeniedException"}}
    )
    report = await world.sync()
    assert counted(report) == {"created": 9, "failed": 1}
    assert codes(report) == {keys[5]: "access-denied"}
    assert (
        report.failures[0].hint
        == "our identity must be allowed secretsmanager:CreateSecret, secretsmanager:TagResource"
    )
    burst.rules()
    assert counted(await world.sync()) == {"created": 1, "unchanged": 9}
    assert world.sound()


async def test_one_source_that_is_denied(world: World, in_aws: InAws, region: Region, burst: Microburst) -> None:
    """A secret that may be listed and not read fails by itself, and its copy stays."""
    for number in range(5):
        region.secrets.create_secret(Name=f"k{number}", SecretString="x")
    in_aws("src", STORE, endpointUrl=burst.address)
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    assert (await world.sync()).ok
    burst.rules(
        {"operation": "BatchGetSecretValue", "error": {"code": "AccessDeniedException"}},
        {"operation": "GetSecretValue", "body": "SecretId == 'k2'", "error": {"code": "AccessDeniedException"}},
    )
    report = await world.sync(verify=True)
    assert counted(report) == {"unchanged": 4, "failed": 1}
    assert codes(report) == {"k2": "access-denied"}
    assert len(await world.all("dst")) == 5


async def test_throttled_in_the_middle(world: World, in_aws: InAws, region: Region, burst: Microburst) -> None:
    """Requests that are throttled are repeated: everything arrives, once."""
    in_aws("dst", STORE, endpointUrl=burst.address)
    world.job(ALL)
    keys = await seed(world, 30)
    burst.rules({"sequence": {"pass": 3, "fail": 1}, "error": {"code": "ThrottlingException"}})
    report = await world.sync(retry=PATIENT)
    assert counted(report) == {"created": 30}
    assert burst.fired() > 5
    assert all(len(region.secrets.describe_secret(SecretId=key)["VersionIdsToStages"]) == 1 for key in keys)


async def test_answers_that_are_lost(world: World, in_aws: InAws, region: Region, burst: Microburst) -> None:
    """Writes that were carried out and never answered are found, not made twice and not reported as failed."""
    in_aws("dst", STORE, endpointUrl=burst.address)
    world.job(ALL)
    keys = await seed(world, 6)
    cut = {"response": {"abort_bytes": 1}}
    burst.rules({"operation": "CreateSecret", "sequence": {"fail": 1, "pass": 1}, **cut})
    assert counted(await world.sync()) == {"created": 6}
    for key in keys:
        await world.put("src", key, {"password": "new"})
    burst.rules(
        {"operation": "PutSecretValue", "times": 3, **cut}, {"operation": "UpdateSecretVersionStage", "times": 3, **cut}
    )
    report = await world.sync()
    assert counted(report) == {"updated": 6}
    assert burst.fired() >= 9
    for key in keys:
        assert value(region, key) == '{"password":"new"}'
        assert len(region.secrets.describe_secret(SecretId=key)["VersionIdsToStages"]) == 2
    assert counted(await world.sync()) == {"unchanged": 6}
    assert world.sound()


async def test_a_value_that_does_not_fit(world: World, in_aws: InAws, region: Region) -> None:
    """One byte over the limit, an empty text: each is refused with the reason, and the others are synced."""
    in_aws("dst", STORE)
    world.job(ALL)
    await world.seed(
        "src",
        {
            "fits": {"value": "x" * 65_536},
            "large": {"value": "x" * 65_537},
            "empty": {"value": ""},
            "with space": {"value": "x"},
        },
    )
    report = await world.sync()
    assert counted(report) == {"created": 1, "failed": 2, "refused": 1}
    told = {outcome.change.key: outcome.message for outcome in report.failures}
    assert "65,537 bytes, and 65,536 fit" in told["large"]
    assert "it is empty" in told["empty"]
    assert "letters, digits" in told["with space"]
    assert await world.all("dst") == {"fits": b"x" * 65_536}


async def test_a_session_that_expires(world: World, in_aws: InAws, region: Region, burst: Microburst) -> None:
    """The token expires in the middle: what was done stays done, and AWS is asked no more."""
    in_aws("dst", STORE, endpointUrl=burst.address)
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%", limits="{concurrency: 1}")
    await seed(world, 12)
    expired = {"code": "ExpiredTokenException"}
    late = [f"app/{number:03}" for number in range(3, 12)]
    burst.rules({"operation": "CreateSecret", "body": f"contains(`{json.dumps(late)}`, Name)", "error": expired})
    report = await world.sync()
    found = counted(report)
    # One request is made between the refusal and the word that no other login helps.
    assert found == {"created": 3, "failed": found["failed"], "not-reached": 9 - found["failed"]}
    assert 1 <= found["failed"] <= 2
    assert set(codes(report).values()) == {"access-denied"}
    assert "expired" in report.failures[0].hint
    assert burst.fired() == found["failed"]
    (error,) = report.errors
    assert error.exit_code == 3
    assert error.message == "store dst is lost: dst refuses our credentials"
    assert "expired" in error.hint
    burst.rules({"error": expired})
    report = await world.sync()
    assert [error.code for error in report.errors] == ["access-denied"]
    assert report.errors[0].exit_code == 3
    assert len(region.secrets.list_secrets()["SecretList"]) == 3
    burst.rules()
    assert counted(await world.sync()) == {"created": 9, "unchanged": 3}


@pytest.mark.parametrize(
    ("section", "code", "told"),
    [
        ({"endpointUrl": "http://127.0.0.1:9"}, "unavailable", "connection to http://127.0.0.1:9 fails"),
        ({"endpointUrl": "http://aws.invalid"}, "unavailable", "has no address"),
        ({"region": None, "endpointUrl": None}, "store", "no region is given"),
    ],
)
async def test_a_store_that_cannot_be_reached(
    world: World, in_aws: InAws, monkeypatch: pytest.MonkeyPatch, section: dict[str, Any], code: str, told: str
) -> None:
    """A wrong address, a region that there is not, and none at all: the job says so, and the other store is synced."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    in_aws("dst", STORE, **section)
    world.store("other")
    world.job(ALL, dest="[dst, other]")
    await seed(world, 2)
    report = await world.sync(retry=FAST)
    assert [error.code for error in report.errors] == [code]
    assert told in report.errors[0].message
    assert counted(report) == {"created": 2}
    assert len(await world.all("other")) == 2


async def test_somebody_else_writes_at_the_same_time(world: World, in_aws: InAws, region: Region) -> None:
    """A write between our look and ours is seen by the compare-and-set, looked at, and then replaced."""
    in_aws("dst", STORE)
    world.job(ALL)
    await seed(world, 1)
    await world.sync()
    await world.put("src", "app/000", {"password": "new"})

    async def theirs(_: str) -> None:
        await asyncio.to_thread(region.secrets.put_secret_value, SecretId="app/000", SecretString="theirs")

    world.fault("dst").run("write_if", theirs)
    report = await world.sync()
    assert counted(report) == {"updated": 1}
    assert value(region, "app/000") == '{"password":"new"}'
    stages = region.secrets.describe_secret(SecretId="app/000")["VersionIdsToStages"]
    labelled = sorted(label for labels in stages.values() for label in labels)
    assert labelled == ["AWSCURRENT", "AWSPREVIOUS", "SecretSync"]


async def test_a_destination_that_may_only_be_written(world: World, in_aws: InAws, region: Region) -> None:
    """With permissions Write nothing is listed or read, and unchanged secrets cost nothing."""
    world.store("dst", f"{STORE}: {json.dumps(region.section())}", permissions="Write")
    world.job(ALL)
    keys = await seed(world, 3)
    report = await world.sync()
    assert report.requests["dst"] == {"write": 3}
    assert "dst" not in (await world.sync()).requests
    await world.put("src", keys[0], {"password": "new"})
    report = await world.sync()
    assert report.requests["dst"] == {"write": 1}
    assert value(region, keys[0]) == '{"password":"new"}'


async def test_a_destination_that_may_only_be_written_and_not_looked_at(
    world: World, in_aws: InAws, region: Region, burst: Microburst
) -> None:
    """A policy without DescribeSecret is enough for one: with Replace what exists is replaced, and never ours."""
    section = json.dumps(region.section(endpointUrl=burst.address))
    world.store("dst", f"{STORE}: {section}", permissions="Write")
    world.job(ALL, writePolicy="Replace")
    (key,) = await seed(world, 1)
    region.secrets.create_secret(Name=key, SecretString="theirs")
    burst.rules({"operation": "DescribeSecret", "error": {"code": "AccessDeniedException"}})
    assert counted(await world.sync()) == {"updated": 1}
    assert value(region, key) == '{"password":"app/000"}'
    assert not world.state()["dst", key].owned


# -- what stays what it is


def payload(region: Region, name: str) -> str | bytes:
    """What stands in AWS: a text of SecretString, the bytes of SecretBinary."""
    found: Any = region.secrets.get_secret_value(SecretId=name)
    held: str | bytes = found["SecretBinary"] if "SecretBinary" in found else found["SecretString"]
    return held


async def test_a_binary_secret_stays_binary(world: World, in_aws: InAws, region: Region) -> None:
    """SecretBinary that could be text is SecretBinary in the copy, created or updated; no text becomes one."""
    in_aws("src", STORE, prefix="from/")
    in_aws("dst", STORE, prefix="to/")
    region.secrets.create_secret(Name="from/cert", SecretBinary=b"-----BEGIN CERTIFICATE-----\n")
    region.secrets.create_secret(Name="from/hmac", SecretBinary=b"\xff\x00key")
    region.secrets.create_secret(Name="from/text", SecretString="text")
    world.job(ALL)
    assert counted(await world.sync()) == {"created": 3}
    region.secrets.put_secret_value(SecretId="from/hmac", SecretBinary=b"16ASCIIbytesHERE")
    assert counted(await world.sync()) == {"updated": 1, "unchanged": 2}
    for key in ("cert", "hmac", "text"):
        assert payload(region, f"to/{key}") == payload(region, f"from/{key}")
    assert counted(await world.sync(verify=True)) == {"unchanged": 3}
    # A text of the same bytes is another secret to whoever reads SecretBinary.
    region.secrets.put_secret_value(SecretId="to/cert", SecretString="-----BEGIN CERTIFICATE-----\n")
    assert [change.key for change in (await world.check()).drifted] == ["cert"]
    assert counted(await world.sync()) == {"updated": 1, "unchanged": 2}
    assert payload(region, "to/cert") == b"-----BEGIN CERTIFICATE-----\n"


async def test_an_update_from_elsewhere_keeps_what_is_binary(world: World, in_aws: InAws, region: Region) -> None:
    """A file does not say whether it is text: a SecretBinary at the destination stays one."""
    world.files("src")
    in_aws("dst", STORE)
    region.secrets.create_secret(Name="a", SecretBinary=b"\xff")
    await world.put("src", "a", b"text")
    await world.put("src", "b", b"text")
    world.job(ALL, writePolicy="Replace")
    assert counted(await world.sync()) == {"created": 1, "updated": 1}
    assert (payload(region, "a"), payload(region, "b")) == (b"text", "text")
    assert counted(await world.sync(verify=True)) == {"unchanged": 2}


async def test_a_secret_that_was_to_be_deleted_is_marked_again(world: World, in_aws: InAws, region: Region) -> None:
    """Restored for our copy, it counts as created by this job, and says so, whoever's it was before."""
    in_aws("dst", STORE)
    tags: Any = [{"Key": "secretsync.io/owner", "Value": "other.0123456789abcdef"}]
    region.secrets.create_secret(Name="a", SecretString="theirs", Tags=tags)
    region.secrets.delete_secret(SecretId="a")
    await world.put("src", "a", {"x": "1"})
    world.job(ALL)
    assert counted(await world.sync()) == {"created": 1}
    (tag,) = region.secrets.describe_secret(SecretId="a")["Tags"]
    assert tag["Value"].startswith("job.")
