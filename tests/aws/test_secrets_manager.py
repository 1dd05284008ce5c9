"""What the store for Secrets Manager does there, seen from the service's side (moto)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.errors import AccessDenied, Conflict, InvalidSecret, SecretNotFound, StoreError
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from support.aws import Microburst, Region

    from aws.conftest import OpenStore
    from secretsync_core.testing.gates import CountingGate

TEXT, OTHER = SecretValue(b"text"), SecretValue(b"other")


async def listed(store: Any, prefix: str = "", *, recursive: bool = True) -> dict[str, Entry | Gap]:
    """A listing, by key."""
    found = [each async for each in store.list(prefix, recursive=recursive, metadata=True)]
    return {each.prefix if isinstance(each, Gap) else each.key: each for each in found}


async def seen(store: Any, *keys: str) -> list[Entry | Gap]:
    """What stat gives."""
    return [each async for each in store.stat(keys)]


# -- values


async def test_text_is_a_string_and_other_bytes_are_binary(secrets_manager: OpenStore, region: Region) -> None:
    """UTF-8 is stored as SecretString, which people can read in the console, and anything else as SecretBinary."""
    store = await secrets_manager()
    await store.write("text", SecretValue('{"a": "ü"}'.encode()))
    await store.write("bytes", SecretValue(b"\xff\x00"))
    assert region.secrets.get_secret_value(SecretId="text")["SecretString"] == '{"a": "ü"}'
    answer = region.secrets.get_secret_value(SecretId="bytes")
    assert answer["SecretBinary"] == b"\xff\x00"
    assert "SecretString" not in answer


async def test_created_secrets_are_as_the_document_says(secrets_manager: OpenStore, region: Region) -> None:
    """Key, tags, description and replicas go to secrets that are created, and the mark with the tags."""
    store = await secrets_manager(
        mark="job.1", prefix="prod/", kmsKeyId="alias/mine", tags={"team": "a"}, description="made by SecretSync",
        replicaRegions=[{"region": "eu-west-1"}],
    )  # fmt: skip
    await store.write("db", TEXT)
    about = region.secrets.describe_secret(SecretId="prod/db")
    assert about["KmsKeyId"] == "alias/mine"
    assert about["Description"] == "made by SecretSync"
    assert {tag["Key"]: tag["Value"] for tag in about["Tags"]} == {"team": "a", MARK_KEY: "job.1"}
    assert [each["Region"] for each in about["ReplicationStatus"]] == ["eu-west-1"]


async def test_pins_are_version_ids_and_staging_labels(secrets_manager: OpenStore) -> None:
    """A pin reads an id, or the version that a label stands at; what there is not is not found."""
    store = await secrets_manager()
    first = await store.write("a", TEXT)
    second = await store.write("a", OTHER)
    assert (await store.read("a", first)).value.reveal() == b"text"
    assert version_of(await store.read("a", "AWSPREVIOUS")) == first
    assert version_of(await store.read("a", "AWSCURRENT")) == second
    for missing in ("NO-SUCH-LABEL", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(SecretNotFound):
            await store.read("a", missing)


def version_of(secret: Any) -> str:
    """The version that was read."""
    version: str = secret.version
    return version


@pytest.mark.parametrize("size", [65_536, 65_537])
async def test_a_value_fits_to_the_byte(secrets_manager: OpenStore, size: int) -> None:
    """The largest value goes through; one byte more is refused without a request."""
    store = await secrets_manager()
    value = SecretValue("ü".encode() * 32_768 + b"x" * (size - 65_536))
    if size == 65_536:
        await store.write("a", value)
        assert len((await store.read("a")).value.reveal()) == size
    else:
        with pytest.raises(InvalidSecret, match="65,537 bytes, and 65,536 fit"):
            await store.write("a", value)
        with pytest.raises(InvalidSecret):
            await store.write_if("a", value, None)
        assert await seen(store, "a") == []


# -- names


async def test_names_outside_the_keys_are_told(secrets_manager: OpenStore, region: Region) -> None:
    """A name that begins with a slash is a Gap which says what to do, and with that prefix it is a key."""
    region.secrets.create_secret(Name="/prod/db", SecretString="x")
    region.secrets.create_secret(Name="plain", SecretString="x")
    found = await listed(await secrets_manager())
    assert isinstance(found["plain"], Entry)
    gap = found["/prod/db"]
    assert isinstance(gap, Gap)
    assert "prefix that begins with '/'" in gap.message
    assert list(await listed(await secrets_manager(prefix="/"))) == ["prod/db"]
    assert list(await listed(await secrets_manager(prefix="/prod/"))) == ["db"]


async def test_a_prefix_need_not_be_a_folder(secrets_manager: OpenStore, region: Region) -> None:
    """Any separator ends it, and the name is the prefix and the key, nothing between them."""
    store = await secrets_manager(prefix="prod.")
    await store.write("db", TEXT)
    assert region.secrets.get_secret_value(SecretId="prod.db")["SecretString"] == "text"
    assert list(await listed(store, recursive=False)) == ["db"]


async def test_what_aws_manages_can_be_read_and_not_written(secrets_manager: OpenStore) -> None:
    """Names with a ``!`` belong to other services of AWS."""
    store = await secrets_manager()
    with pytest.raises(InvalidSecret, match="only services of AWS"):
        await store.write("rds!db-1", TEXT)
    with pytest.raises(InvalidSecret, match="only services of AWS"):
        await store.write_if("rds!db-1", TEXT, None)
    with pytest.raises(SecretNotFound):
        await store.read("rds!db-1")


async def test_names_that_look_like_the_end_of_an_arn(secrets_manager: OpenStore) -> None:
    """A name that ends in a hyphen and six characters (``my-secret``!) is a name like any other: we use no ARNs."""
    store = await secrets_manager()
    await store.write("my", OTHER)
    await store.write("my-secret", TEXT)
    assert (await store.read("my-secret")).value.reveal() == b"text"
    assert (await store.read("my")).value.reveal() == b"other"


# -- deleting


async def test_a_deleted_secret_can_be_restored(secrets_manager: OpenStore, region: Region) -> None:
    """It shows as deleted at its version, is not found, and the service keeps it for as long as the document says."""
    store = await secrets_manager(recoveryWindowInDays=7)
    version = await store.write("a", TEXT)
    await store.delete("a")
    assert await seen(store, "a") == [Entry("a", version, deleted=True)]
    with pytest.raises(SecretNotFound, match="is deleted"):
        await store.read("a")
    for _ in range(2):
        with pytest.raises(SecretNotFound, match="is deleted"):
            await asyncio.gather(store.read("a"), store.read("a"))
    about = region.secrets.describe_secret(SecretId="a")
    assert 6 <= (about["DeletedDate"] - about["CreatedDate"]).days <= 7
    region.secrets.restore_secret(SecretId="a")
    assert (await store.read("a")).value.reveal() == b"text"


async def test_a_write_restores_what_is_to_be_deleted(
    secrets_manager: OpenStore, region: Region, gate: CountingGate
) -> None:
    """A plain write takes the deletion back, writes, and marks the secret as one that it made."""
    store = await secrets_manager(mark="job.1")
    region.secrets.create_secret(Name="a", SecretString="old")
    region.secrets.delete_secret(SecretId="a")
    version = await store.write("a", TEXT)
    assert gate.counts == {"write": 2, "restore": 1, "tag": 1}
    assert await seen(store, "a") == [Entry("a", version)]
    assert await store.marks(["a"]) == {"a": "job.1"}


async def test_a_conditional_write_restores_only_what_was_seen(secrets_manager: OpenStore, region: Region) -> None:
    """write_if on a deleted secret compares first: a wrong expectation leaves it deleted."""
    store = await secrets_manager()
    old = await store.write("a", OTHER)
    version = await store.write("a", TEXT)
    await store.delete("a")
    for wrong in (old, None):
        with pytest.raises(Conflict):
            await store.write_if("a", OTHER, wrong)
        assert "DeletedDate" in region.secrets.describe_secret(SecretId="a")
    await store.write_if("a", OTHER, version)
    assert (await store.read("a")).value.reveal() == b"other"


async def test_what_was_restored_for_a_write_that_fails_is_deleted_again(
    secrets_manager: OpenStore, burst: Microburst, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that somebody deleted does not come back with its old value because our write was refused."""
    store = await secrets_manager(endpointUrl=burst.address)
    version = await store.write("a", TEXT)
    await store.delete("a")
    real = store._calls.restore
    restored = []

    async def restore(key: str) -> None:
        await real(key)
        restored.append("DeletedDate" not in region.secrets.describe_secret(SecretId=key))
        burst.rules({"operation": "PutSecretValue", "error": {"code": "AccessDeniedException"}})

    monkeypatch.setattr(store._calls, "restore", restore)
    calls: list[Any] = [lambda: store.write("a", OTHER), lambda: store.write_if("a", OTHER, version)]
    for call in calls:
        burst.rules()
        with pytest.raises(AccessDenied):
            await call()
        assert "DeletedDate" in region.secrets.describe_secret(SecretId="a")
    assert restored == [True, True]


