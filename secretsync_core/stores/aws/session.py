"""Who we are at AWS: credentials from where the document points, roles on top of them, and clients. All of it blocks.

The one module here that imports boto3; it is imported when a store is opened.
"""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.session
from boto3.session import Session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, RefreshableCredentials
from botocore.exceptions import BotoCoreError, InvalidConfigError, NoCredentialsError
from botocore.loaders import create_loader
from botocore.utils import parse_timestamp

from secretsync_core import __version__
from secretsync_core.credentials import describe, resolve
from secretsync_core.endurance import CONNECT_SECONDS, READ_SECONDS
from secretsync_core.stores.answers import Part, malformed
from secretsync_core.stores.aws.answers import Request, failure, failures
from secretsync_core.stores.aws.profiles import check_profile
from secretsync_core.stores.aws.shapes import check
from secretsync_core.stores.aws.surroundings import (
    SettingError,
    ask_directly,
    ask_nobody,
    check_is_meant,
    check_keys,
    check_region,
    check_token_files,
    configured_endpoint,
    end_programs,
    trust,
)
from secretsync_core.stores.cutting import cuttable
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.http import sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.credentials import Credentials
    from botocore.loaders import Loader

    from secretsync_core.errors import StoreError
    from secretsync_core.policy.bounds import Bounds
    from secretsync_core.schema.base import Credential
    from secretsync_core.stores.aws.config import AwsConfig

    Metadata = dict[str, Any]

T = TypeVar("T")

GLANCE_SECONDS = 3  # to connect and to answer: an STS that takes longer leaves the account unknown


class Identity:
    """Who we are from one login on, and the clients that act for us. Threads may share it."""

    def __init__(self, session: Session, store: str, width: int) -> None:
        """``width``: how many connections a client keeps. Raises NoCredentialsError, CredentialsRefused."""
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        check_keys(store, credentials)
        self._store = store
        self._session = session
        self._width = width
        self._credentials: Credentials = credentials
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, endpoint: str | None) -> Any:
        """The client of a service, made the first time. Raises NoRegionError, StoreError."""
        with self._lock:
            if service not in self._clients:
                client = _client(self._session, self._store, service, endpoint, _config(self._width))
                client.meta.events.register("before-parse", check)
                self._clients[service] = client
            return self._clients[service]

    def is_ageing(self) -> bool:
        """Whether the credentials should be replaced before they expire."""
        return isinstance(self._credentials, RefreshableCredentials) and self._credentials.refresh_needed()

    def refresh(self) -> None:
        """Replace credentials that are ageing. Where that fails, they are good for a while yet."""
        self._credentials.get_frozen_credentials()

    def same_as(self, other: Identity) -> bool:
        """Whether both carry the same credentials, so that one is refused where the other was."""
        mine, theirs = self._credentials.get_frozen_credentials(), other._credentials.get_frozen_credentials()
        return mine[:3] == theirs[:3]

    def glance(self, service: str, endpoint: str | None, ask: Callable[[Any], T]) -> T:
        """Ask a service something that nobody waits long for, by a client of its own. Raises what boto3 raises."""
        quick = _config(1).merge(Config(connect_timeout=GLANCE_SECONDS, read_timeout=GLANCE_SECONDS))
        client = _client(self._session, self._store, service, endpoint, quick)
        try:
            return ask(client)
        finally:
            client.close()

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for client in self._clients.values():
                client.close()


def log_in(config: AwsConfig, store: str, environ: Mapping[str, str], width: int, bounds: Bounds) -> Identity:
    """Become who the document says, with every file of it read anew.

    Raises our own errors for roles and for credentials that a document points at, boto3's for what boto3 looks up, and
    PolicyDenied where a profile leads beyond ``bounds``.
    """
    role = config.auth.assume_role
    if role is None:
        return Identity(_base(config, store, environ, bounds), store, width)
    parameters = {
        "RoleArn": role.role_arn,
        "RoleSessionName": role.session_name,
        "DurationSeconds": role.duration_seconds,
        **({"ExternalId": role.external_id} if role.external_id else {}),
    }

    def fetch() -> Metadata:
        sts = _sts(_base(config, store, environ, bounds), store, config)
        needs = "sts:AssumeRole, and the trust policy of the role must name us"
        return _ask(store, role.role_arn, needs, lambda: sts.assume_role(**parameters))

    return Identity(_by_role(config, store, environ, fetch), store, width)


