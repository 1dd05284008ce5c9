"""The calls of the service that the store makes, one request each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.errors import InvalidSecret, SecretFails, SecretNotFound, StoreError
from secretsync_core.stores.answers import MOST_VERSIONS, malformed
from secretsync_core.stores.gcp_secret_manager.answers import Misfit, Request
from secretsync_core.stores.gcp_secret_manager.names import parts_of, version_of
from secretsync_core.stores.unanswered import Doubt
from secretsync_core.stores.unseen import Odd, one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig
    from secretsync_core.stores.gcp_secret_manager.connection import Connection
    from secretsync_core.stores.gcp_secret_manager.names import Names

LATEST = "latest"
"""The alias of the version that was added last, whatever its state."""

_MOST_BEHIND = 20
"""How many versions are looked at that the alias does not show yet."""

PAGE = 1000
"""How many secrets one page of a listing holds; the service gives up to 25,000."""

_READ = "roles/secretmanager.secretAccessor (secretmanager.versions.access) on it"
_LOOK = "roles/secretmanager.viewer (secretmanager.{}) on it"
_ADD = "roles/secretmanager.secretVersionAdder (secretmanager.versions.add) on it"
_PRUNE = "roles/secretmanager.secretVersionManager (secretmanager.versions.{}) on it"
_ADMIN = "roles/secretmanager.admin (secretmanager.secrets.{}) on it"


_DEAD = "@D"
"""The end of the token of a version that is disabled or destroyed: it is not as whoever wrote it has left it."""

_EMPTY = "0@"
"""The beginning of the token of a secret without a version; what follows is when the secret was made."""


def is_same_version(token: str, other: str) -> bool:
    """Whether two tokens are of one version, whatever its state was."""
    return token.removesuffix(_DEAD) == other.removesuffix(_DEAD)


def holds_nothing(token: str) -> bool:
    """Whether a token is of a secret whose value nobody can read: it has no version, or a disabled or destroyed one."""
    return token.startswith(_EMPTY) or token.endswith(_DEAD)


class Seen(NamedTuple):
    """What is known of one version: its number and its token, whether it can be read, when it was made, its etag."""

    number: int
    token: str
    live: bool
    made: int
    etag: str


class About(NamedTuple):
    """What stands beside the versions of a secret, and the etag of that.

    ``made`` is when the secret was made, in nanoseconds of Unix; ``token`` is its token while it has no version;
    ``expires`` is when it will be deleted, empty if it will not.
    """

    etag: str
    labels: dict[str, str]
    annotations: dict[str, str]
    topics: tuple[str, ...]
    expires: str
    aliased: frozenset[int]
    made: int
    token: str


class Page(NamedTuple):
    """A part of a listing, by the ids of secrets, and where it goes on."""

    found: list[tuple[str, About | Odd]]
    token: str


class Calls:
    """One request each; ``key`` is what a person calls the secret, and what errors name."""

    def __init__(self, connection: Connection, config: GcpSecretManagerConfig, names: Names) -> None:
        import google_crc32c
        from google.cloud.secretmanager_v1 import types
        from google.iam.v1.iam_policy_pb2 import TestIamPermissionsRequest  # type: ignore[import-untyped]

        self.store = connection.store
        self.endurance = connection.endurance
        self._connection = connection
        self._config = config
        self._names = names
        self._types: Any = types
        self._rights: Any = TestIamPermissionsRequest
        self._checksum = google_crc32c.value
        self._number = ""

    # -- reading

    async def access(self, key: str, version: str = LATEST) -> tuple[int, bytes]:
        """The number and the value of a version."""
        request, name = self._request("read", key, _READ), self._names.name(key)

        def ask(service: Any) -> tuple[int, bytes]:
            answer = _pb(
                service.access_secret_version(
                    _new(self._types.AccessSecretVersionRequest, name=f"{name}/versions/{version}")
                )
            )
            number = self._version(request, key, answer.name)
            if version.isdecimal() and number != int(version):
                raise malformed(request, "it is another version")
            payload = answer.payload
            data: bytes = payload.data
            if not payload.HasField("data_crc32c"):
                raise malformed(request, "payload.dataCrc32c is missing, not a number")
            if self._checksum(data) != payload.data_crc32c:
                raise malformed(request, "its checksum is not that of its value")
            return number, data

        return await self._connection.call("read", request, ask)

    async def version(self, key: str, version: str = LATEST) -> Seen | None:
        """What there is of a version, without its value; ``None`` where there is no such version, or no secret."""
        request, name = self._request("look at", key, _LOOK.format("versions.get")), self._names.name(key)

        def ask(service: Any) -> Seen:
            answer = _pb(
                service.get_secret_version(_new(self._types.GetSecretVersionRequest, name=f"{name}/versions/{version}"))
            )
            return self._seen(request, key, answer)

        try:
            return await self._connection.call("stat", request, ask)
        except SecretNotFound:
            return None

    async def newest(self, key: str, *, there: bool = False) -> Seen | None:
        """The version that was added last; ``None`` where there is none. ``there``: the secret is known to be there.

        The alias may be behind for a while, and a version by its number is not. So where it shows none, or one that is
        disabled or destroyed, that counts only where no other follows.
        """
        seen = await self.version(key)
        if seen is None and there:
            seen = await self.version(key, "1")
        for _ in range(_MOST_BEHIND):
            if seen is None or seen.live:
                return seen
            if (following := await self.version(key, str(seen.number + 1))) is None:
                return seen
            seen = following
        raise SecretFails(f"{self.store} shows an old version of {key} as the latest", store=self.store, key=key)

    async def secret(self, key: str) -> About | None:
        """What stands beside the versions of a secret; ``None`` where there is none."""
        request, name = self._request("look at", key, _LOOK.format("secrets.get")), self._names.name(key)

        def ask(service: Any) -> About:
            answer = _pb(service.get_secret(_new(self._types.GetSecretRequest, name=name)))
            self._check(request, key, answer.name)
            return _about(request, answer)

        try:
            return await self._connection.call("stat", request, ask)
        except SecretNotFound:
            return None

    async def page(self, token: str) -> Page:
        """A page of the secrets of the project, or of the location."""
        needs = f"roles/secretmanager.viewer (secretmanager.secrets.list) on the project {self._config.project}"
        request = Request(self.store, "list secrets", None, needs, self._config.project)
        asked = {"parent": self._config.parent, "page_size": PAGE, "page_token": token}

        def ask(service: Any) -> Page:
            answer = _pb(service.list_secrets(_new(self._types.ListSecretsRequest, **asked)))
            if answer.total_size > 0 and not (answer.secrets or answer.next_page_token or token):
                raise malformed(request, "totalSize is not that of an empty listing")
            found = one_by_one(
                answer.secrets, lambda each: self._id_of(request, each.name), lambda each: _about(request, each)
            )
            return Page(found, answer.next_page_token)

        return await self._connection.call("list", request, ask)

    async def permitted(self, key: str, permissions: Sequence[str]) -> set[str]:
        """Those of ``permissions`` that we have on a secret; none where there is no such secret."""
        request, name = self._request("say what we may do with", key, ""), self._names.name(key)

        def ask(service: Any) -> set[str]:
            answer = service.test_iam_permissions(self._rights(resource=name, permissions=permissions))
            return set(answer.permissions)

        return await self._connection.call("stat", request, ask)

    # -- writing

    async def create(self, key: str, annotations: Mapping[str, str]) -> None:
        """Create a secret without a value. Raises Conflict where there is one."""
        needs = f"roles/secretmanager.admin (secretmanager.secrets.create) on the project {self._config.project}"
        request, secret = self._request("create", key, needs), self._names.id_of(key)
        body = self._body() | {"annotations": self._annotations(annotations)}

        def ask(service: Any) -> None:
            asked = _new(self._types.CreateSecretRequest, parent=self._config.parent, secret_id=secret, secret=body)
            self._check(request, key, _pb(service.create_secret(asked)).name)

        doubt = Doubt()
        try:
            return await doubt.of(self._connection.call("write", request, ask))
        except (Misfit, SecretNotFound) as error:
            refused = InvalidSecret(
                error.message if isinstance(error, Misfit) else f"{self.store} refuses to create {key}",
                store=self.store,
                key=key,
                hint="it may be labels, annotations, topics, replication, a KMS key, ttlSeconds or expireTime of the"
                f" SecretStore; or there is no project {self._config.project}",
            )
        raise doubt.on(refused)

    def is_as_created(self, about: About, annotations: Mapping[str, str]) -> bool:
        """Whether a secret has what :meth:`create` gives it, and nothing else."""
        asked = (dict(self._config.labels), self._annotations(annotations), set(self._config.topics))
        return asked == (about.labels, about.annotations, set(about.topics))

    def _annotations(self, own: Mapping[str, str]) -> dict[str, str]:
        return {**self._config.annotations, **own}

    async def add(self, key: str, blob: bytes, *, attempting: Callable[[], None] = lambda: None) -> Seen:
        """Add a version, which is the current one from then on. Raises SecretNotFound where there is no secret.

        ``attempting`` is called for each attempt that is made: each that is carried out adds a version.
        """
        request, name = self._request("write", key, _ADD), self._names.name(key)
        payload = {"data": blob, "data_crc32c": self._checksum(blob)}

        def ask(service: Any) -> Seen:
            attempting()
            answer = _pb(
                service.add_secret_version(_new(self._types.AddSecretVersionRequest, parent=name, payload=payload))
            )
            return self._seen(request, key, answer)

        return await self._connection.call("write", request, ask)

    async def delete(self, key: str, etag: str = "") -> None:
        """Delete a secret with all its versions; with an ``etag`` only if it is still the secret's."""
        request = self._request("delete", key, _ADMIN.format("delete"), etag=bool(etag))
        name = self._names.name(key)

        def ask(service: Any) -> None:
            service.delete_secret(_new(self._types.DeleteSecretRequest, name=name, etag=etag))

        await self._connection.call("delete", request, ask)

    async def patch(self, key: str, etag: str, changed: Mapping[str, Any]) -> None:
        """Put these fields of a secret in place of what is there, if the etag is still the secret's."""
        request = self._request("change the metadata of", key, _ADMIN.format("update"), etag=True)
        secret = {"name": self._names.name(key), "etag": etag, **changed}

        def ask(service: Any) -> None:
            asked = _new(self._types.UpdateSecretRequest, secret=secret, update_mask={"paths": sorted(changed)})
            self._check(request, key, _pb(service.update_secret(asked)).name)

        await self._connection.call("metadata", request, ask)

    async def retire(self, key: str, seen: Seen, *, destroy: bool) -> None:
        """Destroy a version, or disable it: the one that was seen, and none of its number in a secret made anew."""
        what, number = "destroy" if destroy else "disable", seen.number
        request = self._request(f"{what} version {number} of", key, _PRUNE.format(what), etag=True)
        asked = {"name": f"{self._names.name(key)}/versions/{number}", "etag": seen.etag}
        if not seen.etag:
            raise StoreError(f"{self.store} tells no etag of version {number} of {key}", store=self.store, key=key)

        def ask(service: Any) -> None:
            if destroy:
                answer = service.destroy_secret_version(_new(self._types.DestroySecretVersionRequest, **asked))
            else:
                answer = service.disable_secret_version(_new(self._types.DisableSecretVersionRequest, **asked))
            if self._version(request, key, _pb(answer).name) != number:
                raise malformed(request, "it is another version")

        await self._connection.call("prune", request, ask)

    def _body(self) -> dict[str, Any]:
        """What a secret that is created has beside its annotations."""
        config = self._config
        body: dict[str, Any] = {"labels": dict(config.labels), "topics": [{"name": each} for each in config.topics]}
        if config.location is None:
            body["replication"] = _replication(config)
        elif config.kms_key_name:
            body["customer_managed_encryption"] = {"kms_key_name": config.kms_key_name}
        if config.ttl_seconds is not None:
            body["ttl"] = {"seconds": config.ttl_seconds}
        if config.expire_time is not None:
            body["expire_time"] = config.expire_time
        if config.destroy_delay_seconds is not None:
            body["version_destroy_ttl"] = {"seconds": config.destroy_delay_seconds}
        return body

    # -- answers

    def _request(self, action: str, key: str, needs: str, *, etag: bool = False) -> Request:
        return Request(self.store, f"{action} {key}", key, needs, self._config.project, etag)

    def _seen(self, request: Request, key: str, answer: Any) -> Seen:
        number = self._version(request, key, answer.name)
        if not answer.HasField("create_time"):
            raise malformed(request, "createTime is missing, not a time in UTC")
        if answer.state not in _STATES:
            raise malformed(request, "state is missing or unknown, not a state of a version")
        live = answer.state == _ENABLED
        token = f"{number}@{answer.create_time.ToJsonString()}" + ("" if live else _DEAD)
        return Seen(number, token, live, answer.create_time.ToNanoseconds(), answer.etag)

    def _version(self, request: Request, key: str, name: str) -> int:
        found = version_of(name)
        if found is None or found[1] >= MOST_VERSIONS:
            raise malformed(request, "name is not the name of a version")
        self._check(request, key, found[0])
        return found[1]

    def _check(self, request: Request, key: str, name: str) -> None:
        """The answer about one secret names it."""
        if self._id_of(request, name) != self._names.id_of(key):
            raise malformed(request, "it is another secret than the one that was asked for")

    def _id_of(self, request: Request, name: str) -> str:
        """The id in a resource name, which is of our project and location. A project's number stands for its id."""
        found = parts_of(name)
        if found is None:
            raise malformed(request, "name is not the name of a secret")
        project, location, secret = found
        if location != (self._config.location or ""):
            raise malformed(request, "it is of another location")
        if project != self._config.project:
            if not project.isdecimal() or self._number not in ("", project):
                raise malformed(request, "it is of another project")
            self._number = project
        return secret


