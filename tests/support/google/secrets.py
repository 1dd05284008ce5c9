"""The state of Secret Manager in one project, and what each method does to it."""

from __future__ import annotations

import base64
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import google_crc32c

from support.google.statuses import Refused, denied

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.google.discovery import Asked

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")  # the discovery document, parameter secretId of projects.secrets.create
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")  # https://cloud.google.com/secret-manager/docs/labels, in ASCII
_LABEL_TEXT = re.compile(r"[a-z0-9_-]{0,63}")
_ANNOTATION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")  # the discovery document, Secret.annotations
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")  # the same, Secret.versionAliases
MOST_BYTES = 64 * 1024  # the same, SecretPayload.data
_PERMISSIONS = {
    # https://cloud.google.com/secret-manager/docs/access-control has the permission of each method.
    "projects.secrets.list": "secrets.list",
    "projects.secrets.create": "secrets.create",
    "projects.secrets.get": "secrets.get",
    "projects.secrets.patch": "secrets.update",
    "projects.secrets.delete": "secrets.delete",
    "projects.secrets.addVersion": "versions.add",
    "projects.secrets.versions.list": "versions.list",
    "projects.secrets.versions.get": "versions.get",
    "projects.secrets.versions.access": "versions.access",
    "projects.secrets.versions.destroy": "versions.destroy",
    "projects.secrets.versions.disable": "versions.disable",
    "projects.secrets.versions.enable": "versions.enable",
}
READER = frozenset({"secrets.list", "secrets.get", "versions.get", "versions.list", "versions.access"})
"""What roles/secretmanager.viewer and roles/secretmanager.secretAccessor permit together."""


@dataclass
class Version:
    """A version of a secret."""

    number: int
    data: bytes
    made: str
    etag: str
    state: str = "ENABLED"
    gone: str = ""
    going: str = ""


@dataclass
class Secret:
    """A secret. ``fields`` are those of the discovery document that people set."""

    name: str
    made: str
    etag: str
    fields: dict[str, Any]
    versions: list[Version] = field(default_factory=list)