def _base(config: AwsConfig, store: str, environ: Mapping[str, str], bounds: Bounds) -> Session:
    """Who we are before any ``assumeRole``."""
    auth, region = config.auth, _region(config, environ)
    if config.region is None:
        where = "AWS_REGION" if region else "AWS_DEFAULT_REGION"
        check_region(store, region or os.environ.get(where), where)
    if auth.access_key is not None:
        keys = auth.access_key
        token = keys.session_token
        return Session(
            botocore_session=_inner(store, config),
            aws_access_key_id=_sendable(keys.id, environ, store),
            aws_secret_access_key=_sendable(keys.secret, environ, store),
            aws_session_token=None if token is None else _sendable(token, environ, store),
            region_name=region,
        )
    if auth.web_identity is None:
        inner = _inner(store, config, auth.profile, bounds)
        session = Session(botocore_session=inner, profile_name=auth.profile, region_name=region)
        check_region(store, session.region_name, "the AWS profile")
        named = auth.profile is not None
        check_profile(inner, auth.profile or inner.profile or "default", bounds, store, named=named)
        ask_nobody(inner)
        end_programs(inner)
        check_token_files(store)
        ask_directly(inner)
        return session
    role = auth.web_identity

    def fetch() -> Metadata:
        from secretsync_core.schema.base import Credential

        token = resolve(Credential(file=role.token_file), environ, store=store)
        base = Session(botocore_session=_inner(store, config), region_name=region)
        sts = _sts(base, store, config, signature_version=UNSIGNED)
        return _ask(
            store,
            role.role_arn,
            "by the trust policy of the role",
            lambda: sts.assume_role_with_web_identity(
                RoleArn=role.role_arn, RoleSessionName=role.session_name, WebIdentityToken=token
            ),
        )

    return _by_role(config, store, environ, fetch)


def _by_role(config: AwsConfig, store: str, environ: Mapping[str, str], fetch: Callable[[], Metadata]) -> Session:
    """A session with temporary credentials, which ``fetch`` gets, and again when two thirds of their life are over."""
    first = fetch()
    life = (datetime.fromisoformat(first["expiry_time"]) - datetime.now(UTC)).total_seconds()
    credentials = RefreshableCredentials.create_from_metadata(
        first,
        refresh_using=fetch,
        method="assume-role",
        advisory_timeout=int(life / 3),
        mandatory_timeout=int(life / 9),
    )
    inner = _inner(store, config, config.auth.profile)
    inner.register_component("credential_provider", CredentialResolver([_Given(credentials)]))
    return Session(botocore_session=inner, region_name=_region(config, environ))


class _Inner(botocore.session.Session):
    """The inside of a session, whose every client goes only where ``configured_endpoint`` lets it.

    Clients are made by botocore too: its logins with a profile's role or a pod's token ask STS.
    """

    def __init__(self, store: str, sts: str | None, profile: str | None, bounds: Bounds | None) -> None:
        """``sts``: the address of STS, where the document gives one."""
        super().__init__(profile=profile)
        self._store, self._sts, self._bounds = store, sts, bounds

    def create_client(self, service_name: str, *args: Any, **options: Any) -> Any:
        """The client of a service. Raises StoreError for a variable or a profile that leads elsewhere."""
        config: Any = options.pop("config", None) or Config()
        endpoint = options.pop("endpoint_url", None)
        if endpoint is None and service_name == "sts" and self._sts is not None:
            endpoint = self._sts
            if config.signature_version is UNSIGNED:
                check_is_meant(self._store, endpoint, self._bounds)
        if endpoint is None:
            endpoint = configured_endpoint(self._store, service_name, self)
        surely: Any = {"ignore_configured_endpoint_urls": True}
        config = config.merge(Config(**surely))
        make: Any = super().create_client  # its stubs know every service by its name, and not a name to come
        return make(service_name, *args, endpoint_url=endpoint, config=config, **options)


