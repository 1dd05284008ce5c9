"""Who we are at Google: tokens from what the document points at, or from where Google's tools look. All of it blocks.

The libraries' loaders are not used: they take addresses from the files that they read, ask a machine for its identity
by several attempts, and say in their errors what they were answered.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
from google.auth import aws, credentials, exceptions, identity_pool, impersonated_credentials, pluggable
from google.auth.transport.requests import Request
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from secretsync_core.credentials import describe, resolve
from secretsync_core.errors import StoreError
from secretsync_core.plain_files import UnfitFileError, content_of, fault_of
from secretsync_core.schema.base import Credential
from secretsync_core.schema.named import Kind, Use
from secretsync_core.schema.policy import Exec
from secretsync_core.stores.gcp_secret_manager.meant import check_is_meant
from secretsync_core.stores.gcp_secret_manager.surroundings import (
    VARIABLE,
    VERIFIED_BY,
    delegate_of,
    impersonated_by,
    is_login_of_google,
    is_machine_at_aws,
    machine,
    machine_is_asked,
    well_known_file,
)
from secretsync_core.stores.http import CredentialsRefused, retry_after, sendable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsync_core.policy.bounds import Bounds
    from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig
    from secretsync_core.stores.gcp_secret_manager.way import Way

# google.auth has no types for what it is given.
_Key: Any = service_account.Credentials
_User: Any = user_credentials.Credentials
_Federated: Any = identity_pool.Credentials
_FederatedAws: Any = aws.Credentials
_FederatedProgram: Any = pluggable.Credentials
_ActingAs: Any = impersonated_credentials.Credentials
_Base: Any = credentials.Credentials
_Requests: Any = Request
_Refused: Any = exceptions.RefreshError

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
MACHINE_SECONDS = 5
_MOST_BYTES = 64 * 1024
_ADDRESSES = ("token_uri", "token_url", "token_info_url")
_IMPERSONATION = "service_account_impersonation_url"
_OF_AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""The variables that google.auth reads for a login with AWS credentials."""


class _BusyError(_Refused):  # type: ignore[misc]
    """The login asks us to wait: ``retry_after`` in seconds, None where it does not say how long."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__("busy", retryable=True)
        self.retry_after = seconds


class _Once(_Requests):  # type: ignore[misc]
    """Requests of logins that are made once: the libraries would wait and repeat what failed, which is the gate's."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        answer = super().__call__(*args, **kwargs)
        if answer.status == 429:
            raise _BusyError(retry_after(answer.headers.get("Retry-After")))
        if answer.status >= 500 or answer.status == 408:
            raise _Refused("unavailable", retryable=True)
        return answer


class Identity:
    """Who we are from one login on. Threads may share it."""

    def __init__(self, found: Any, way: Way, store: str) -> None:
        self._credentials = found
        self._request = _Once(session=way)
        self._store = store
        self.refresh()

    def refresh(self) -> None:
        """Get another token. Raises what google.auth raises."""
        self._credentials.refresh(self._request)
        self._token = sendable(str(self._credentials.token or "-"), self._store, where="access token")
        until: datetime | None = self._credentials.expiry
        self._dead_at = until.replace(tzinfo=UTC) if until is not None else None
        left = (self._dead_at - datetime.now(UTC)) if self._dead_at is not None else None
        # Halfway where it lives but shortly.
        self._old_at = None if left is None else datetime.now(UTC) + max(left - timedelta(minutes=5), left / 2)

    def is_ageing(self) -> bool:
        """Whether the token should be replaced before it expires."""
        return self._old_at is not None and datetime.now(UTC) >= self._old_at

    def is_dead(self) -> bool:
        """Whether the token has expired."""
        return self._dead_at is not None and datetime.now(UTC) >= self._dead_at

    @property
    def proof(self) -> dict[str, str]:
        """The headers of a request."""
        pays = getattr(self._credentials, "quota_project_id", None)
        return {"Authorization": f"Bearer {self._token}", **({"x-goog-user-project": str(pays)} if pays else {})}

    def same_as(self, other: Identity) -> bool:
        """Whether both have the same token, so that one is refused where the other was."""
        return self._token == other._token