async def test_deleting_without_recovery(secrets_manager: OpenStore, region: Region) -> None:
    """With forceDeleteWithoutRecovery a secret is gone at once, and its name is free."""
    store = await secrets_manager(forceDeleteWithoutRecovery=True)
    await store.write("a", TEXT)
    await store.delete("a")
    await store.delete("a")
    assert await seen(store, "a") == []
    assert await listed(store) == {}
    await store.write_if("a", OTHER, None)
    assert (await store.read("a")).value.reveal() == b"other"


async def test_deleting_only_what_was_seen(secrets_manager: OpenStore, region: Region, burst: Microburst) -> None:
    """Also without recovery what was written meanwhile comes back, and what was seen is gone; where a policy forbids
    to delete recoverably, it is deleted as it is."""
    store = await secrets_manager(forceDeleteWithoutRecovery=True)
    seen = await store.write("a", TEXT)
    region.secrets.put_secret_value(SecretId="a", SecretString="theirs")
    with pytest.raises(Conflict):
        await store.delete_if("a", seen)
    assert region.secrets.get_secret_value(SecretId="a")["SecretString"] == "theirs"
    await store.delete_if("a", await store.write("a", OTHER))
    await store.delete_if("a", seen)  # gone already
    assert await listed(store) == {}
    narrow = await secrets_manager(forceDeleteWithoutRecovery=True, endpointUrl=burst.address)
    seen = await narrow.write("b", TEXT)
    burst.rules({"operation": "DeleteSecret", "times": 1, "error": {"code": "AccessDeniedException"}})
    await narrow.delete_if("b", seen)
    assert await listed(store) == {}


