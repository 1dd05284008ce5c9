"""Tells from a refusal of Google which of our errors it is.

The service names its errors by a status of google.rpc.Code and, in details, by a reason. Its texts are looked at for a
few known phrases and never copied: they quote names and values.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.endurance import too_large
from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    RateLimited,
    SecretFails,
    SecretNotFound,
    StoreError,
)
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.cutting import TooLargeError
from secretsync_core.stores.gcp_secret_manager.refused_logins import login_refused
from secretsync_core.stores.http import (
    CredentialsRefused,
    errors_behind,
    failing,
    retry_after,
    unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Request(NamedTuple):
    """What was asked of whom, for the text of an error.

    ``action`` continues the sentence ``<store> refuses to``; ``needs`` names what is to be granted for it; ``project``
    is the store's; ``etag`` says that the request had one; ``login`` is where a document says whose credentials count.
    """

    store: str
    action: str
    key: str | None = None
    needs: str = ""
    project: str = ""
    etag: bool = False
    login: str = ""

    @property
    def protocol(self) -> str:
        """What the answer is to be."""
        return "the protocol of Secret Manager"


class Refusal(NamedTuple):
    """What an answer says: the HTTP status, google.rpc's, a reason, and its text in lower case to look for phrases."""

    http: int
    status: str = ""
    reason: str = ""
    text: str = ""
    retry_after: float | None = None


class WrongState(StoreError):
    """The secret, or the version, is in a state in which this cannot be done; or its etag is another one by now."""


class Misfit(InvalidSecret):
    """The service does not take one of the things that were sent."""


_STATUSES = frozenset(
    {
        "ABORTED",
        "ALREADY_EXISTS",
        "CANCELLED",
        "DATA_LOSS",
        "DEADLINE_EXCEEDED",
        "FAILED_PRECONDITION",
        "INTERNAL",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "OUT_OF_RANGE",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "UNAUTHENTICATED",
        "UNAVAILABLE",
        "UNIMPLEMENTED",
        "UNKNOWN",
    }
)
_FAILING = ("DATA_LOSS", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "UNKNOWN")


def refusal(request: Request, told: Refusal) -> StoreError:
    """The error that an answer other than success stands for."""
    store, action, key = request.store, request.action, request.key
    if told.status == "RESOURCE_EXHAUSTED" or told.http == 429:
        return RateLimited(f"{store} asks us to slow down", store=store, key=key, retry_after=told.retry_after)
    if told.status == "UNAUTHENTICATED" or told.http == 401:
        return CredentialsRefused(
            f"{store} refuses our credentials",
            store=store,
            hint="the access token has expired or was revoked, or is not a Google token",
        )
    if told.status == "PERMISSION_DENIED" or told.http == 403:
        return _denied(request, told)
    if told.http >= 500:
        return failing(store, action, told.http, key, its_own=told.status in _FAILING)
    if told.status not in _STATUSES:
        return malformed(request, f"a refusal (HTTP {told.http}) that names no error")
    if told.status == "FAILED_PRECONDITION" or (told.status == "ABORTED" and request.etag):
        return WrongState(f"{store} refuses to {action}: its state does not allow it", store=store, key=key)
    if told.status == "ABORTED":
        return SecretFails(f"{store} fails to {action}: somebody changes it as well", store=store, key=key)
    if told.status == "NOT_FOUND" and (key is None or _is_of_a_project(told.text)):
        # What a project does not have, when there is none, says nothing of a secret.
        hint = f"is there a project {request.project}, and such a location? Write the project's id, not its name"
        return StoreError(f"{store} refuses to {action} (NOT_FOUND)", store=store, key=key, hint=hint)
    if key is None:
        return StoreError(f"{store} refuses to {action} ({told.status})", store=store)
    if told.status == "NOT_FOUND":
        return SecretNotFound(f"{key} is not in {store}", store=store, key=key)
    if told.status == "ALREADY_EXISTS":
        return Conflict(f"{key} is in {store} already", store=store, key=key)
    if told.status == "INVALID_ARGUMENT":
        return Misfit(f"{store} refuses to {action} (INVALID_ARGUMENT)", store=store, key=key)
    return StoreError(f"{store} refuses to {action} ({told.status})", store=store, key=key)


def _is_of_a_project(text: str) -> bool:
    """Whether a text is about a project. The names of secrets have ``projects/`` in them, and may be anything."""
    return re.search(r"\bproject\b", re.sub(r"\[[^\]]*\]|projects/\S+", "", text)) is not None


