"""What the real service does and moto does not: held by strict stubs, which take each call exactly as it is announced.

The answers and the wording of the errors are those of the service.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import ANY, Stubber
from support.gaps import without_faults

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    MalformedAnswer,
    QuotaReached,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.model.inventory import Entry
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.secret import SecretValue
from secretsync_core.stores.aws_secrets_manager import writing
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from aws.conftest import OpenStore

    Stubbed = tuple[Any, Stubber]

TEXT = SecretValue(b"text")
OLD, NEW = "0" * 8 + "-0000-4000-8000-" + "0" * 12, "1" * 8 + "-1111-4111-8111-" + "1" * 12
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a-AbCdEf"
DELETED = "You can't perform this operation on the secret because it was marked for deletion."
SCHEDULED = "You can't create this secret because a secret with this name is already scheduled for deletion."
ELSEWHERE = (
    "When you move staging label AWSCURRENT, if you specify RemoveFromVersionId, it must be set to the version that "
    "currently has the staging label AWSCURRENT."
)
WRITE = {"SecretId": "a", "ClientRequestToken": ANY, "SecretString": "text"}
CREATE = {"Name": "a", "ClientRequestToken": ANY, "SecretString": "text"}
STAGED = {**WRITE, "VersionStages": ["SecretSync"]}


def answer(version: str = NEW, *labels: str) -> dict[str, Any]:
    """What a write answers."""
    return {"ARN": ARN, "Name": "a", "VersionId": version, "VersionStages": list(labels) or ["SecretSync"]}


def description(current: str | None, *, deleted: bool = False, **more: Any) -> dict[str, Any]:
    """What DescribeSecret answers."""
    about: dict[str, Any] = {"ARN": ARN, "Name": "a", **more}
    if current:
        about["VersionIdsToStages"] = {current: ["AWSCURRENT"], "2" * 36: ["AWSPREVIOUS"]}
    if deleted:
        about["DeletedDate"] = datetime(2026, 1, 1, tzinfo=UTC)
    return about


def refuse(stubber: Stubber, operation: str, code: str, text: str = "", **expected: Any) -> None:
    """Announce a call that the service refuses."""
    stubber.add_client_error(operation, code, text, http_status_code=400, expected_params=expected)


def move(away_from: str) -> dict[str, Any]:
    """The parameters of a compare-and-set."""
    return {"SecretId": "a", "VersionStage": "AWSCURRENT", "MoveToVersionId": ANY, "RemoveFromVersionId": away_from}


class Same:
    """Equal to whatever it is compared with first, and to nothing else from then on."""

    def __init__(self) -> None:
        self.value: object = None

    def __eq__(self, other: object) -> bool:
        self.value = self.value or other
        return self.value == other

    def __hash__(self) -> int:
        return 0


# -- secrets that are to be deleted


async def test_a_write_to_a_secret_that_is_to_be_deleted(stubbed: Stubbed) -> None:
    """The service refuses the write; the deletion is taken back, and the same version is written."""
    store, stubber = stubbed
    token = Same()
    refuse(stubber, "put_secret_value", "InvalidRequestException", DELETED, **{**WRITE, "ClientRequestToken": token})
    stubber.add_response("restore_secret", {"ARN": ARN, "Name": "a"}, {"SecretId": "a"})
    stubber.add_response("put_secret_value", answer(), {**WRITE, "ClientRequestToken": token})
    assert await store.write("a", TEXT) == token.value


async def test_creating_over_a_secret_that_is_to_be_deleted(stubbed: Stubbed) -> None:
    """Its name is taken. Whoever expects nothing there is told; whoever saw its version restores and replaces it."""
    store, stubber = stubbed
    refuse(stubber, "create_secret", "InvalidRequestException", SCHEDULED, **CREATE)
    stubber.add_response("describe_secret", description(OLD, deleted=True), {"SecretId": "a"})
    with pytest.raises(Conflict):
        await store.write_if("a", TEXT, None)
    refuse(stubber, "put_secret_value", "InvalidRequestException", DELETED, **STAGED)
    stubber.add_response("describe_secret", description(OLD, deleted=True), {"SecretId": "a"})
    stubber.add_response("restore_secret", {"ARN": ARN, "Name": "a"}, {"SecretId": "a"})
    stubber.add_response("put_secret_value", answer(), STAGED)
    stubber.add_response("update_secret_version_stage", {"ARN": ARN, "Name": "a"}, move(OLD))
    await store.write_if("a", TEXT, OLD)


async def test_a_deletion_that_shows_no_version_any_more(stubbed: Stubbed) -> None:
    """Where the service tells no version of a deleted secret, none is what a write over it expects."""
    store, stubber = stubbed
    stubber.add_response("describe_secret", description(None, deleted=True), {"SecretId": "a"})
    assert [each async for each in store.stat(["a"])] == [Entry("a", None, deleted=True)]
    refuse(stubber, "create_secret", "InvalidRequestException", SCHEDULED, **CREATE)
    stubber.add_response("describe_secret", description(None, deleted=True), {"SecretId": "a"})
    stubber.add_response("restore_secret", {"ARN": ARN, "Name": "a"}, {"SecretId": "a"})
    stubber.add_response("put_secret_value", answer(), STAGED)
    without = {key: value for key, value in move(OLD).items() if key != "RemoveFromVersionId"}
    stubber.add_response("update_secret_version_stage", {"ARN": ARN, "Name": "a"}, without)
    await store.write_if("a", TEXT, None)


RECOVERABLY = {"SecretId": "a", "RecoveryWindowInDays": 30}
DELETION = {"ARN": ARN, "Name": "a", "DeletionDate": datetime(2026, 1, 1, tzinfo=UTC)}


def deleted(stubber: Stubber, current: str | None) -> None:
    """Announce a deletion, and the look at what was deleted."""
    stubber.add_response("delete_secret", DELETION, RECOVERABLY)
    stubber.add_response("describe_secret", description(current, deleted=True), {"SecretId": "a"})


async def test_what_is_written_right_before_a_delete_is_restored(stubbed: Stubbed) -> None:
    """A deletion has no condition: what it took is looked at once nobody can write it, and given back if not ours."""
    store, stubber = stubbed
    deleted(stubber, NEW)
    stubber.add_response("restore_secret", {"ARN": ARN, "Name": "a"}, {"SecretId": "a"})
    with pytest.raises(Conflict):
        await store.delete_if("a", OLD)
    deleted(stubber, OLD)
    await store.delete_if("a", OLD)
    deleted(stubber, None)  # where the service does not tell, the look before it has to do
    await store.delete_if("a", OLD)


async def test_what_cannot_be_restored_is_told(stubbed: Stubbed) -> None:
    """Where we may not give back what somebody wrote right before the delete, the error says what happened."""
    store, stubber = stubbed
    deleted(stubber, NEW)
    refuse(stubber, "restore_secret", "AccessDeniedException", "not authorized", SecretId="a")
    with pytest.raises(StoreError, match="a was written in aws right before its deletion") as raised:
        await store.delete_if("a", OLD)
    assert "restore-secret" in raised.value.hint
    assert not isinstance(raised.value, AccessDenied)


@pytest.mark.parametrize("restored", [True, False])
async def test_what_cannot_be_looked_at_after_its_delete_is_restored_too(stubbed: Stubbed, restored: bool) -> None:
    """It may be what somebody wrote right before; and only a look can tell whether it stands there again."""
    store, stubber = stubbed
    stubber.add_response("delete_secret", DELETION, RECOVERABLY)
    refuse(stubber, "describe_secret", "AccessDeniedException", "not authorized", SecretId="a")
    if restored:
        stubber.add_response("restore_secret", {"ARN": ARN, "Name": "a"}, {"SecretId": "a"})
    else:
        refuse(stubber, "restore_secret", "AccessDeniedException", "not authorized", SecretId="a")
    with pytest.raises(StoreError) as raised:
        await store.delete_if("a", OLD)
    assert (isinstance(raised.value, AccessDenied), raised.value.unanswered) == (restored, True)
    assert ("a may have been written in aws right before its deletion" in raised.value.message) is not restored
    assert ("restore-secret" in raised.value.hint) is not restored


async def test_a_name_whose_deletion_is_still_under_way(stubbed: Stubbed) -> None:
    """After a deletion without recovery the name stays taken for a while, and nothing shows: that will pass."""
    store, stubber = stubbed
    refuse(stubber, "create_secret", "InvalidRequestException", SCHEDULED, **CREATE)
    refuse(stubber, "describe_secret", "ResourceNotFoundException", "Secrets Manager can't find it.", SecretId="a")
    with pytest.raises(StoreUnavailable, match="still under way"):
        await store.write_if("a", TEXT, None)


async def test_reading_what_is_to_be_deleted(stubbed: Stubbed) -> None:
    """It is not found, and neither is what the service does not know (which it tells by 400, not by 404)."""
    store, stubber = stubbed
    refuse(stubber, "get_secret_value", "InvalidRequestException", DELETED, SecretId="a")
    with pytest.raises(SecretNotFound, match="is deleted"):
        await store.read("a")
    refuse(stubber, "get_secret_value", "ResourceNotFoundException", "Secrets Manager can't find it.", SecretId="a")
    with pytest.raises(SecretNotFound, match="is not in aws"):
        await store.read("a")


async def test_a_state_that_is_not_deletion_is_no_absence(stubbed: Stubbed) -> None:
    """A replica cannot be written, and a secret that cannot be read for another reason is not taken for absent."""
    store, stubber = stubbed
    text = "Operation not permitted on a replica secret. Call must be made in primary secret's region."
    refuse(stubber, "put_secret_value", "InvalidRequestException", text, **WRITE)
    with pytest.raises(StoreError, match="its state does not allow it") as caught:
        await store.write("a", TEXT)
    assert "replica" in caught.value.hint
    refuse(stubber, "get_secret_value", "InvalidRequestException", "Something else.", SecretId="a")
    with pytest.raises(StoreError) as unread:
        await store.read("a")
    assert not isinstance(unread.value, SecretNotFound)


# -- compare-and-set


async def test_a_lost_race(stubbed: Stubbed) -> None:
    """The service moves AWSCURRENT only away from the version that has it; our version loses its label again."""
    store, stubber = stubbed
    token = Same()
    stubber.add_response("put_secret_value", answer(), {**STAGED, "ClientRequestToken": token})
    refuse(
        stubber, "update_secret_version_stage", "InvalidParameterException", ELSEWHERE,
        **{**move(OLD), "MoveToVersionId": token},
    )  # fmt: skip
    stubber.add_response("describe_secret", description("3" * 36), {"SecretId": "a"})
    stubber.add_response(
        "update_secret_version_stage",
        {"ARN": ARN, "Name": "a"},
        {"SecretId": "a", "VersionStage": "SecretSync", "RemoveFromVersionId": token},
    )
    with pytest.raises(Conflict):
        await store.write_if("a", TEXT, OLD)


async def test_a_move_that_was_done_without_an_answer(stubbed: Stubbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated, it is refused, for AWSCURRENT is with us already: that is success, and nothing is undone."""
    store, stubber = stubbed
    monkeypatch.setattr(writing, "_new_version", lambda: NEW)
    stubber.add_response("put_secret_value", answer(), {**STAGED, "ClientRequestToken": NEW})
    refuse(stubber, "update_secret_version_stage", "InvalidParameterException", ELSEWHERE, **move(OLD))
    stubber.add_response("describe_secret", description(NEW), {"SecretId": "a"})
    assert await store.write_if("a", TEXT, OLD) == NEW


