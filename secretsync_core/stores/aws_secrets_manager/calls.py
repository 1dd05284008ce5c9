"""The calls of the service that the store makes, one request each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.errors import InvalidSecret, SecretNotFound, StoreError
from secretsync_core.secret import BINARY, TEXT, Secret, SecretValue
from secretsync_core.stores.answers import Part, malformed
from secretsync_core.stores.aws.answers import Mismatch, Request
from secretsync_core.stores.aws.home import Home
from secretsync_core.stores.unanswered import Doubt
from secretsync_core.stores.unseen import Odd, one_by_one

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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
    description: str = ""


class Page(NamedTuple):
    """A part of a listing: what each name stands for, and where it goes on."""

    found: list[tuple[str, Seen | Odd]]
    token: str | None


class Batch(NamedTuple):
    """The answer about several secrets, by name: what was read, and code and text of why others were not."""

    read: dict[str, Secret]
    refused: dict[str, tuple[str, str]]


class Calls:
    """One request each; ``key`` is what a person calls the secret, and what errors name."""

    def __init__(self, service: Service[SecretsManagerClient], config: AwsSecretsManagerConfig, names: Names) -> None:
        self.store = service.account.store
        self.endurance = service.account.endurance
        self._service = service
        self._config = config
        self._names = names
        self._home = Home()

    # -- reading

    async def get(self, key: str, pin: Mapping[str, str]) -> Secret:
        """One value: the current one, or the one that ``VersionId`` or ``VersionStage`` in ``pin`` names."""
        request = self._request("read", key, "GetSecretValue")
        name = self._names.name(key)
        pinned: Any = pin

        def ask(client: SecretsManagerClient) -> Secret:
            answer = _part(request, client.get_secret_value(SecretId=name, **pinned))
            self._check(answer, name)
            if _version_of(answer) != pin.get("VersionId", _version_of(answer)):
                raise malformed(request, "it is another version")
            return _secret(answer, key)

        return await self._service.call("read", request, ask)

    async def get_many(self, keys: Sequence[str]) -> Batch:
        """Several current values. Some keys may be in neither half of the answer."""
        request = Request(self.store, "read several secrets at once", None, "secretsmanager:BatchGetSecretValue")
        ids = [self._names.name(key) for key in keys]

        def ask(client: SecretsManagerClient) -> Batch:
            answer = _part(request, client.batch_get_secret_value(SecretIdList=ids))
            values = answer.parts("SecretValues")
            for each in values:
                self._home.check(each)
            taken = one_by_one(values, _name, lambda each: _secret(each, None))
            read = {name: each for name, each in taken if not isinstance(each, Odd)}
            errors = answer.parts("Errors") if answer.has("Errors") else []
            refused = {
                each.text("SecretId"): (each.text("ErrorCode"), each.text_or_none("Message") or "") for each in errors
            }
            return Batch(read, refused)

        return await self._service.call("read-many", request, ask)

    async def describe(self, key: str) -> Seen | None:
        """What there is at a key; ``None`` where there is nothing."""
        request = self._request("look at", key, "DescribeSecret")
        name = self._names.name(key)

        def ask(client: SecretsManagerClient) -> Seen:
            answer = _part(request, client.describe_secret(SecretId=name))
            self._check(answer, name)
            return _seen(answer, "VersionIdsToStages")

        try:
            return await self._service.call("stat", request, ask)
        except SecretNotFound:
            return None

    async def page(self, folder: str, token: str | None) -> Page:
        """A page of the secrets whose names begin with ``folder``, those that are to be deleted too."""
        request = Request(self.store, "list secrets", None, "secretsmanager:ListSecrets")
        options: Any = {"NextToken": token} if token else {}
        if folder:
            options["Filters"] = [{"Key": "name", "Values": [folder]}]

        def ask(client: SecretsManagerClient) -> Page:
            answer = _part(request, client.list_secrets(MaxResults=PAGE, IncludePlannedDeletion=True, **options))
            listed = answer.parts("SecretList")
            for each in listed:
                self._home.check(each)
            found = one_by_one(listed, _name, lambda each: _seen(each, "SecretVersionsToStages"))
            return Page(found, answer.text("NextToken") if answer.has("NextToken") else None)

        return await self._service.call("list", request, ask)

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
            options["AddReplicaRegions"] = self._replicas({each.region for each in self._config.replica_regions})
        doubt = Doubt()

        def ask(client: SecretsManagerClient) -> str:
            answer = _part(request, client.create_secret(**options))
            self._check(answer, options["Name"])
            return _check_version(answer, version)

        try:
            return await doubt.of(self._service.call("write", request, ask))
        except SecretNotFound:
            hint = "is there such a kmsKeyId, here and in the replicaRegions?"
            refused = StoreError(
                f"{self.store} refuses to create {key}: a key is missing", store=self.store, key=key, hint=hint
            )
        except Mismatch:
            hint = "it may be the name, the tags, the description, kmsKeyId or replicaRegions of the SecretStore"
            refused = InvalidSecret(f"{self.store} refuses to create {key}", store=self.store, key=key, hint=hint)
        raise doubt.on(refused)

    async def put(self, key: str, payload: Payload, version: str, *, stage: str | None = None) -> bool:
        """Add a version, as the current one unless a ``stage`` is given; whether it is the current one now."""
        request = self._request("write", key, "PutSecretValue")
        options: Any = {"SecretId": self._names.new_name(key), "ClientRequestToken": version, **payload}
        if stage:
            options["VersionStages"] = [stage]

        def ask(client: SecretsManagerClient) -> bool:
            answer = _part(request, client.put_secret_value(**options))
            self._check(answer, options["SecretId"])
            _check_version(answer, version)
            return CURRENT in (answer.texts("VersionStages") if answer.has("VersionStages") else ())

        return await self._service.call("write", request, ask)

    async def move(self, key: str, stage: str, *, to: str | None = None, away_from: str | None = None) -> None:
        """Move a label from one version to another one, or take it away. Raises Mismatch where it stands elsewhere."""
        request = self._request("write", key, "UpdateSecretVersionStage")
        options: Any = {"SecretId": self._names.name(key), "VersionStage": stage}
        options |= {"MoveToVersionId": to} if to else {}
        options |= {"RemoveFromVersionId": away_from} if away_from else {}
        await self._service.call(
            "promote",
            request,
            lambda client: self._done(request, client.update_secret_version_stage(**options), options["SecretId"]),
        )

    async def restore(self, key: str) -> None:
        """Take back a deletion."""
        request = self._request("restore", key, "RestoreSecret")
        name = self._names.name(key)
        await self._service.call(
            "restore", request, lambda client: self._done(request, client.restore_secret(SecretId=name), name)
        )

    async def delete(self, key: str, *, recoverable: bool = False) -> None:
        """Delete a secret as the document says; ``recoverable``: so that it can be restored, whatever it says."""
        request = self._request("delete", key, "DeleteSecret")
        options: Any = {"SecretId": self._names.name(key)}
        if self._config.force_delete_without_recovery and not recoverable:
            options["ForceDeleteWithoutRecovery"] = True
        else:
            options["RecoveryWindowInDays"] = self._config.recovery_window_in_days or 30
        await self._service.call(
            "delete",
            request,
            lambda client: self._done(request, client.delete_secret(**options), options["SecretId"]),
        )

    async def unreplicate(self, key: str, regions: Sequence[str]) -> None:
        """Delete the copies in other regions."""
        request = self._request("delete the replicas of", key, "RemoveRegionsFromReplication")
        name, removed = self._names.name(key), list(regions)
        await self._service.call(
            "delete",
            request,
            lambda client: _part(
                request, client.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=removed)
            ).text("ARN"),
        )

    async def redescribe(self, key: str, description: str) -> None:
        """Give a secret that is there another description. It makes no version."""
        request = self._request("describe", key, "UpdateSecret")
        name = self._names.name(key)
        await self._service.call(
            "metadata",
            request,
            lambda client: self._done(request, client.update_secret(SecretId=name, Description=description), name),
        )

    async def replicate(self, key: str, regions: Collection[str]) -> None:
        """Have a secret that is there copied to other regions."""
        request = self._request("replicate", key, "ReplicateSecretToRegions")
        name, added = self._names.name(key), self._replicas(regions)
        await self._service.call(
            "metadata",
            request,
            lambda client: _part(
                request, client.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=added)
            ).text("ARN"),
        )

    def _replicas(self, regions: Collection[str]) -> Any:
        return [
            {"Region": each.region, **({"KmsKeyId": each.kms_key_id} if each.kms_key_id else {})}
            for each in self._config.replica_regions
            if each.region in regions
        ]

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Put tags on a secret that is there."""
        request = self._request("tag", key, "TagResource")
        name, given = self._names.name(key), [{"Key": each, "Value": value} for each, value in tags.items()]
        as_typed: Any = given
        await self._service.call("tag", request, lambda client: client.tag_resource(SecretId=name, Tags=as_typed))

    def _check(self, answer: Part, name: str) -> None:
        """The answer about one secret, and to what changes one, names it."""
        if answer.text("Name") != name:
            raise malformed(answer.call, "it is another secret than the one that was asked for")
        self._home.check(answer)

    def _done(self, request: Request, answer: Mapping[str, Any], name: str) -> None:
        self._check(_part(request, answer), name)

    def _request(self, action: str, key: str, needs: str) -> Request:
        return Request(self.store, f"{action} {key}", key, f"secretsmanager:{needs}")