def log_in(
    config: GcpSecretManagerConfig, store: str, environ: Mapping[str, str], bounds: Bounds, way: Way
) -> Identity:
    """Become who the document says, with every file of it read anew.

    Raises our own errors for what a document points at, PolicyDenied where that leads beyond ``bounds``, and what
    google.auth raises where a login fails.
    """
    return Identity(_Login(config, store, environ, bounds).identify(), way, store)


class _Login:
    def __init__(self, config: GcpSecretManagerConfig, store: str, environ: Mapping[str, str], bounds: Bounds) -> None:
        self._config, self._store, self._environ, self._bounds = config, store, environ, bounds
        self._elsewhere = (config.auth_endpoint_url or "").rstrip("/")
        self._is_found = False  # whether they are none that the document points at

    def identify(self) -> Any:
        found = self._base()
        if self._is_found:
            check_is_meant(self._config, self._store, self._bounds)
        role = self._config.auth.impersonate
        if role is None:
            return found
        return _ActingAs(
            source_credentials=found,
            target_principal=role.service_account,
            target_scopes=list(SCOPES),
            delegates=[f"projects/-/serviceAccounts/{each}" for each in role.delegates],
            lifetime=role.lifetime_seconds,
            iam_endpoint_override=self._impersonating(role.service_account),
        )

    def _impersonating(self, account: str) -> str:
        where = self._elsewhere or "https://iamcredentials.googleapis.com"
        return f"{where}/v1/projects/-/serviceAccounts/{quote(account, safe='@')}:generateAccessToken"

    def _base(self) -> Any:
        auth = self._config.auth
        if auth.access_token is not None:
            return _Given(self._resolved(auth.access_token))
        if auth.service_account_key is not None:
            where = describe(auth.service_account_key)
            text = resolve(auth.service_account_key, self._environ, store=self._store)
            return self._of(text, where, ("service_account",), "serviceAccountKey")
        if auth.credential_configuration is not None:
            where = describe(Credential(file=auth.credential_configuration))
            text = resolve(Credential(file=auth.credential_configuration), self._environ, store=self._store)
            return self._of(text, where, ("external_account",), "credentialConfiguration")
        return self._found()

    def _resolved(self, where: Credential) -> str:
        token = resolve(where, self._environ, store=self._store)
        return sendable(token, self._store, where=describe(where).removeprefix("the "))

    # -- application default credentials, in the order that Google gives them

    def _found(self) -> Any:
        self._is_found = True
        if path := self._environ.get(VARIABLE):
            return self._of(self._read(path, f"the file that {VARIABLE} names"), VARIABLE, (), "", named=False)
        if path := well_known_file(self._environ):
            where = "the file of `gcloud auth application-default login`"
            return self._of(self._read(path, where), where, (), "", named=False)
        if not machine_is_asked(self._environ):
            raise _nobody(self._store)
        return _OfMachine(machine(self._environ), self._store)

    def _read(self, path: str, where: str) -> str:
        try:
            return content_of(path, _MOST_BYTES).decode()
        except UnfitFileError as error:
            why = error.what
        except UnicodeDecodeError:
            why = "is not text"
        except FileNotFoundError:
            why = "is not there"
        except OSError:
            why = "cannot be read"
        raise CredentialsRefused(f"{self._store}: {where} {why}", store=self._store, hint=_WAYS)

    # -- what a file holds

    def _of(self, text: str, where: str, types: tuple[str, ...], field: str, *, named: bool = True) -> Any:
        try:
            info = json.loads(text)
        except (ValueError, RecursionError):
            info = None
        if not isinstance(info, dict) or not isinstance(info.get("type"), str):
            raise self._unfit(where, "is not a JSON object of Google's with a type")
        if types and info["type"] not in types:
            raise self._unfit(where, f"is of another type than {' or '.join(types)}, which {field} takes")
        self._check(info, named=named)
        try:
            return self._made(info, where)
        except (ValueError, TypeError, KeyError, AttributeError, exceptions.GoogleAuthError):
            pass  # out there, for that one may quote the file
        raise self._unfit(where, "lacks a field, or has one that is not what it should be")

    def _unfit(self, where: str, why: str) -> CredentialsRefused:
        return CredentialsRefused(f"{self._store}: {where} {why}", store=self._store, hint=_WAYS)

    def _made(self, info: dict[str, Any], where: str) -> Any:
        kind, scopes = info["type"], list(SCOPES)
        if kind == "service_account":
            return _Key.from_service_account_info(self._led(info), scopes=scopes)
        if kind == "authorized_user":
            led = self._led(info)
            return _User(
                None,
                refresh_token=str(led["refresh_token"]),
                token_uri=str(led.get("token_uri") or "https://oauth2.googleapis.com/token"),
                client_id=str(led["client_id"]),
                client_secret=str(led["client_secret"]),
                quota_project_id=led.get("quota_project_id"),
            )
        if kind == "external_account":
            source = info["credential_source"]
            for name in ("audience", "subject_token_type", "token_url"):
                if not info.get(name):
                    raise self._unfit(where, f"lacks {name}")
            if source.get("environment_id"):
                self._is_found = True
                return _FederatedAws.from_info(self._led(info), scopes=scopes)
            if source.get("executable"):
                return _FederatedProgram.from_info(self._led(info), scopes=scopes)
            if source.get("certificate"):
                raise self._unfit(where, "asks for a login by certificate, which is not supported")
            # What a machine tells whoever asks it the document does not give, though it may say where to ask.
            self._is_found = self._is_found or not source.get("file")
            return _Federated.from_info(self._led(info), scopes=scopes)
        if kind == "impersonated_service_account":
            account = self._account_in(info)
            return _ActingAs(
                source_credentials=self._made(info["source_credentials"], where),
                target_principal=account,
                target_scopes=scopes,
                delegates=[f"projects/-/serviceAccounts/{each}" for each in self._delegates_in(info)],
                iam_endpoint_override=self._impersonating(account),
            )
        raise self._unfit(where, "has a type of credentials that is not supported")

    def _led(self, info: dict[str, Any]) -> dict[str, Any]:
        """The same, with the addresses that the document gives in place of Google's."""
        if not self._elsewhere:
            return info
        told = {"token_uri": f"{self._elsewhere}/token", "token_url": f"{self._elsewhere}/v1/token"}
        led = {name: told.get(name, value) for name, value in info.items() if name != "token_info_url"}
        if info.get(_IMPERSONATION):
            led[_IMPERSONATION] = self._impersonating(self._account_in(info))
        return led | ({"token_uri": told["token_uri"]} if info["type"] == "authorized_user" else {})

    def _check(self, info: dict[str, Any], *, named: bool) -> None:
        """Raise StoreError or PolicyDenied where a file leads elsewhere than to Google, or beyond the bounds."""
        for name in _ADDRESSES:
            if (given := info.get(name)) and not self._elsewhere and not is_login_of_google(str(given)):
                raise self._leads_away(name)
        universe = info.get("universe_domain", "googleapis.com")
        if universe != "googleapis.com":
            raise StoreError(
                f"{self._store}: the credentials are for another universe than googleapis.com", store=self._store
            )
        accounts = [self._account_in(info)] if info.get(_IMPERSONATION) else []
        uses = [Use(Kind.GCP_SERVICE_ACCOUNT, each) for each in (*accounts, *self._delegates_in(info))]
        self._bounds.check_uses(uses, self._store, "the credentials")
        source = info.get("credential_source")
        if isinstance(source, dict):
            where = "the credentials"
            if source.get("executable") and (named or _denies_programs(self._bounds)):
                self._bounds.check(
                    self._bounds.judge_exec("the executable of the credentials"), self._store, "a program"
                )
            if source.get("environment_id"):
                self._check_aws(source)
            self._bounds.check_uses(_uses(source), self._store, where)
            if source.get("file") and (fault := fault_of(str(source["file"]), _MOST_BYTES)):
                raise StoreError(f"{self._store}: the file that {where} name {fault}", store=self._store)
        if isinstance(inner := info.get("source_credentials"), dict):
            self._check(inner, named=named)

    def _check_aws(self, source: dict[str, Any]) -> None:
        """Raise StoreError or PolicyDenied for a login with AWS credentials that is not the one that Google describes.

        What it signs with them is a request to AWS, and whoever gets it can make that request.
        """
        known = source["environment_id"] == "aws1" and source.get("regional_cred_verification_url") == VERIFIED_BY
        asked = (source.get(name) for name in ("url", "region_url", "imdsv2_session_token_url"))
        if not known or not all(is_machine_at_aws(str(each)) for each in asked if each):
            raise StoreError(
                f"{self._store}: credential_source in the credentials is not the one of a login from AWS",
                store=self._store,
                hint="create it again: gcloud iam workload-identity-pools create-cred-config --aws",
            )
        set_here = [name for name in _OF_AWS if os.environ.get(name) or self._environ.get(name)]
        self._bounds.check_uses([Use(Kind.VARIABLE, each) for each in set_here], self._store, "the credentials")

    def _leads_away(self, name: str) -> StoreError:
        return StoreError(
            f"{self._store}: {name} in the credentials leads to another server than Google's",
            store=self._store,
            hint="set authEndpointUrl in the SecretStore if that is meant",
        )

    def _account_in(self, info: dict[str, Any]) -> str:
        """The service account that credentials act as. Raises StoreError where their address does not say it exactly.

        Also where the document says that another server is asked: what counts of the address is the account.
        """
        account = impersonated_by(str(info.get(_IMPERSONATION)))
        if account is None:
            raise self._leads_away(_IMPERSONATION)
        return account

    def _delegates_in(self, info: dict[str, Any]) -> list[str]:
        """The service accounts in between. Raises CredentialsRefused where one is not written as such."""
        given = info.get("delegates") or []
        found = [delegate_of(str(each)) for each in given] if isinstance(given, list) else [None]
        if None in found:
            raise self._unfit("delegates in the credentials", "has something else than the addresses of accounts")
        return [each for each in found if each is not None]