async def test_a_move_that_is_refused_though_nothing_changed(stubbed: Stubbed) -> None:
    """That is no conflict, which would be tried again at once, but a service that is not ready."""
    store, stubber = stubbed
    stubber.add_response("put_secret_value", answer(), STAGED)
    refuse(stubber, "update_secret_version_stage", "InvalidParameterException", "Not now.", **move(OLD))
    stubber.add_response("describe_secret", description(OLD), {"SecretId": "a"})
    stubber.add_response("update_secret_version_stage", {"ARN": ARN, "Name": "a"}, {
        "SecretId": "a", "VersionStage": "SecretSync", "RemoveFromVersionId": ANY,
    })  # fmt: skip
    with pytest.raises(StoreUnavailable):
        await store.write_if("a", TEXT, OLD)


async def test_a_secret_that_went_away(stubbed: Stubbed) -> None:
    """Whoever expects a version of a secret that is gone has a conflict."""
    store, stubber = stubbed
    refuse(stubber, "put_secret_value", "ResourceNotFoundException", "Secrets Manager can't find it.", **STAGED)
    with pytest.raises(Conflict):
        await store.write_if("a", TEXT, OLD)


async def test_the_first_version_is_current_at_once(stubbed: Stubbed) -> None:
    """The service makes the first version of a secret without a value current, whatever label is asked for."""
    store, stubber = stubbed
    refuse(stubber, "create_secret", "ResourceExistsException", "The secret a already exists.", **CREATE)
    stubber.add_response("describe_secret", description(None), {"SecretId": "a"})
    stubber.add_response("put_secret_value", answer(NEW, "AWSCURRENT", "SecretSync"), STAGED)
    await store.write_if("a", TEXT, None)


