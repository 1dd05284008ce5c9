"""What the real Parameter Store does: held by strict stubs, which take each call exactly as it is announced."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from support.gaps import without_faults

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    MalformedAnswer,
    QuotaReached,
    RateLimited,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.model.inventory import Entry
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from aws.conftest import OpenStore

    Stubbed = tuple[Any, Stubber]

TEXT = SecretValue(b"text")
WHEN = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
PUT = {"Name": "/a/b", "Value": "text", "Type": "SecureString", "Tier": "Standard"}


def parameter(name: str = "/a/b", version: int = 1, when: datetime = WHEN, value: str = "text") -> dict[str, Any]:
    """A parameter as GetParameter gives it."""
    return {"Name": name, "Type": "SecureString", "Value": value, "Version": version, "LastModifiedDate": when}


def described(name: str = "/a/b", version: int = 1, when: datetime = WHEN) -> dict[str, Any]:
    """The same as DescribeParameters gives it."""
    return {"Name": name, "Type": "SecureString", "Version": version, "LastModifiedDate": when, "Tier": "Standard"}


def sees(stubber: Stubber, *parameters: dict[str, Any]) -> None:
    """Answer the look at what an update would overwrite."""
    stubber.add_response("describe_parameters", {"Parameters": list(parameters)})


TEAM_KEY = "arn:aws:kms:eu-central-1:123456789012:key/team"
PATTERN = "^[a-z]+$"


@pytest.mark.parametrize(
    ("there", "sent"),
    [
        ({"KeyId": TEAM_KEY}, {"KeyId": TEAM_KEY}),
        ({"KeyId": "alias/aws/ssm"}, {"KeyId": "alias/aws/ssm"}),
        ({"Tier": "Advanced"}, {"Tier": "Advanced"}),
        ({"Tier": "Intelligent-Tiering"}, {"Tier": "Intelligent-Tiering"}),
        ({"AllowedPattern": PATTERN}, {"AllowedPattern": PATTERN}),
        ({"DataType": "text"}, {}),
        ({"Type": "String", "DataType": "aws:ec2:image"}, {"DataType": "aws:ec2:image"}),
    ],
)
async def test_an_update_says_again_what_the_parameter_has(
    stubbed_parameters: Stubbed, there: dict[str, Any], sent: dict[str, Any]
) -> None:
    """The service takes what a write leaves out for the account's default: it would encrypt by another key."""
    store, stubber = stubbed_parameters
    sees(stubber, {**described(version=4), **there})
    stubber.add_response("put_parameter", {"Version": 5}, {**PUT, **sent, "Overwrite": True})
    stubber.add_response("get_parameters", {"Parameters": [parameter(version=5)]})
    assert (await store.write("a/b", TEXT)).startswith("5@")
    stubber.assert_no_pending_responses()


async def test_the_documents_key_goes_before_the_one_that_is_there(parameter_store: OpenStore) -> None:
    """kmsKeyId says by which key everything is encrypted that is written."""
    from botocore.stub import Stubber

    store = await parameter_store(endpointUrl="http://127.0.0.1:9", taggingEndpointUrl=None, kmsKeyId="alias/mine")
    identity = await store._account.identity()
    with Stubber(identity.client("ssm", "http://127.0.0.1:9")) as stubber:
        sees(stubber, {**described(version=4), "KeyId": TEAM_KEY})
        stubber.add_response("put_parameter", {"Version": 5}, {**PUT, "KeyId": "alias/mine", "Overwrite": True})
        stubber.add_response("get_parameters", {"Parameters": [parameter(version=5)]})
        await store.write("a/b", TEXT)
        stubber.assert_no_pending_responses()


async def test_who_may_not_see_the_key_does_not_change_it(stubbed_parameters: Stubbed) -> None:
    """Without DescribeParameters an update that names no key is refused, with what to do; what is new is created."""
    store, stubber = stubbed_parameters
    for error in ("", "ParameterAlreadyExists"):
        stubber.add_client_error("describe_parameters", "AccessDeniedException", "not authorized", 400)
        if not error:
            stubber.add_response("put_parameter", {"Version": 2}, {**PUT, "Overwrite": False})
            stubber.add_response("get_parameters", {"Parameters": [parameter(version=2)]})
            assert (await store.write("a/b", TEXT)).startswith("2@")
        else:
            stubber.add_client_error("put_parameter", error, "", 400, expected_params={**PUT, "Overwrite": False})
            with pytest.raises(AccessDenied, match="which KMS key encrypts a/b") as caught:
                await store.write("a/b", TEXT)
            assert "ssm:DescribeParameters" in caught.value.hint
            assert "kmsKeyId" in caught.value.hint
    stubber.assert_no_pending_responses()