def _part(request: Request, answer: Mapping[str, Any]) -> Part:
    return Part(request, "", answer)


def _name(about: Part) -> str:
    return about.text("Name")


# What whoever writes a version may call it (ClientRequestToken): a UUID, or what a tool makes in its place.
_is_version = re.compile(r"[0-9A-Za-z_-]{32,64}").fullmatch


def _version_of(answer: Part) -> str:
    if _is_version(version := answer.text("VersionId")):
        return version
    raise answer.wrong("VersionId", "the id of a version")


def _check_version(answer: Part, ours: str) -> str:
    """The id of what we wrote: the one that we gave it, whatever id the answer names."""
    _version_of(answer)
    return ours


def _seen(about: Part, stages: str) -> Seen:
    current = None
    if about.has(stages):
        for version, found in about.part(stages).fields.items():
            if type(found) is not list or (CURRENT in found and not _is_version(version)):
                raise about.wrong(stages, "an object of lists, by version")
            if CURRENT in found:
                current = version
    return Seen(
        current=current,
        deleted=about.has("DeletedDate") and about.date("DeletedDate") is not None,
        tags={tag.text("Key"): tag.text_or_none("Value") or "" for tag in _parts(about, "Tags")},
        description=(about.text_or_none("Description") or "") if about.has("Description") else "",
        replicas=tuple([each.text("Region") for each in _parts(about, "ReplicationStatus")]),
    )


def _parts(about: Part, name: str) -> Sequence[Part]:
    return about.parts(name) if about.has(name) else ()


def _secret(answer: Part, key: str | None) -> Secret:
    version = _version_of(answer)
    binary = answer.fields.get("SecretBinary")
    if isinstance(binary, bytes):
        return Secret(SecretValue(binary, BINARY), version)
    text = answer.text_or_none("SecretString")
    if text is None:
        raise answer.wrong("SecretString", "a text, where there is no SecretBinary")
    try:
        blob = text.encode()
    except UnicodeEncodeError:
        blob = None
    if blob is None:
        raise InvalidSecret(f"{key} holds text that is not valid Unicode", store=answer.call.store, key=key)
    return Secret(SecretValue(blob, TEXT), version)