class Secrets:
    """One project's secrets, global and regional. Threads may share it."""

    def __init__(self, project: str = "acme-test", number: str = "123456789012") -> None:
        self.project, self.number = project, number
        self.by_name: dict[str, Secret] = {}
        self.latest: dict[str, int] = {}
        """Which version the alias still shows of a secret's id (0: none), where it is behind."""
        self.permitted: Callable[[str, str], bool] = lambda _permission, _secret: True
        """Whether the caller has a permission (``versions.access``) on a secret's id (empty: the project)."""
        self._lock = threading.RLock()
        self._clock = datetime.now(UTC)
        self._etags = 0

    # -- for tests

    def put(self, secret: str, *values: bytes, location: str = "", **fields: Any) -> None:
        """Have somebody else create a secret, and add a version for each value."""
        with self._lock:
            parent = f"projects/{self.number}" + (f"/locations/{location}" if location else "")
            name = f"{parent}/secrets/{secret}"
            if name not in self.by_name:
                self.by_name[name] = Secret(name, self._now(), self._etag(), fields)
            for value in values:
                self._add(self.by_name[name], value)

    def remove(self, secret: str) -> None:
        """Have somebody else delete a secret."""
        with self._lock:
            del self.by_name[self.of(secret).name]

    def values(self, location: str = "") -> dict[str, bytes]:
        """The current values, by the ids of secrets."""
        found = {}
        for name, secret in self.by_name.items():
            if (f"/locations/{location}/" in name) if location else "/locations/" not in name:
                last = secret.versions[-1] if secret.versions else None
                if last is not None and last.state == "ENABLED":
                    found[name.rpartition("/")[2]] = last.data
        return found

    def of(self, secret: str, location: str = "") -> Secret:
        """A secret."""
        where = f"/locations/{location}" if location else ""
        return self.by_name[f"projects/{self.number}{where}/secrets/{secret}"]

    # -- the service

    def carry_out(self, asked: Asked) -> dict[str, Any]:
        """Do what a request asks for."""
        with self._lock:
            if asked.path.get("projectsId") not in (self.project, self.number):
                raise denied("secretmanager.secrets.list", f"projects/{asked.path.get('projectsId')}")
            if asked.method == "projects.secrets.testIamPermissions":
                return self._test(asked)
            permission = _PERMISSIONS[asked.method]
            if not self.permitted(permission, asked.path.get("secretsId", "")):
                raise denied(f"secretmanager.{permission}", self._name(asked))
            return _DO[asked.method](self, asked)

    def _name(self, asked: Asked) -> str:
        # Answers name projects by their numbers: https://cloud.google.com/secret-manager/docs/creating-and-accessing-secrets
        where = f"projects/{self.number}"
        if location := asked.path.get("locationsId"):
            where += f"/locations/{location}"
        return f"{where}/secrets/{asked.path.get('secretsId', '')}"

    def _found(self, asked: Asked) -> Secret:
        if (secret := self.by_name.get(self._name(asked))) is None:
            raise Refused("NOT_FOUND", f"Secret [{self._name(asked)}] not found.")
        return secret

    def _version(self, asked: Asked) -> tuple[Secret, Version]:
        secret, told = self._found(asked), asked.path["versionsId"]
        if told == "latest":
            # "an alias to the most recently created SecretVersion", whatever its state: versions.get, its description
            # It lags, "within minutes, but may take a few hours": https://cloud.google.com/secret-manager/docs/reference/consistency
            last = self.latest.get(asked.path["secretsId"], len(secret.versions))
            if not last:
                raise Refused("NOT_FOUND", f"Secret [{secret.name}] not found or has no versions.")
            return secret, secret.versions[last - 1]
        told = str(secret.fields.get("versionAliases", {}).get(told, told))
        for version in secret.versions:
            if str(version.number) == told:
                return secret, version
        raise Refused("NOT_FOUND", f"Secret Version [{secret.name}/versions/{told}] not found.")

    def _test(self, asked: Asked) -> dict[str, Any]:
        # "If the secret does not exist, this call returns an empty set of permissions": the discovery document.
        there = self._name(asked) in self.by_name
        found = [
            each
            for each in asked.body["permissions"]
            if there and self.permitted(each.removeprefix("secretmanager."), asked.path["secretsId"])
        ]
        return {"permissions": found} if found else {}

    def _list(self, asked: Asked) -> dict[str, Any]:
        within = self._name(asked)
        # "sorted in reverse by create_time (newest first)": the discovery document, ListSecretsResponse.
        names = [name for name in reversed(self.by_name) if name.rpartition("/")[0] + "/" == within]
        size = min(int(asked.query.get("pageSize", "0")) or 100, 25_000)
        start = int(asked.query["pageToken"].removeprefix("after-")) if asked.query.get("pageToken") else 0
        page = names[start : start + size]
        told: dict[str, Any] = {"totalSize": len(names)}
        if page:
            told["secrets"] = [self._told(self.by_name[name]) for name in page]
        if start + size < len(names):
            told["nextPageToken"] = f"after-{start + size}"
        return told

    def _create(self, asked: Asked) -> dict[str, Any]:
        secret = asked.query.get("secretId", "")
        if not _ID.fullmatch(secret):
            raise Refused("INVALID_ARGUMENT", "The provided Secret ID does not match the expected format.")
        name = self._name(asked) + secret
        if name in self.by_name:
            raise Refused("ALREADY_EXISTS", f"Secret [{name}] already exists.")
        fields = {each: value for each, value in asked.body.items() if each not in ("name", "etag", "createTime")}
        regional = bool(asked.path.get("locationsId"))
        if regional == bool(fields.get("replication")):
            # https://cloud.google.com/secret-manager/regional-secrets/create-regional-secret, and for global ones
            # https://cloud.google.com/secret-manager/docs/choosing-replication
            raise Refused("INVALID_ARGUMENT", "Secret.replication is for global secrets, which must have one.")
        self._check(fields)
        if ttl := fields.pop("ttl", ""):  # "Input only", and an expireTime "always provided on output"
            fields["expireTime"] = _text(self._clock + timedelta(seconds=float(ttl.removesuffix("s"))))
        self.by_name[name] = Secret(name, self._now(), self._etag(), fields)
        return self._told(self.by_name[name])

    def _get(self, asked: Asked) -> dict[str, Any]:
        return self._told(self._found(asked))

    def _patch(self, asked: Asked) -> dict[str, Any]:
        secret = self._found(asked)
        self._check_etag(secret.etag, asked.body.get("etag", ""))
        fields = dict(secret.fields)
        for each in filter(None, asked.query.get("updateMask", "").split(",")):
            if each not in ("labels", "annotations", "topics", "versionAliases", "expireTime", "ttl", "rotation"):
                raise Refused("INVALID_ARGUMENT", f"{each} cannot be updated")
            fields[each] = asked.body.get(each, {})
        self._check(fields)
        secret.fields, secret.etag = fields, self._etag()
        return self._told(secret)

    def _delete(self, asked: Asked) -> dict[str, Any]:
        secret = self._found(asked)
        self._check_etag(secret.etag, asked.query.get("etag", ""))
        del self.by_name[secret.name]
        return {}

    def _add_version(self, asked: Asked) -> dict[str, Any]:
        secret, payload = self._found(asked), asked.body.get("payload")
        if payload is None:
            raise Refused("INVALID_ARGUMENT", "Field [payload] is required.")
        data = base64.b64decode(payload.get("data", ""))
        if not data:
            raise Refused("INVALID_ARGUMENT", "Secret Payload cannot be empty.")
        if len(data) > MOST_BYTES:
            raise Refused("INVALID_ARGUMENT", "Secret payload is too large.")
        # https://cloud.google.com/secret-manager/docs/data-integrity
        if "dataCrc32c" in payload and int(payload["dataCrc32c"]) != google_crc32c.value(data):
            raise Refused("INVALID_ARGUMENT", "The payload's checksum does not match.")
        told = self._told_version(secret, self._add(secret, data))
        return told | {"clientSpecifiedPayloadChecksum": "dataCrc32c" in payload}

    def _list_versions(self, asked: Asked) -> dict[str, Any]:
        secret = self._found(asked)
        told = [self._told_version(secret, each) for each in reversed(secret.versions)]
        return {"versions": told, "totalSize": len(told)}

    def _get_version(self, asked: Asked) -> dict[str, Any]:
        return self._told_version(*self._version(asked))

    def _access(self, asked: Asked) -> dict[str, Any]:
        secret, version = self._version(asked)
        if version.state != "ENABLED":
            name = f"{secret.name}/versions/{version.number}"
            raise Refused("FAILED_PRECONDITION", f"Secret Version [{name}] is in {version.state} state.")
        payload = {
            "data": base64.b64encode(version.data).decode(),
            "dataCrc32c": str(google_crc32c.value(version.data)),
        }
        return {"name": f"{secret.name}/versions/{version.number}", "payload": payload}

    def _set_state(self, asked: Asked) -> dict[str, Any]:
        secret, version = self._version(asked)
        self._check_etag(version.etag, asked.body.get("etag", ""))
        if version.state == "DESTROYED":  # "A version may not leave this state once entered."
            raise Refused("FAILED_PRECONDITION", "The version is in DESTROYED state.")
        verb = asked.method.rpartition(".")[2]
        delay = secret.fields.get("versionDestroyTtl", "") if verb == "destroy" else ""
        # "For secret with TTL>0, version destruction doesn't happen immediately on calling destroy instead the version
        # goes to a disabled state": the discovery document, Secret.versionDestroyTtl.
        version.state, version.etag = "DISABLED" if delay else _STATES[verb], self._etag()
        if delay:
            version.going = _text(self._clock + timedelta(seconds=float(delay.removesuffix("s"))))
        elif verb == "destroy":
            version.data, version.gone = b"", self._now()
        return self._told_version(secret, version)

    # -- its parts

    def _add(self, secret: Secret, data: bytes) -> Version:
        # "IDs in a Secret start at 1 and are incremented for each subsequent version": SecretVersion.name.
        # The secret's etag stays: https://cloud.google.com/secret-manager/docs/etags
        secret.versions.append(Version(len(secret.versions) + 1, data, self._now(), self._etag()))
        return secret.versions[-1]

    def _check(self, fields: dict[str, Any]) -> None:
        labels, annotations = fields.get("labels", {}), fields.get("annotations", {})
        if len(labels) > 64 or not all(_LABEL.fullmatch(a) and _LABEL_TEXT.fullmatch(b) for a, b in labels.items()):
            raise Refused("INVALID_ARGUMENT", "The labels are not valid.")
        size = sum(len(name.encode()) + len(text.encode()) for name, text in annotations.items())
        if size >= 16 * 1024 or not all(map(_ANNOTATION.fullmatch, annotations)):
            raise Refused("INVALID_ARGUMENT", "The annotations are not valid.")
        aliases = fields.get("versionAliases", {})
        if len(aliases) > 50 or not all(_ALIAS.fullmatch(each) and each not in ("latest", "NEW") for each in aliases):
            raise Refused("INVALID_ARGUMENT", "The aliases are not valid.")
        if len(fields.get("topics", [])) > 10:  # the discovery document, Secret.topics
            raise Refused("INVALID_ARGUMENT", "Too many topics.")

    def _check_etag(self, now: str, given: str) -> None:
        # https://cloud.google.com/secret-manager/docs/etags: FAILED_PRECONDITION, HTTP 400
        if given and given != now:
            raise Refused("FAILED_PRECONDITION", "The provided etag does not match the resource's current etag.")

    def _told(self, secret: Secret) -> dict[str, Any]:
        fields = {name: value for name, value in secret.fields.items() if value or name == "replication"}
        return {"name": secret.name, "createTime": secret.made, "etag": secret.etag, **fields}

    def _told_version(self, secret: Secret, version: Version) -> dict[str, Any]:
        told = {
            "name": f"{secret.name}/versions/{version.number}",
            "createTime": version.made,
            "state": version.state,
            "etag": version.etag,
        }
        if version.going:
            told["scheduledDestroyTime"] = version.going
        return told | ({"destroyTime": version.gone} if version.gone else {})

    def _now(self) -> str:
        self._clock += timedelta(microseconds=1)
        return _text(self._clock)

    def _etag(self) -> str:
        # "the etag string includes quotes": https://cloud.google.com/secret-manager/docs/etags
        self._etags += 1
        return f'"{self._etags:014x}"'


_STATES = {"destroy": "DESTROYED", "disable": "DISABLED", "enable": "ENABLED"}
_DO: dict[str, Callable[[Secrets, Asked], dict[str, Any]]] = {
    "projects.secrets.list": Secrets._list,
    "projects.secrets.create": Secrets._create,
    "projects.secrets.get": Secrets._get,
    "projects.secrets.patch": Secrets._patch,
    "projects.secrets.delete": Secrets._delete,
    "projects.secrets.addVersion": Secrets._add_version,
    "projects.secrets.versions.list": Secrets._list_versions,
    "projects.secrets.versions.get": Secrets._get_version,
    "projects.secrets.versions.access": Secrets._access,
    "projects.secrets.versions.destroy": Secrets._set_state,
    "projects.secrets.versions.disable": Secrets._set_state,
    "projects.secrets.versions.enable": Secrets._set_state,
}


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