async def test_what_a_creation_sends(stubbed_parameters: Stubbed) -> None:
    """Without Overwrite the service refuses what exists; the time of the version is asked for, undecrypted."""
    store, stubber = stubbed_parameters
    stubber.add_response("put_parameter", {"Version": 1, "Tier": "Standard"}, {**PUT, "Overwrite": False})
    stubber.add_response("get_parameters", {"Parameters": [parameter()]}, {"Names": ["/a/b"], "WithDecryption": False})
    assert await store.create("a/b", TEXT) == "1@2026-03-01T12:00:00.123+00:00"
    stubber.add_client_error(
        "put_parameter", "ParameterAlreadyExists", "", 400, expected_params={**PUT, "Overwrite": False}
    )
    with pytest.raises(Conflict):
        await store.create("a/b", TEXT)


async def test_a_version_is_one_whoever_tells_it(stubbed_parameters: Stubbed) -> None:
    """Descriptions and values give the same token, in whatever time zone boto3 reads the time."""
    store, stubber = stubbed_parameters
    elsewhere = WHEN.astimezone(timezone(timedelta(hours=5)))
    by_name = {"MaxResults": 50, "ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": ["/a/b"]}]}
    stubber.add_response("describe_parameters", {"Parameters": [described(when=elsewhere)]}, by_name)
    stubber.add_response("get_parameter", {"Parameter": parameter()}, {"Name": "/a/b", "WithDecryption": True})
    (entry,) = [each async for each in store.stat(["a/b"])]
    assert entry == Entry("a/b", (await store.read("a/b")).version)


async def test_pages_may_be_empty(stubbed_parameters: Stubbed) -> None:
    """A page without parameters is not the end while there is a token; one that comes again and again is an error."""
    store, stubber = stubbed_parameters
    asked = {"MaxResults": 50, "ParameterFilters": [{"Key": "Path", "Option": "Recursive", "Values": ["/a"]}]}
    stubber.add_response("describe_parameters", {"Parameters": [], "NextToken": "1"}, asked)
    stubber.add_response(
        "describe_parameters", {"Parameters": [described()], "NextToken": "2"}, {**asked, "NextToken": "1"}
    )
    stubber.add_response("describe_parameters", {"Parameters": []}, {**asked, "NextToken": "2"})
    assert [each.key async for each in store.list("a/", recursive=True, metadata=False)] == ["a/b"]
    one_level = {"MaxResults": 50, "ParameterFilters": [{"Key": "Path", "Option": "OneLevel", "Values": ["/a"]}]}
    stubber.add_response("describe_parameters", {"Parameters": [], "NextToken": "1"}, one_level)
    stubber.add_response("describe_parameters", {"Parameters": [], "NextToken": "1"}, {**one_level, "NextToken": "1"})
    with pytest.raises(StoreError, match="the same page again"):
        [each async for each in store.list("a/", recursive=False, metadata=False)]


async def test_an_answer_that_leaves_one_out(stubbed_parameters: Stubbed) -> None:
    """What a batch says nothing about is asked for by itself, and not taken for absent."""
    store, stubber = stubbed_parameters
    names = ["/a/b", "c", "d"]
    stubber.add_response(
        "get_parameters",
        {"Parameters": [parameter()], "InvalidParameters": ["c"]},
        {"Names": names, "WithDecryption": True},
    )
    stubber.add_response("get_parameter", {"Parameter": parameter("d")}, {"Name": "d", "WithDecryption": True})
    found = await asyncio.gather(*(store.read(key) for key in ("a/b", "c", "d")), return_exceptions=True)
    assert [type(each).__name__ for each in found] == ["Secret", "SecretNotFound", "Secret"]


