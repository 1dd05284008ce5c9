"""Secrets Manager, Parameter Store and STS at one address, as far as a sync asks them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fuzz.fake_server import Answer
from fuzz.fake_vault import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ASSUMED = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    f"<AccessKeyId>AKIA</AccessKeyId><SecretAccessKey>{TOKEN}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken>"
    "<Expiration>2036-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser>"
    "<Arn>arn:aws:sts::1:assumed-role/x/y</Arn><AssumedRoleId>x:y</AssumedRoleId></AssumedRoleUser></AssumeRoleResult>"
    "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>"
).encode()


@dataclass
class Secret:
    """One of Secrets Manager's. ``staged`` has versions that are not current, by their ids."""

    text: str
    version: str
    number: int = 1
    tags: list[dict[str, str]] = field(default_factory=list)
    staged: dict[str, str] = field(default_factory=dict)


@dataclass
class Parameter:
    """One of Parameter Store's."""

    text: str
    version: int = 1
    tags: list[dict[str, str]] = field(default_factory=list)


class FakeAws:
    """An account with nothing in it."""

    def __init__(self) -> None:
        """An empty account."""
        self.secrets: dict[str, Secret] = {}
        self.parameters: dict[str, Parameter] = {}
        self.writes: list[tuple[str, str]] = []
        self.headers = {
            "Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "r",
            "Date": "Sat, 28 Nov 2026 02:00:00 GMT",
        }  # fmt: skip

    def put_secret(self, name: str, text: str, version: str = "") -> None:
        """Write a secret, as version ``version`` or as one of its own."""
        old = self.secrets.get(name)
        number = old.number + 1 if old else 1
        made = version or f"{len(name):08x}-0000-4000-8000-{number:012x}"
        self.secrets[name] = Secret(text, made, number, old.tags if old else [])

    def put_parameter(self, name: str, text: str) -> None:
        """Write a parameter."""
        old = self.parameters.get(name)
        self.parameters[name] = Parameter(text, old.version + 1 if old else 1, old.tags if old else [])

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do what is asked."""
        del method, path
        target = headers.get("x-amz-target")
        if target is None:
            return Answer("sts", 200, _ASSUMED)
        actions: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "ListSecrets": self._list_secrets, "DescribeSecret": self._describe, "GetSecretValue": self._get,
            "BatchGetSecretValue": self._get_many, "CreateSecret": self._create, "PutSecretValue": self._put,
            "UpdateSecretVersionStage": self._move, "DeleteSecret": self._delete,
            "DescribeParameters": self._describe_parameters, "GetParameter": self._get_parameter,
            "GetParameters": self._get_parameters, "PutParameter": self._put_parameter,
            "DeleteParameter": self._delete_parameter, "ListTagsForResource": self._tags,
            "TagResource": lambda _: Answer("tag", 200, {}), "AddTagsToResource": lambda _: Answer("tag", 200, {}),
        }  # fmt: skip
        action = actions.get(target.partition(".")[2])
        if action is None:
            return Answer("unknown", 400, {"__type": "ValidationException", "message": "x"})
        return action(json.loads(body))

    # -- Secrets Manager

    def _about(self, name: str) -> dict[str, object]:
        arn = f"arn:aws:secretsmanager:eu-central-1:1:secret:{name}-abcdef"
        return {
            "ARN": arn, "Name": name, "LastChangedDate": 1.7e9, "CreatedDate": 1.7e9, "Tags": self.secrets[name].tags
        }  # fmt: skip

    def _list_secrets(self, sent: dict[str, Any]) -> Answer:
        prefix = next((one["Values"][0] for one in sent.get("Filters", []) if one["Key"] == "name"), "")
        names = sorted(name for name in self.secrets if name.startswith(prefix))
        half = len(names) // 2
        page = names[half:] if sent.get("NextToken") else names[:half]
        stages = "SecretVersionsToStages"
        found = [{**self._about(name), stages: {self.secrets[name].version: ["AWSCURRENT"]}} for name in page]
        if sent.get("NextToken"):
            return Answer("list 2", 200, {"SecretList": found})
        return Answer("list 1", 200, {"SecretList": found, "NextToken": "go-on"})

    def _describe(self, sent: dict[str, Any]) -> Answer:
        name = sent["SecretId"]
        if name not in self.secrets:
            return _absent("describe none")
        stages = {self.secrets[name].version: ["AWSCURRENT"]}
        return Answer(f"describe {name}", 200, {**self._about(name), "VersionIdsToStages": stages})

    def _value(self, name: str) -> dict[str, object]:
        found = self.secrets[name]
        return {
            "ARN": "arn:x", "Name": name, "VersionId": found.version, "SecretString": found.text,
            "VersionStages": ["AWSCURRENT"], "CreatedDate": 1.7e9,
        }  # fmt: skip

    def _get(self, sent: dict[str, Any]) -> Answer:
        name = sent["SecretId"]
        return Answer(f"read {name}", 200, self._value(name)) if name in self.secrets else _absent("read none")

    def _get_many(self, sent: dict[str, Any]) -> Answer:
        there = [name for name in sent["SecretIdList"] if name in self.secrets]
        errors = [
            {"SecretId": name, "ErrorCode": "ResourceNotFoundException", "Message": "x"}
            for name in sent["SecretIdList"]
            if name not in self.secrets
        ]
        return Answer("read many", 200, {"SecretValues": [self._value(name) for name in there], "Errors": errors})

    def _create(self, sent: dict[str, Any]) -> Answer:
        name = sent["Name"]
        if name in self.secrets:
            return Answer("create exists", 400, {"__type": "ResourceExistsException", "Message": "x"})
        self.put_secret(name, sent.get("SecretString", ""), sent["ClientRequestToken"])
        self.secrets[name].tags = sent.get("Tags", [])
        self.writes.append(("write", name))
        return Answer("create", 200, {"ARN": "arn:x", "Name": name, "VersionId": sent["ClientRequestToken"]})

    def _put(self, sent: dict[str, Any]) -> Answer:
        name, made = sent["SecretId"], sent["ClientRequestToken"]
        if name not in self.secrets:
            return _absent("put none")
        stages = sent.get("VersionStages") or ["AWSCURRENT"]
        if "AWSCURRENT" in stages:
            self.put_secret(name, sent["SecretString"], made)
            self.writes.append(("write", name))
        else:
            self.secrets[name].staged[made] = sent["SecretString"]
        return Answer("put", 200, {"ARN": "arn:x", "Name": name, "VersionId": made, "VersionStages": stages})

    def _move(self, sent: dict[str, Any]) -> Answer:
        name = sent["SecretId"]
        found = self.secrets.get(name)
        if found is None:
            return _absent("move none")
        if sent["VersionStage"] == "AWSCURRENT":
            if sent.get("RemoveFromVersionId") != found.version:
                self.writes.append(("refused", name))
                return Answer("move refused", 400, {"__type": "InvalidParameterException", "Message": "x"})
            self.put_secret(name, found.staged.get(sent["MoveToVersionId"], ""), sent["MoveToVersionId"])
            self.writes.append(("write", name))
        return Answer("move", 200, {"ARN": "arn:x", "Name": name})

    def _delete(self, sent: dict[str, Any]) -> Answer:
        self.secrets.pop(sent["SecretId"], None)
        self.writes.append(("delete", sent["SecretId"]))
        return Answer("delete", 200, {"ARN": "arn:x", "Name": sent["SecretId"], "DeletionDate": 1.8e9})

    # -- Parameter Store

    def _parameter(self, name: str, *, value: bool = True) -> dict[str, object]:
        found = self.parameters[name]
        made = {
            "Name": name, "Type": "SecureString", "Version": found.version, "LastModifiedDate": 1.7e9 + found.version,
            "ARN": "arn:x", "DataType": "text",
        }  # fmt: skip
        return {**made, "Value": found.text} if value else {**made, "Tier": "Standard", "Policies": []}

    def _describe_parameters(self, sent: dict[str, Any]) -> Answer:
        filters = {one["Key"]: one["Values"] for one in sent.get("ParameterFilters", [])}
        names = sorted(self.parameters)
        if "Name" in filters:
            names = [name for name in names if name in filters["Name"]]
        if "Path" in filters:
            names = [name for name in names if name.startswith(filters["Path"][0].rstrip("/") + "/")]
        half = len(names) // 2
        page = names[half:] if sent.get("NextToken") else names[:half]
        told: dict[str, object] = {"Parameters": [self._parameter(name, value=False) for name in page]}
        if sent.get("NextToken"):
            return Answer("list 2", 200, told)
        return Answer("list 1", 200, {**told, "NextToken": "go-on"})

    def _get_parameter(self, sent: dict[str, Any]) -> Answer:
        name = sent["Name"]
        if name not in self.parameters:
            return Answer("read none", 400, {"__type": "ParameterNotFound", "message": "x"})
        return Answer(f"read {name}", 200, {"Parameter": self._parameter(name)})

    def _get_parameters(self, sent: dict[str, Any]) -> Answer:
        there = [name for name in sent["Names"] if name in self.parameters]
        told = {
            "Parameters": [self._parameter(name) for name in there],
            "InvalidParameters": [name for name in sent["Names"] if name not in self.parameters],
        }
        return Answer("read many" if sent.get("WithDecryption") else "versions", 200, told)

    def _put_parameter(self, sent: dict[str, Any]) -> Answer:
        name = sent["Name"]
        if name in self.parameters and not sent.get("Overwrite"):
            return Answer("put exists", 400, {"__type": "ParameterAlreadyExists", "message": "x"})
        self.put_parameter(name, sent["Value"])
        self.parameters[name].tags = sent.get("Tags", [])
        self.writes.append(("write", name))
        return Answer("put", 200, {"Version": self.parameters[name].version, "Tier": "Standard"})

    def _delete_parameter(self, sent: dict[str, Any]) -> Answer:
        self.parameters.pop(sent["Name"], None)
        self.writes.append(("delete", sent["Name"]))
        return Answer("delete", 200, {})

    def _tags(self, sent: dict[str, Any]) -> Answer:
        found = self.parameters.get(sent["ResourceId"])
        if found is None:
            return Answer("tags none", 400, {"__type": "InvalidResourceId", "message": "x"})
        return Answer("tags", 200, {"TagList": found.tags})


def _absent(label: str) -> Answer:
    return Answer(label, 400, {"__type": "ResourceNotFoundException", "Message": "x"})