def _uses(source: dict[str, Any]) -> Iterator[Use]:
    """What the source of a federated token names."""
    for field, value in source.items():
        if isinstance(value, dict) and field != "headers":
            yield from _uses(value)
        elif field in ("file", "output_file"):
            yield Use(Kind.FILE, str(value))
        elif field in ("url", "region_url", "imdsv2_session_token_url"):
            yield Use(Kind.HOST, str(value))


def _denies_programs(bounds: Bounds) -> bool:
    return bool(bounds.problems) or any(policy.spec.exec is Exec.DENY for policy in bounds.policies)


class _Given(_Base):  # type: ignore[misc]
    """A token that is there already."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    def refresh(self, request: Any) -> None:
        """There is no other."""


class _OfMachine(_Base):  # type: ignore[misc]
    """The service account of a machine or a pod, by its metadata server: in one attempt, and without a proxy."""

    def __init__(self, address: str, store: str) -> None:
        super().__init__()
        self._address = address
        self._store = store

    def refresh(self, request: Any) -> None:
        """Ask for a token. https://cloud.google.com/compute/docs/access/authenticate-workloads has the protocol."""
        try:
            answer = request.session.request(
                "GET",
                f"{self._address}/computeMetadata/v1/instance/service-accounts/default/token",
                headers={"Metadata-Flavor": "Google"},
                timeout=MACHINE_SECONDS,
            )
        except requests.exceptions.RequestException:
            answer = None
        if answer is None or answer.headers.get("Metadata-Flavor") != "Google":
            raise _nobody(self._store)
        try:
            told = answer.json() if answer.status_code == 200 else {}
            self.token = str(told["access_token"])
            self.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=int(told["expires_in"]))
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            self.token = ""
        if not self.token:
            raise CredentialsRefused(
                f"{self._store}: the metadata server gives no token (HTTP {answer.status_code})",
                store=self._store,
                hint="does this machine, or the pod's service account, have a Google service account?",
            )


_WAYS = (
    "see auth in docs/stores/gcp-secret-manager.md: serviceAccountKey, credentialConfiguration, or application default"
    " credentials"
)


def _nobody(store: str) -> CredentialsRefused:
    return CredentialsRefused(
        f"{store}: no Google credentials were found",
        store=store,
        hint=f"set auth in the SecretStore or {VARIABLE}, run `gcloud auth application-default login`, or run it where"
        " a metadata server is",
    )