_STATES = _ENABLED, _DISABLED, _DESTROYED = 1, 2, 3  # SecretVersion.State


def _new(kind: Any, **fields: Any) -> Any:
    return kind(fields)


def _pb(message: Any) -> Any:
    """The message itself, without the wrapper that costs a hundred times as much to look into."""
    return type(message).pb(message)


def _about(request: Request, secret: Any) -> About:
    if not secret.etag:
        raise malformed(request, "etag is missing, not a text")
    if not secret.HasField("create_time"):
        raise malformed(request, "createTime is missing, not a time in UTC")
    return About(
        secret.etag,
        dict(secret.labels),
        dict(secret.annotations),
        tuple([each.name for each in secret.topics]),
        secret.expire_time.ToJsonString() if secret.HasField("expire_time") else "",
        frozenset(secret.version_aliases.values()),
        secret.create_time.ToNanoseconds(),
        f"{_EMPTY}{secret.create_time.ToJsonString()}",
    )


def _replication(config: GcpSecretManagerConfig) -> dict[str, Any]:
    asked = config.replication
    if asked is not None and asked.user_managed is not None:
        replicas = [{"location": each.location, **_encryption(each.kms_key_name)} for each in asked.user_managed]
        return {"user_managed": {"replicas": replicas}}
    return {"automatic": _encryption(asked.automatic.kms_key_name if asked is not None and asked.automatic else None)}


def _encryption(key: str | None) -> dict[str, Any]:
    return {"customer_managed_encryption": {"kms_key_name": key}} if key else {}