@pytest.mark.parametrize("forced", [True, False])
async def test_a_delete_that_cannot_be_looked_at_is_taken_back(
    secrets_manager: OpenStore, region: Region, burst: Microburst, forced: bool
) -> None:
    """Who may not see what was deleted gets it back, whoever wrote it, and learns that only a look can tell."""
    store = await secrets_manager(forceDeleteWithoutRecovery=forced, endpointUrl=burst.address)
    seen = await store.write("a", TEXT)
    region.secrets.put_secret_value(SecretId="a", SecretString="theirs")
    burst.rules({"operation": "DescribeSecret", "times": 1, "error": {"code": "AccessDeniedException"}})
    with pytest.raises(AccessDenied) as raised:
        await store.delete_if("a", seen)
    assert raised.value.unanswered
    assert region.secrets.get_secret_value(SecretId="a")["SecretString"] == "theirs"


async def test_replicas_that_changed_are_not_taken_away(secrets_manager: OpenStore, region: Region) -> None:
    """What somebody wrote in a secret with replicas keeps them; what was seen goes with those of our regions."""
    store = await secrets_manager(replicaRegions=[{"region": "eu-west-1"}])
    seen = await store.write("a", TEXT)
    region.secrets.put_secret_value(SecretId="a", SecretString="theirs")
    with pytest.raises(Conflict):
        await store.delete_if("a", seen)
    about = region.secrets.describe_secret(SecretId="a")
    assert len(about["ReplicationStatus"]) == 1
    await store.delete_if(
        "a", next(each for each, stages in about["VersionIdsToStages"].items() if "AWSCURRENT" in stages)
    )
    assert "DeletedDate" in region.secrets.describe_secret(SecretId="a")


async def test_replicas_that_the_document_asks_for_are_deleted_too(secrets_manager: OpenStore) -> None:
    """The service deletes nothing that has replicas, so those of our regions go first."""
    store = await secrets_manager(replicaRegions=[{"region": "eu-west-1"}, {"region": "eu-west-2"}])
    await store.write("a", TEXT)
    await store.delete("a")
    assert [entry.deleted for entry in await seen(store, "a") if isinstance(entry, Entry)] == [True]


async def test_replicas_of_others_are_left_alone(secrets_manager: OpenStore, region: Region) -> None:
    """A secret with a replica where the document asks for none is not deleted, and the error names the region."""
    store = await secrets_manager(replicaRegions=[{"region": "eu-west-1"}])
    region.secrets.create_secret(
        Name="a", SecretString="x", AddReplicaRegions=[{"Region": "eu-west-1"}, {"Region": "us-west-2"}]
    )
    with pytest.raises(StoreError, match="replicas in us-west-2"):
        await store.delete("a")
    assert len(region.secrets.describe_secret(SecretId="a")["ReplicationStatus"]) == 2


# -- secrets without a value