async def test_two_updates_at_once_are_tried_again(parameter_store: OpenStore) -> None:
    """The service takes one update of a parameter at a time: TooManyUpdates is waited for."""
    from botocore.stub import Stubber

    gate = Gate("aws", concurrency=4, policy=RetryPolicy(first_wait=0.001))
    store = await parameter_store(gate=gate, endpointUrl="http://127.0.0.1:9", taggingEndpointUrl=None)
    identity = await store._account.identity()
    with Stubber(identity.client("ssm", "http://127.0.0.1:9")) as stubber:
        asked = {**PUT, "Overwrite": True}
        sees(stubber, described())
        stubber.add_client_error("put_parameter", "TooManyUpdates", "", 400, expected_params=asked)
        stubber.add_response("put_parameter", {"Version": 7, "Tier": "Standard"}, asked)
        stubber.add_response(
            "get_parameters", {"Parameters": [parameter(version=7)]}, {"Names": ["/a/b"], "WithDecryption": False}
        )
        assert (await store.write("a/b", TEXT)).startswith("7@")
        stubber.assert_no_pending_responses()
    assert gate.requests == {"write": 2, "stat": 2}


@pytest.mark.parametrize(
    ("code", "text", "error", "hint"),
    [
        ("HierarchyTypeMismatchException", "", InvalidSecret, "type"),
        ("HierarchyLevelLimitExceededException", "", InvalidSecret, "name"),
        ("ParameterPatternMismatchException", "", InvalidSecret, "value"),
        ("ValidationException", "Parameter value is too long", InvalidSecret, "value"),
        (
            "ValidationException",
            "You can't downgrade a parameter from the advanced-parameter tier",
            InvalidSecret,
            "tier",
        ),
        ("ParameterLimitExceeded", "", QuotaReached, "Advanced"),
        ("ParameterMaxVersionLimitExceeded", "", QuotaReached, "label"),
        ("InvalidKeyId", "", AccessDenied, "key"),
        ("AccessDeniedException", "not authorized", AccessDenied, "ssm:PutParameter"),
        ("AccessDeniedException", "The ciphertext refers to a KMS key", AccessDenied, "kms:GenerateDataKey"),
        ("ThrottlingException", "Rate exceeded", RateLimited, ""),
        ("InternalServerError", "", StoreUnavailable, ""),
    ],
)
async def test_refusals_of_a_write(
    stubbed_parameters: Stubbed, code: str, text: str, error: type[StoreError], hint: str
) -> None:
    """Each has its own error, which says what to do, and not what the service wrote."""
    store, stubber = stubbed_parameters
    sees(stubber)
    stubber.add_client_error("put_parameter", code, text, 500 if "Server" in code else 400)
    with pytest.raises(error) as caught:
        await store.write("a/b", TEXT)
    assert re.search(hint, caught.value.hint)
    assert not text or text not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.__context__ is None


async def test_an_answer_that_is_none(stubbed_parameters: Stubbed) -> None:
    """An answer without what the service always says is not taken for an empty one."""
    store, stubber = stubbed_parameters
    stubber.add_response("describe_parameters", {}, {"MaxResults": 50})
    with pytest.raises(StoreUnavailable, match="not the protocol of AWS"):
        [each async for each in store.list("", recursive=True, metadata=False)]
    stubber.add_response("describe_parameters", {"Parameters": [{"Name": "a"}]})
    with pytest.raises(StoreUnavailable):
        await without_faults(store.stat(["a"]))
    stubber.add_response("get_parameter", {}, {"Name": "a", "WithDecryption": True})
    with pytest.raises(StoreUnavailable):
        await store.read("a")
    sees(stubber)
    stubber.add_response("put_parameter", {"Tier": "Standard"})
    with pytest.raises(StoreUnavailable):
        await store.write("a", TEXT)
    stubber.add_response("list_tags_for_resource", {})
    with pytest.raises(StoreUnavailable):
        await store.marks(["a"])


async def test_answers_of_two_accounts(stubbed_parameters: Stubbed) -> None:
    """Credentials may change in the middle of a run: what another account, or region, holds is not what was listed.

    What AWS publishes belongs to no account.
    """
    store, stubber = stubbed_parameters

    def named(where: str) -> dict[str, str]:
        return {"ARN": f"arn:aws:ssm:{where}:parameter/a/b"}

    for where in ("eu-central-1:123456789012", "eu-central-1:"):
        stubber.add_response("get_parameter", {"Parameter": {**parameter(), **named(where)}})
        assert (await store.read("a/b")).value.reveal() == b"text"
    for where in ("eu-central-1:999999999999", "eu-west-1:123456789012"):
        stubber.add_response("get_parameter", {"Parameter": {**parameter(), **named(where)}})
        with pytest.raises(MalformedAnswer, match="another account or region"):
            await store.read("a/b")
    stubber.assert_no_pending_responses()