def _inner(
    store: str, config: AwsConfig, profile: str | None = None, bounds: Bounds | None = None
) -> botocore.session.Session:
    """The inside of a session. All of them share what is read from disk, which takes ten times as long as the rest."""
    inner = _Inner(store, config.sts_endpoint_url, profile, bounds)
    trust(store, inner)
    inner.register_component("data_loader", _descriptions())
    inner.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return inner


def _moment(told: Any) -> datetime:
    """A time in an answer. Those in JSON are seconds, and there are three of them for each secret in a listing."""
    return datetime.fromtimestamp(told, UTC) if isinstance(told, int | float) else parse_timestamp(told)


@cache
def _descriptions() -> Loader:
    """The descriptions of the services, as boto3 brings them."""
    return create_loader()


class _Given(CredentialProvider):
    """Provides credentials that are there already."""

    METHOD = "secretsync"

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials:
        return self._credentials


def _sts(session: Session, store: str, config: AwsConfig, **options: Any) -> Any:
    return _client(session, store, "sts", config.sts_endpoint_url, _config(1, **options))


def _client(session: Session, store: str, service: str, endpoint: str | None, config: Config) -> Any:
    """A client of a service. Raises StoreError for a variable that leads elsewhere, SettingError for other settings."""
    make: Any = session.client  # its stubs know every service by its name, and not a name to come

    def made(**proxies: str) -> Any:
        client = make(service, endpoint_url=endpoint, config=config.merge(Config(proxies=proxies)))
        http = client._endpoint.http_session  # boto3 shows its connections in no other way
        http._pool_classes_by_scheme = http._manager.pool_classes_by_scheme = cuttable(http._pool_classes_by_scheme)
        return client

    try:
        client = made()
        # Where the service is, is known only now.
        proxy = proxy_for(client.meta.endpoint_url, store)
        if proxy is None:
            return client
        client.close()
        return made(https=proxy)
    except (TypeError, ValueError) as error:
        kind = type(error).__name__
    except BotoCoreError as error:
        if not type(error).__name__.startswith("Invalid") or isinstance(error, InvalidConfigError):
            raise
        kind = type(error).__name__
    raise SettingError(kind)


def _ask(store: str, role: str, needs: str, ask: Callable[[], Any]) -> Metadata:
    request = Request(store, f"let us assume the role {role}", needs=needs)
    try:
        answer = ask()
    except failures() as error:
        failed: StoreError = failure(request, error)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        # The login is the one answer in XML, of which there is no look before the SDK's own.
        failed = malformed(request, "the body cannot be read")
    else:
        given = Part(request, "", answer).part("Credentials")
        return {
            "access_key": given.text("AccessKeyId"),
            "secret_key": given.text("SecretAccessKey"),
            "token": given.text("SessionToken"),
            "expiry_time": given.date("Expiration").isoformat(),
        }
    raise failed


def _config(width: int, **options: Any) -> Config:
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=width,
        retries={"total_max_attempts": 1, "mode": "standard"},  # repeating is the gate's
        user_agent_extra=f"secretsync/{__version__}",
        **options,
    )


def _region(config: AwsConfig, environ: Mapping[str, str]) -> str | None:
    """The region; ``None`` leaves it to boto3, which knows AWS_DEFAULT_REGION and the profile's, but not AWS_REGION."""
    return config.region or environ.get("AWS_REGION") or None


def _sendable(where: Credential, environ: Mapping[str, str], store: str) -> str:
    return sendable(
        resolve(where, environ, store=store), store, where=describe(where).removeprefix("the "), kind="AWS key"
    )