async def test_a_secret_that_was_made_without_a_value_is_filled(
    secrets_manager: OpenStore, region: Region, gate: CountingGate
) -> None:
    """As Terraform makes them: it counts as deleted, is filled where it stands, and is marked as what we created."""
    store = await secrets_manager(mark="job.1")
    for name in ("a", "b"):
        region.secrets.create_secret(Name=name, Tags=[{"Key": "by", "Value": "terraform"}])
    assert await seen(store, "a") == [Entry("a", None, deleted=True)]
    with pytest.raises(SecretNotFound):
        await store.read("a")
    version = await store.write_if("a", TEXT, None)
    assert await seen(store, "a") == [Entry("a", version)]
    await store.write("b", TEXT)
    assert (await store.read("b")).value.reveal() == b"text"
    assert await store.marks(["a"]) == {"a": "job.1"}
    with pytest.raises(Conflict):
        await store.write_if("a", OTHER, None)


# -- compare-and-set


async def test_compare_and_set_leaves_nothing_behind(secrets_manager: OpenStore, region: Region) -> None:
    """After a lost race our version has no label, so that nobody sees it and the service drops it."""
    store = await secrets_manager()
    first = await store.write("a", TEXT)
    current = region.secrets.put_secret_value(SecretId="a", SecretString="theirs")["VersionId"]
    with pytest.raises(Conflict):
        await store.write_if("a", OTHER, first)
    labels = region.secrets.describe_secret(SecretId="a")["VersionIdsToStages"]
    assert {version: stages for version, stages in labels.items() if stages} == {
        current: ["AWSCURRENT"],
        first: ["AWSPREVIOUS"],
    }
    assert (await store.read("a")).value.reveal() == b"theirs"


async def test_compare_and_set_costs_two_requests(secrets_manager: OpenStore, gate: CountingGate) -> None:
    """One adds the version, one makes it the current one; creating is one."""
    store = await secrets_manager()
    version = await store.write_if("a", TEXT, None)
    assert gate.counts == {"write": 1}
    await store.write_if("a", OTHER, version)
    assert gate.counts == {"write": 2, "promote": 1}


async def test_a_rollback_by_others_is_seen(secrets_manager: OpenStore, region: Region) -> None:
    """Somebody moves AWSCURRENT back: the version that shows is that of the value that is read."""
    store = await secrets_manager()
    first = await store.write("a", TEXT)
    second = await store.write("a", OTHER)
    region.secrets.update_secret_version_stage(
        SecretId="a", VersionStage="AWSCURRENT", MoveToVersionId=first, RemoveFromVersionId=second
    )
    assert await seen(store, "a") == [Entry("a", first)]
    read = await store.read("a")
    assert (read.value.reveal(), read.version) == (b"text", first)
    with pytest.raises(Conflict):
        await store.write_if("a", TEXT, second)


# -- marks


async def test_a_mark_needs_a_secret_that_is_there(secrets_manager: OpenStore, region: Region) -> None:
    """Neither what is absent nor what is deleted can be marked."""
    store = await secrets_manager(mark="job.1")
    region.secrets.create_secret(Name="a", SecretString="x")
    region.secrets.delete_secret(SecretId="a")
    for key in ("a", "b"):
        with pytest.raises(SecretNotFound):
            await store.mark(key)


async def test_marks_come_with_the_listing(secrets_manager: OpenStore, gate: CountingGate) -> None:
    """Many marks cost a page for a hundred secrets; what may not be looked at is an error, not a missing mark."""
    store = await secrets_manager(mark="job.1")
    keys = [f"k{number}" for number in range(60)]
    await asyncio.gather(*(store.write(key, TEXT) for key in keys))
    gate.counts.clear()
    assert await store.marks(keys) == dict.fromkeys(keys, "job.1")
    assert gate.counts == {"list": 1}


# -- metadata


async def test_tags_are_the_metadata_of_a_listing(secrets_manager: OpenStore, region: Region) -> None:
    """A query can select by tags; they are left out where nobody asks for them."""
    store = await secrets_manager(prefix="p/")
    region.secrets.create_secret(Name="p/a", SecretString="x", Tags=[{"Key": "team", "Value": "payments"}])
    region.secrets.create_secret(Name="p/b", SecretString="x")
    found = await listed(store)
    assert {key: entry.metadata for key, entry in found.items() if isinstance(entry, Entry)} == {
        "a": {"team": "payments"},
        "b": {},
    }
    plain = [each async for each in store.list("", recursive=True, metadata=False)]
    assert {each.metadata for each in plain} == {None}