# -- attempts that are repeated


async def test_attempts_share_the_id_of_their_version(secrets_manager: OpenStore) -> None:
    """A write whose answer was lost is repeated with the same ClientRequestToken, so that it makes one version."""
    gate = Gate("aws", concurrency=4, policy=RetryPolicy(first_wait=0.001))
    store = await secrets_manager(gate=gate, endpointUrl="http://127.0.0.1:9")
    identity = await store._account.identity()
    token = Same()
    expected = {**WRITE, "ClientRequestToken": token}
    with Stubber(identity.client("secretsmanager", "http://127.0.0.1:9")) as stubber:
        stubber.add_client_error("put_secret_value", "InternalServiceError", "", 500, expected_params=expected)
        stubber.add_client_error("put_secret_value", "ThrottlingException", "", 400, expected_params=expected)
        stubber.add_response("put_secret_value", answer(), expected)
        assert await store.write("a", TEXT) == token.value
        stubber.assert_no_pending_responses()
    assert gate.requests == {"write": 3}
    assert re.fullmatch("[0-9a-f-]{36}", str(token.value))


async def test_a_delete_whose_answer_was_lost_is_looked_at_too(secrets_manager: OpenStore) -> None:
    """Repeated, it is refused: it was done, by us or by others, and what it took is given back if it was not ours."""
    gate = Gate("aws", concurrency=4, policy=RetryPolicy(first_wait=0.001))
    store = await secrets_manager(gate=gate, endpointUrl="http://127.0.0.1:9")
    identity = await store._account.identity()
    with Stubber(identity.client("secretsmanager", "http://127.0.0.1:9")) as stubber:
        stubber.add_client_error("delete_secret", "InternalServiceError", "", 500, expected_params=RECOVERABLY)
        refuse(stubber, "delete_secret", "InvalidRequestException", DELETED, **RECOVERABLY)
        stubber.add_response("describe_secret", description(NEW, deleted=True), {"SecretId": "a"})
        stubber.add_response("restore_secret", {"ARN": ARN, "Name": "a"}, {"SecretId": "a"})
        with pytest.raises(Conflict):
            await store.delete_if("a", OLD)
        stubber.assert_no_pending_responses()


