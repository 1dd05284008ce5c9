"""Where the two servers that stand in for AWS differ, and what AWS documents there; see ``second_opinion``."""

from __future__ import annotations

import functools
import importlib
import socket
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from aws.second_opinion import LEFT_TO_MINISTACK, LEFT_TO_MOTO, WRONG_ON_MINISTACK
from secretsync_core.errors import SecretNotFound
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.aws import Ministack, Region

    from aws.conftest import OpenStore

TAGS: Any = [{"Key": "team", "Value": "blue"}]


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, int]:
    """The code and the HTTP status by which a request is refused; none where it is not."""
    try:
        call(**request)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return "", 200


def test_every_test_that_is_named_is_there() -> None:
    """A test that got another name is not left to one server by its old one."""
    for test in (*LEFT_TO_MINISTACK, *LEFT_TO_MOTO, *WRONG_ON_MINISTACK):
        file, *names = test.split("::")
        module = importlib.import_module(f"aws.{file.removesuffix('.py')}")
        assert callable(functools.reduce(getattr, names, module)), test


@pytest.mark.slow
def test_ministack_is_reached_from_this_machine_alone(ministack: Ministack) -> None:
    """It listens on 127.0.0.1, where every address of this machine would answer if it were left alone."""
    port = int(ministack.address.rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), 10).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), 10)


# -- moto is wrong of itself


async def test_what_is_absent_is_told_by_400(secrets_manager: OpenStore, region: Region) -> None:
    """As AWS documents for ResourceNotFoundException; the store takes it for what it is."""
    client = region.secrets
    for call in (client.get_secret_value, client.describe_secret, client.list_secret_version_ids):
        assert refusal(call, SecretId="a") == ("ResourceNotFoundException", 400)
    assert refusal(client.put_secret_value, SecretId="a", SecretString="x") == ("ResourceNotFoundException", 400)
    store = await secrets_manager()
    with pytest.raises(SecretNotFound):
        await store.read("a")
    await store.write("a", SecretValue(b"text"))
    assert client.get_secret_value(SecretId="a")["SecretString"] == "text"


async def test_what_is_to_be_deleted_takes_no_value(secrets_manager: OpenStore, region: Region) -> None:
    """Nor does it give one; the store restores it before it writes."""
    client = region.secrets
    store = await secrets_manager()
    await store.write("a", SecretValue(b"text"))
    await store.delete("a")
    for call, more in (
        (client.get_secret_value, {}),
        (client.put_secret_value, {"SecretString": "x"}),
        (client.update_secret, {"SecretString": "x"}),
        (client.tag_resource, {"Tags": TAGS}),
    ):
        assert refusal(call, SecretId="a", **more) == ("InvalidRequestException", 400)
    with pytest.raises(SecretNotFound, match="is deleted"):
        await store.read("a")
    await store.write("a", SecretValue(b"other"))
    assert client.get_secret_value(SecretId="a")["SecretString"] == "other"


# -- ministack is wrong


def test_a_secret_is_made_with_its_replicas(region: Region) -> None:
    """CreateSecret, AddReplicaRegions."""
    region.secrets.create_secret(Name="a", SecretString="x", AddReplicaRegions=[{"Region": "eu-west-1"}])
    replicas = region.secrets.describe_secret(SecretId="a").get("ReplicationStatus", [])
    assert [each["Region"] for each in replicas] == ["eu-west-1"]


def test_a_label_is_moved_to_the_version_that_is_written_with_it(region: Region) -> None:
    """PutSecretValue, VersionStages."""
    region.secrets.create_secret(Name="a", SecretString="x")
    for text in ("one", "two"):
        region.secrets.put_secret_value(SecretId="a", SecretString=text, VersionStages=["mine"])
    stages = region.secrets.describe_secret(SecretId="a")["VersionIdsToStages"].values()
    assert sum("mine" in each for each in stages) == 1


def test_a_token_stands_for_one_value(region: Region) -> None:
    """PutSecretValue, ClientRequestToken."""
    region.secrets.create_secret(Name="a", SecretString="x")
    token = "1" * 32
    region.secrets.put_secret_value(SecretId="a", SecretString="one", ClientRequestToken=token)
    again = refusal(region.secrets.put_secret_value, SecretId="a", SecretString="two", ClientRequestToken=token)
    assert again[0] == "ResourceExistsException"
    assert region.secrets.get_secret_value(SecretId="a")["SecretString"] == "one"


def test_a_parameter_keeps_its_type(region: Region) -> None:
    """PutParameter, HierarchyTypeMismatchException."""
    region.parameters.put_parameter(Name="/a/b", Value="x", Type="String")
    change = refusal(region.parameters.put_parameter, Name="/a/b", Value="y", Type="SecureString", Overwrite=True)
    assert change[0] == "HierarchyTypeMismatchException"


def test_what_is_absent_takes_no_tags(region: Region) -> None:
    """AddTagsToResource, InvalidResourceId."""
    asked = {"ResourceType": "Parameter", "ResourceId": "/a/b", "Tags": TAGS}
    assert refusal(region.parameters.add_tags_to_resource, **asked)[0] == "InvalidResourceId"


def test_one_level_is_what_is_in_the_folder_itself(region: Region) -> None:
    """DescribeParameters, the options of Path."""
    for name in ("/a/b", "/a/deep/c"):
        region.parameters.put_parameter(Name=name, Value="x", Type="String")
    found = {
        option: {
            each["Name"]
            for each in region.parameters.describe_parameters(
                ParameterFilters=[{"Key": "Path", "Option": option, "Values": ["/a"]}]
            )["Parameters"]
        }
        for option in ("OneLevel", "Recursive")
    }
    assert found == {"OneLevel": {"/a/b"}, "Recursive": {"/a/b", "/a/deep/c"}}


def test_tags_of_parameters_can_be_asked_for_together(region: Region) -> None:
    """GetResources of the tagging service, ssm:parameter."""
    region.parameters.put_parameter(Name="/a/b", Value="x", Type="String", Tags=TAGS)
    found = region.client("resourcegroupstaggingapi").get_resources(ResourceTypeFilters=["ssm:parameter"])
    assert [each["Tags"] for each in found["ResourceTagMappingList"]] == [TAGS]
