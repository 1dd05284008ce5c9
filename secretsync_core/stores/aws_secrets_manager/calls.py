"""The calls of the service that the store makes, one request each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.errors import InvalidSecret, SecretNotFound, StoreError
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.aws.answers import Mismatch, Request, nonsense
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_secretsmanager import SecretsManagerClient

    from secretsync_core.stores.aws.connection import Service
    from secretsync_core.stores.aws_secrets_manager.config import AwsSecretsManagerConfig
    from secretsync_core.stores.aws_secrets_manager.names import Names

    Payload = Mapping[str, str | bytes]

CURRENT = "AWSCURRENT"

STAGE = "SecretSync"
"""The staging label of a version that we have written and not yet made the current one."""

PAGE = 100
"""How many secrets one page of a listing holds."""

BATCH = 20
"""How many secrets one request reads."""


class Seen(NamedTuple):
    """What a description says of one secret: its current version (``None``: it has no value yet), and its state."""

    current: str | None
    deleted: bool
    tags: dict[str, str]
    replicas: tuple[str, ...] = ()


class Page(NamedTuple):
    """A part of a listing: what each name stands for, and where it goes on."""

    found: list[tuple[str, Seen]]
    token: str | None


class Batch(NamedTuple):
    """The answer about several secrets, by name: what was read, and code and text of why others were not."""

    read: dict[str, Secret]
    refused: dict[str, tuple[str, str]]


class Calls:
    """One request each; ``key`` is what a person calls the secret, and what errors name."""

    def __init__(self, service: Service[SecretsManagerClient], config: AwsSecretsManagerConfig, names: Names) -> None:
        self.store = service.account.store
        self._service = service
        self._config = config
        self._names = names

    # -- reading

    async def get(self, key: str, pin: Mapping[str, str]) -> Secret:
        """One value: the current one, or the one that ``VersionId`` or ``VersionStage`` in ``pin`` names."""
        request = self._request("read", key, "GetSecretValue")
        name = self._names.name(key)
        pinned: Any = pin
        answer = await self._service.call(
            "read", request, lambda client: client.get_secret_value(SecretId=name, **pinned)
        )
        return _secret(answer, request)

    async def get_many(self, keys: Sequence[str]) -> Batch:
        """Several current values. Some keys may be in neither half of the answer."""
        request = Request(self.store, "read several secrets at once", None, "secretsmanager:BatchGetSecretValue")
        ids = [self._names.name(key) for key in keys]
        answer = await self._service.call(
            "read-many", request, lambda client: client.batch_get_secret_value(SecretIdList=ids)
        )
        read, refused = {}, {}
        try:
            for each in answer["SecretValues"]:
                read[each["Name"]] = _secret(each, request)
            for error in answer.get("Errors", ()):
                refused[error["SecretId"]] = (error["ErrorCode"], error.get("Message", ""))
        except (KeyError, TypeError):
            raise nonsense(request) from None
        return Batch(read, refused)

    async def describe(self, key: str) -> Seen | None:
        """What there is at a key; ``None`` where there is nothing."""
        request = self._request("look at", key, "DescribeSecret")
        name = self._names.name(key)
        try:
            answer = await self._service.call("stat", request, lambda client: client.describe_secret(SecretId=name))
        except SecretNotFound:
            return None
        if "Name" not in answer:
            raise nonsense(request)
        return _seen(answer, answer.get("VersionIdsToStages"))

    async def page(self, folder: str, token: str | None) -> Page:
        """A page of the secrets whose names begin with ``folder``, those that are to be deleted too."""
        request = Request(self.store, "list secrets", None, "secretsmanager:ListSecrets")
        options: Any = {"NextToken": token} if token else {}
        if folder:
            options["Filters"] = [{"Key": "name", "Values": [folder]}]
        answer = await self._service.call(
            "list",
            request,
            lambda client: client.list_secrets(MaxResults=PAGE, IncludePlannedDeletion=True, **options),
        )
        try:
            found = [(each["Name"], _seen(each, each.get("SecretVersionsToStages"))) for each in answer["SecretList"]]
        except (KeyError, TypeError):
            raise nonsense(request) from None
        return Page(found, answer.get("NextToken"))

    # -- writing

    async def create(self, key: str, payload: Payload, version: str, tags: Mapping[str, str]) -> str:
        """Create a secret with its first value. Raises Conflict where it exists, WrongState where it is deleted."""
        needs = "CreateSecret, secretsmanager:TagResource" if tags else "CreateSecret"
        request = self._request("create", key, needs)
        options: Any = {"Name": self._names.new_name(key), "ClientRequestToken": version, **payload}
        if tags:
            options["Tags"] = [{"Key": name, "Value": value} for name, value in tags.items()]
        if self._config.kms_key_id:
            options["KmsKeyId"] = self._config.kms_key_id
        if self._config.description:
            options["Description"] = self._config.description
        if self._config.replica_regions:
            options["AddReplicaRegions"] = [
                {"Region": each.region, **({"KmsKeyId": each.kms_key_id} if each.kms_key_id else {})}
                for each in self._config.replica_regions
            ]
        doubt = Doubt()
        try:
            answer = await doubt.of(
                self._service.call("write", request, lambda client: client.create_secret(**options))
            )
        except SecretNotFound:
            hint = "is there such a kmsKeyId, here and in the replicaRegions?"
            refused = StoreError(
                f"{self.store} refuses to create {key}: a key is missing", store=self.store, key=key, hint=hint
            )
        except Mismatch:
            hint = "it may be the name, the tags, the description, kmsKeyId or replicaRegions of the SecretStore"
            refused = InvalidSecret(f"{self.store} refuses to create {key}", store=self.store, key=key, hint=hint)
        else:
            return _version(answer, request)
        raise doubt.on(refused)

    async def put(self, key: str, payload: Payload, version: str, *, stage: str | None = None) -> bool:
        """Add a version, as the current one unless a ``stage`` is given; whether it is the current one now."""
        request = self._request("write", key, "PutSecretValue")
        options: Any = {"SecretId": self._names.new_name(key), "ClientRequestToken": version, **payload}
        if stage:
            options["VersionStages"] = [stage]
        answer = await self._service.call("write", request, lambda client: client.put_secret_value(**options))
        _version(answer, request)
        return CURRENT in answer.get("VersionStages", ())

    async def move(self, key: str, stage: str, *, to: str | None = None, away_from: str | None = None) -> None:
        """Move a label from one version to another one, or take it away. Raises Mismatch where it stands elsewhere."""
        request = self._request("write", key, "UpdateSecretVersionStage")
        options: Any = {"SecretId": self._names.name(key), "VersionStage": stage}
        options |= {"MoveToVersionId": to} if to else {}
        options |= {"RemoveFromVersionId": away_from} if away_from else {}
        await self._service.call("promote", request, lambda client: client.update_secret_version_stage(**options))

    async def restore(self, key: str) -> None:
        """Take back a deletion."""
        request = self._request("restore", key, "RestoreSecret")
        name = self._names.name(key)
        await self._service.call("restore", request, lambda client: client.restore_secret(SecretId=name))

    async def delete(self, key: str, *, recoverable: bool = False) -> None:
        """Delete a secret as the document says; ``recoverable``: so that it can be restored, whatever it says."""
        request = self._request("delete", key, "DeleteSecret")
        options: Any = {"SecretId": self._names.name(key)}
        if self._config.force_delete_without_recovery and not recoverable:
            options["ForceDeleteWithoutRecovery"] = True
        else:
            options["RecoveryWindowInDays"] = self._config.recovery_window_in_days or 30
        await self._service.call("delete", request, lambda client: client.delete_secret(**options))

    async def unreplicate(self, key: str, regions: Sequence[str]) -> None:
        """Delete the copies in other regions."""
        request = self._request("delete the replicas of", key, "RemoveRegionsFromReplication")
        name, removed = self._names.name(key), list(regions)
        await self._service.call(
            "delete",
            request,
            lambda client: client.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=removed),
        )

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Put tags on a secret that is there."""
        request = self._request("tag", key, "TagResource")
        name, given = self._names.name(key), [{"Key": each, "Value": value} for each, value in tags.items()]
        as_typed: Any = given
        await self._service.call("tag", request, lambda client: client.tag_resource(SecretId=name, Tags=as_typed))

    def _request(self, action: str, key: str, needs: str) -> Request:
        return Request(self.store, f"{action} {key}", key, f"secretsmanager:{needs}")


def _seen(about: Mapping[str, Any], stages: Mapping[str, Sequence[str]] | None) -> Seen:
    current = next((version for version, labels in (stages or {}).items() if CURRENT in labels), None)
    return Seen(
        current=current,
        deleted=about.get("DeletedDate") is not None,
        tags={tag["Key"]: tag["Value"] for tag in about.get("Tags") or ()},
        replicas=tuple(each["Region"] for each in about.get("ReplicationStatus") or ()),
    )


def _version(answer: Mapping[str, Any], request: Request) -> str:
    version = answer.get("VersionId")
    if not isinstance(version, str):
        raise nonsense(request)
    return version


def _secret(answer: Mapping[str, Any], request: Request) -> Secret:
    version = _version(answer, request)
    text, binary = answer.get("SecretString"), answer.get("SecretBinary")
    if isinstance(binary, bytes):
        return Secret(SecretValue(binary), version)
    if not isinstance(text, str):
        raise nonsense(request)
    try:
        blob = text.encode()
    except UnicodeEncodeError:
        blob = None
    if blob is None:
        raise InvalidSecret(f"{request.key} holds text that is not valid Unicode", store=request.store, key=request.key)
    return Secret(SecretValue(blob), version)