async def test_a_created_secret_whose_answer_was_lost(stubbed: Stubbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated, the creation is refused; the version that stands there is ours, so it was done."""
    store, stubber = stubbed
    monkeypatch.setattr(writing, "_new_version", lambda: NEW)
    refuse(stubber, "create_secret", "ResourceExistsException", "", **{**CREATE, "ClientRequestToken": NEW})
    stubber.add_response("describe_secret", description(NEW), {"SecretId": "a"})
    assert await store.write_if("a", TEXT, None) == NEW


# -- what the service refuses


@pytest.mark.parametrize(
    ("code", "text", "error", "hint"),
    [
        ("ValidationException", "Value at 'secretString' failed to satisfy constraint", InvalidSecret, ""),
        ("InvalidParameterException", "Invalid name.", InvalidSecret, ""),
        ("LimitExceededException", "You've exceeded the quota of versions.", QuotaReached, "quota"),
        ("EncryptionFailure", "", AccessDenied, "KMS|key"),
        ("AccessDeniedException", "User: x is not authorized", AccessDenied, "secretsmanager:PutSecretValue"),
        ("AccessDeniedException", "Access to KMS is not allowed", AccessDenied, "kms:GenerateDataKey"),
    ],
)
async def test_refusals_of_a_write(stubbed: Stubbed, code: str, text: str, error: type[StoreError], hint: str) -> None:
    """Each has its own error, which says what to do, and not what the service wrote."""
    store, stubber = stubbed
    refuse(stubber, "put_secret_value", code, text, **WRITE)
    with pytest.raises(error) as caught:
        await store.write("a", TEXT)
    assert re.search(hint, caught.value.hint)
    assert caught.value.key == "a"
    assert not text or text not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.__context__ is None


async def test_creating_with_what_is_not_there(stubbed: Stubbed) -> None:
    """A KMS key that does not exist is not an absent secret, and tags need a right of their own."""
    store, stubber = stubbed
    refuse(stubber, "create_secret", "ResourceNotFoundException", "Secrets Manager can't find the key.", **CREATE)
    with pytest.raises(StoreError) as caught:
        await store.write_if("a", TEXT, None)
    assert not isinstance(caught.value, SecretNotFound)
    assert "kmsKeyId" in caught.value.hint
    refuse(stubber, "create_secret", "ValidationException", "bad tag", **CREATE)
    with pytest.raises(InvalidSecret) as misfit:
        await store.write_if("a", TEXT, None)
    assert "tags" in misfit.value.hint


async def test_tags_need_a_right_of_their_own(secrets_manager: OpenStore) -> None:
    """The error of a creation with tags names both rights that it needs."""
    store = await secrets_manager(endpointUrl="http://127.0.0.1:9", mark="job.1")
    identity = await store._account.identity()
    with Stubber(identity.client("secretsmanager", "http://127.0.0.1:9")) as stubber:
        tags = [{"Key": MARK_KEY, "Value": "job.1"}]
        refuse(stubber, "create_secret", "AccessDeniedException", "", **CREATE, Tags=tags)
        with pytest.raises(AccessDenied) as caught:
            await store.write_if("a", TEXT, None)
    assert caught.value.hint == ("our identity must be allowed secretsmanager:CreateSecret, secretsmanager:TagResource")


# -- listings and batches


async def test_a_listing_as_the_service_gives_it(stubbed: Stubbed) -> None:
    """Pages go on while there is a token, also when they are empty; what is to be deleted is asked for and told."""
    store, stubber = stubbed
    asked = {"MaxResults": 100, "IncludePlannedDeletion": True, "Filters": [{"Key": "name", "Values": ["app/"]}]}
    stubber.add_response("list_secrets", {"SecretList": [], "NextToken": "t1"}, asked)
    stubber.add_response(
        "list_secrets",
        {
            "SecretList": [
                {"Name": "app/a", "SecretVersionsToStages": {NEW: ["AWSCURRENT", "SecretSync"], OLD: ["AWSPREVIOUS"]}},
                {"Name": "app/gone", "DeletedDate": datetime(2026, 1, 1, tzinfo=UTC)},
                {"Name": "app/rotating", "SecretVersionsToStages": {NEW: ["AWSPENDING"]}},
                {"Name": "other/app/a", "SecretVersionsToStages": {NEW: ["AWSCURRENT"]}},
            ],
            "NextToken": "t2",
        },
        {**asked, "NextToken": "t1"},
    )
    stubber.add_response("list_secrets", {"SecretList": []}, {**asked, "NextToken": "t2"})
    assert [each async for each in store.list("app/", recursive=True, metadata=False)] == [
        Entry("app/a", NEW),
        Entry("app/gone", None, deleted=True),
        Entry("app/rotating", None, deleted=True),
    ]


@pytest.mark.parametrize("other", [{"Name": "b"}, {"ARN": ARN.replace("123456789012", "999999999999")}])
async def test_a_write_that_went_elsewhere(stubbed: Stubbed, other: dict[str, str]) -> None:
    """An answer that names another secret, or another account than before, leaves open what was written."""
    store, stubber = stubbed
    stubber.add_response("describe_secret", description(NEW), {"SecretId": "a"})
    assert [entry.version async for entry in store.stat(["a"])] == [NEW]
    stubber.add_response("put_secret_value", {**answer(NEW, "AWSCURRENT"), **other}, WRITE)
    with pytest.raises(MalformedAnswer) as raised:
        await store.write("a", TEXT)
    assert raised.value.unanswered


async def test_an_answer_in_parts(stubbed: Stubbed) -> None:
    """What a batch leaves for later is asked for again; what an id has an error for is told, and not asked again."""
    import asyncio

    store, stubber = stubbed
    ids = ["a", "b", "c", "d"]
    value = {"ARN": ARN, "VersionId": NEW, "SecretString": "x"}
    stubber.add_response(
        "batch_get_secret_value",
        {
            "SecretValues": [{**value, "Name": "a"}],
            "Errors": [
                {"SecretId": "c", "ErrorCode": "AccessDeniedException", "Message": "Access to KMS is not allowed"}
            ],
            "NextToken": "more",
        },
        {"SecretIdList": ids},
    )
    stubber.add_response(
        "batch_get_secret_value",
        {
            "SecretValues": [{**value, "Name": "b"}],
            "Errors": [{"SecretId": "d", "ErrorCode": "ThrottlingException", "Message": "Rate exceeded"}],
        },
        {"SecretIdList": ["b", "d"]},
    )
    # What may go well the next time is asked for by itself, through the gate, which repeats it.
    stubber.add_response("batch_get_secret_value", {"SecretValues": [], "Errors": []}, {"SecretIdList": ["d"]})
    stubber.add_response("get_secret_value", {**value, "Name": "d"}, {"SecretId": "d"})
    found = await asyncio.gather(*(store.read(key) for key in ids), return_exceptions=True)
    assert [type(each).__name__ for each in found] == ["Secret", "Secret", "AccessDenied", "Secret"]
    assert isinstance(found[2], AccessDenied)
    assert "kms:Decrypt" in found[2].hint


async def test_an_answer_that_is_none(stubbed: Stubbed) -> None:
    """An answer without what the service always says is not taken for an empty one."""
    store, stubber = stubbed
    stubber.add_response("list_secrets", {}, {"MaxResults": 100, "IncludePlannedDeletion": True})
    with pytest.raises(StoreUnavailable, match="not the protocol of AWS"):
        [each async for each in store.list("", recursive=True, metadata=False)]
    stubber.add_response("describe_secret", {}, {"SecretId": "a"})
    with pytest.raises(StoreUnavailable):
        await without_faults(store.stat(["a"]))
    stubber.add_response("get_secret_value", {"Name": "a"}, {"SecretId": "a"})
    with pytest.raises(StoreUnavailable):
        await store.read("a")
    stubber.add_response("put_secret_value", {}, WRITE)
    with pytest.raises(StoreUnavailable):
        await store.write("a", TEXT)