def _denied(request: Request, told: Refusal) -> StoreError:
    store, action, key, project = request.store, request.action, request.key, request.project
    known = _DENIALS.get(told.reason)
    if told.reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
        return CredentialsRefused(
            f"{store} refuses our credentials: their access scopes do not cover Secret Manager",
            store=store,
            hint="give the machine, or the token, the scope https://www.googleapis.com/auth/cloud-platform",
        )
    if known is not None:
        why, hint = known
        return AccessDenied(
            f"{store} refuses to {action}: {why}", store=store, key=key, hint=hint.replace("PROJECT", project)
        )
    hint = f"grant our identity {request.needs}" if request.needs else ""
    if hint and "may not exist" in told.text:
        hint += f"; or is there no project {project}? It is written by its id, not by its name"
    if "kms" in told.text:
        hint = (
            "the service agent of Secret Manager needs roles/cloudkms.cryptoKeyEncrypterDecrypter on the KMS key, and"
            " the key must be enabled"
        )
    return AccessDenied(f"{store} refuses to {action}: permission denied", store=store, key=key, hint=hint)


_DENIALS = {
    "SERVICE_DISABLED": (
        "Secret Manager is not enabled in the project",
        "gcloud services enable secretmanager.googleapis.com --project PROJECT",
    ),
    "BILLING_DISABLED": ("the project has no billing", "link the project PROJECT to a billing account"),
    "CONSUMER_INVALID": (
        "the project cannot be used",
        "is there a project PROJECT, and is it active? If the credentials name a quota project, is that?",
    ),
    "CONSUMER_SUSPENDED": ("the project is suspended", "see the project PROJECT in Google's console"),
    "USER_PROJECT_DENIED": (
        "we may not use the quota project of our credentials",
        "grant our identity roles/serviceusage.serviceUsageConsumer on it, or have the credentials name another one",
    ),
    "SECURITY_POLICY_VIOLATED": (
        "VPC Service Controls do not let us",
        "an ingress rule of the project's perimeter must admit our identity, from this network",
    ),
}


def refusal_of(response: Any) -> Refusal:
    """What a response of requests says."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    details = error.get("details")
    details = [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    return Refusal(
        http=int(response.status_code),
        status=_text(error, "status"),
        reason=next((_text(each, "reason") for each in details if each.get("reason")), ""),
        text=_text(error, "message").lower(),
        retry_after=_delay(details) or retry_after(response.headers.get("Retry-After")),
    )


def _text(part: Mapping[str, Any], name: str) -> str:
    found = part.get(name)
    return found if isinstance(found, str) else ""


def _delay(details: list[dict[str, Any]]) -> float | None:
    """The seconds of a google.rpc.RetryInfo, which are written as ``3.5s``."""
    for each in details:
        seconds = _text(each, "retryDelay").removesuffix("s")
        if seconds.replace(".", "", 1).isdecimal() and len(seconds) < 10:
            return float(seconds)
    return None


@cache
def failures() -> tuple[type[Exception], ...]:
    """What the SDK and our look at answers raise, for an ``except`` before :func:`failure`."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.protobuf.json_format import Error  # type: ignore[import-untyped]

    from secretsync_core.stores.gcp_secret_manager.way import UnfitAnswerError

    return (
        GoogleAPIError,
        GoogleAuthError,
        Error,
        UnfitAnswerError,
        OSError,  # of requests, and of the files that logins read
        TooLargeError,
        # The SDK takes answers apart without a look at their types.
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    )


def failure(request: Request, error: Exception) -> StoreError:
    """The error that one of :func:`failures` stands for. To be raised after its handler: that one may hold values."""
    import requests
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    from secretsync_core.stores.by_requests import requests_failure
    from secretsync_core.stores.gcp_secret_manager.way import UnfitAnswerError

    store = request.store
    behind = list(errors_behind(error))
    for cause in behind:
        if isinstance(cause, TooLargeError):
            return too_large(store, request.action, cause.most)
    if isinstance(error, GoogleAPICallError) and error.response is not None:
        return refusal(request, refusal_of(error.response))
    for cause in behind:
        if isinstance(cause, requests.exceptions.RequestException):
            return requests_failure(cause, store, hint="check location and endpointUrl")
    if isinstance(error, GoogleAuthError) or (request.login and isinstance(error, OSError)):
        return login_refused(store, request.login, error, _STATUSES)
    if isinstance(error, OSError):
        return unreachable(store, "the connection fails")
    return malformed(request, error.what if isinstance(error, UnfitAnswerError) else "the body cannot be read")
