"""Tells from a refusal of AWS which of our errors it is.

A service names its errors by codes. Its texts are looked at for a few known phrases and never copied: they quote names
and values that they do not like.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from secretsync_core.endurance import too_large
from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    QuotaReached,
    RateLimited,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.aws.shapes import UnfitError
from secretsync_core.stores.aws.surroundings import NeedsPersonError, SettingError, nobody_there, setting_failure
from secretsync_core.stores.cutting import TooLargeError
from secretsync_core.stores.http import CredentialsRefused, Unhealable, errors_behind, failing, proxy_failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Request(NamedTuple):
    """What was asked of whom, for the text of an error.

    ``action`` continues the sentence ``<store> refuses to``; ``needs`` names the IAM actions that allow it.
    """

    store: str
    action: str
    key: str | None = None
    needs: str = ""

    @property
    def protocol(self) -> str:
        """What the answer is to be."""
        return "the protocol of AWS"


class Refusal(NamedTuple):
    """What an answer says: its code, the HTTP status, and its text in lower case, to look for phrases in."""

    code: str
    status: int = 400
    text: str = ""
    retry_after: float | None = None


class WrongState(StoreError):
    """The secret is in a state in which this cannot be done. ``deleted``: somebody has scheduled its deletion."""

    def __init__(
        self, message: str, *, store: str = "", key: str | None = None, hint: str = "", deleted: bool = False
    ) -> None:
        super().__init__(message, store=store, key=key, hint=hint)
        self.deleted = deleted


class Mismatch(InvalidSecret):
    """The service does not take one of the things that were sent: it may be the value, or something beside it."""


_SLOW_DOWN = frozenset(
    {
        "BandwidthLimitExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TooManyUpdates",
    }
)
_EXPIRED = "they have expired: put new ones where the SecretStore finds them"
_WRONG_SIGNATURE = "the secret key does not fit the key's id, or the clock of this machine is wrong"
_UNKNOWN_KEY = "no such access key: it was deleted, belongs to another partition, or the region is not enabled"
_TOKEN = "the web identity token is not accepted: check tokenFile, and the trust policy of the role"  # noqa: S105
_ROLE = "is this identity named in the trust policy of AWS_ROLE_ARN, with the token's audience and subject?"
_CREDENTIALS = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "IDPRejectedClaim": _TOKEN,
    "IncompleteSignature": _WRONG_SIGNATURE,
    "IncompleteSignatureException": _WRONG_SIGNATURE,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "InvalidIdentityToken": _TOKEN,
    "InvalidSignatureException": _WRONG_SIGNATURE,
    "MissingAuthenticationToken": "the request carried no credentials",
    "MissingAuthenticationTokenException": "the request carried no credentials",
    "RequestExpired": "the clock of this machine is wrong, or the request was under way too long",
    "SignatureDoesNotMatch": _WRONG_SIGNATURE,
    "UnrecognizedClientException": _UNKNOWN_KEY,
}
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "ForbiddenException",
        "KMSAccessDeniedException",
        "NotAuthorized",
        "OptInRequired",
        "UnauthorizedOperation",
    }
)
_KEYS = frozenset(
    {
        "DecryptionFailure",
        "DisabledException",
        "EncryptionFailure",
        "IncorrectKeyException",
        "InvalidCiphertextException",
        "InvalidKeyId",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        "NotFoundException",
    }
)
_ABSENT = frozenset({"InvalidResourceId", "ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException"})
_THERE = frozenset({"ParameterAlreadyExists", "ResourceExistsException"})
_MISFITS = frozenset(
    {
        "HierarchyLevelLimitExceededException",
        "InvalidParameterException",
        "InvalidParameterValue",
        "ParameterPatternMismatchException",
        "UnsupportedParameterType",
        "ValidationError",
        "ValidationException",
    }
)
_QUOTAS = {
    "LimitExceededException": "ask AWS for a higher quota, or remove secrets or versions that nobody needs",
    "ParameterLimitExceeded": "remove parameters that nobody needs, or set tier: Advanced, which allows more",
    "ParameterMaxVersionLimitExceeded": "the oldest version carries a label and cannot make room: move the label",
    "TooManyTagsError": "remove tags from it",
}
_TO_BE_DELETED = ("marked for deletion", "scheduled for deletion", "marked deleted")
_FAILING = frozenset(
    {"InternalFailure", "InternalServerError", "InternalServiceError", "InternalServiceException", "ServiceUnavailable"}
)


def refusal(request: Request, told: Refusal) -> StoreError:
    """The error that an answer other than success stands for."""
    store, action, key, _ = request
    code, status, text, retry_after = told
    if code in _SLOW_DOWN or status == 429:
        return RateLimited(f"{store} asks us to slow down", store=store, key=key, retry_after=retry_after)
    if code in _CREDENTIALS:
        return CredentialsRefused(f"{store} refuses our credentials", store=store, hint=_CREDENTIALS[code])
    if code in _KEYS:
        return AccessDenied(
            f"{store} cannot use the KMS key to {action} ({code})",
            store=store,
            key=key,
            hint="check that the key is enabled, in this region, and that we are allowed to use it",
        )
    if code in _DENIED or status in (401, 403):
        return _denied(request, text)
    if code in _QUOTAS:
        return QuotaReached(
            f"{store} refuses to {action}: a quota is used up ({code})", store=store, key=key, hint=_QUOTAS[code]
        )
    if code in _FAILING or status >= 500:
        return failing(store, action, status, key, its_own=code in _FAILING)
    if not code or code.isdecimal():  # the HTTP status, which boto3 puts there where an answer names no error
        return malformed(request, f"a refusal (HTTP {status}) that names no error")
    if code in _MISFITS and "durationseconds" in text:
        hint = (
            "lower durationSeconds: where a role assumes a role it is 3600 at most"
            if "role chaining" in text
            else "lower durationSeconds, or raise the role's maximum session duration"
        )
        return StoreError(f"{store} refuses to {action} for so long", store=store, hint=hint)
    if key is None:
        return StoreError(f"{store} refuses to {action} ({_shown(told)})", store=store)
    return _about(request, told)


def _about(request: Request, told: Refusal) -> StoreError:
    """The error about one secret."""
    store, action, key, _ = request
    if told.code in _ABSENT:
        return SecretNotFound(f"{key} is not in {store}", store=store, key=key)
    if told.code in _THERE:
        return Conflict(f"{key} is in {store} already", store=store, key=key)
    if told.code == "HierarchyTypeMismatchException":
        return another_type(request)
    if told.code == "InvalidRequestException":
        deleted = any(phrase in told.text for phrase in _TO_BE_DELETED)
        return WrongState(
            f"{store} refuses to {action}: " + ("it is to be deleted" if deleted else "its state does not allow it"),
            store=store,
            key=key,
            hint="" if deleted else "is it a replica, or managed by another service of AWS? Write it there",
            deleted=deleted,
        )
    if told.code in _MISFITS and "downgrade" in told.text:
        return stays_advanced(request)
    if told.code in _MISFITS:
        return Mismatch(f"{store} refuses to {action} ({told.code})", store=store, key=key)
    return StoreError(f"{store} refuses to {action} ({_shown(told)})", store=store, key=key)


@contextmanager
def no_version(store: str, key: str, version: str) -> Iterator[None]:
    """Name the version where a read of one version does not find it: the secret may be there all the same."""
    try:
        yield
    except SecretNotFound as error:
        found = error
    else:
        return
    said = found.message.removeprefix(f"{key} ")
    raise SecretNotFound(f"version {version} of {key} {said}", store=store, key=key, hint=found.hint)


def another_type(request: Request) -> InvalidSecret:
    """The error for a parameter that is a String, say, where a SecureString is to be written."""
    return InvalidSecret(
        f"{request.store} refuses to {request.action}: a parameter of another type stands there",
        store=request.store,
        key=request.key,
        hint="give the SecretStore its type, or delete that parameter first",
    )


def stays_advanced(request: Request) -> InvalidSecret:
    """The error for an Advanced parameter that a Standard one is to replace."""
    return InvalidSecret(
        f"{request.store} refuses to {request.action}: it is an Advanced parameter, and stays one",
        store=request.store,
        key=request.key,
        hint="set tier: Advanced or IntelligentTiering in the SecretStore",
    )


def _denied(request: Request, text: str) -> AccessDenied:
    store, action, key, needs = request
    hint = f"our identity must be allowed {needs}" if needs else ""
    if "kms" in text:
        hint = (
            "our identity must be allowed to use the KMS key: kms:Decrypt; to write kms:GenerateDataKey and kms:Encrypt"
        )
    return AccessDenied(f"{store} refuses to {action}: access denied", store=store, key=key, hint=hint)


def _shown(told: Refusal) -> str:
    """The code, if it is one that AWS has: what else stands in its place may be anything."""
    known = told.code in _ABSENT | _THERE | _MISFITS or told.code in _SHOWN
    return told.code if known else f"HTTP {told.status}"


_SHOWN = frozenset({"InvalidNextToken", "InvalidNextTokenException", "InvalidFilterValue", "InvalidRequestException"})


def refusal_of(answer: Mapping[str, Any]) -> Refusal:
    """What ``ClientError.response`` says."""
    error = answer.get("Error") or {}
    about = answer.get("ResponseMetadata") or {}
    status = about.get("HTTPStatusCode")
    waits = str((about.get("HTTPHeaders") or {}).get("retry-after", ""))
    return Refusal(
        code=str(error.get("Code") or ""),
        status=status if isinstance(status, int) else 400,
        text=str(error.get("Message") or "").lower(),
        retry_after=float(waits) if waits.isascii() and waits.isdecimal() else None,
    )


@cache
def failures() -> tuple[type[Exception], ...]:
    """What boto3, botocore and our look at their answers raise on purpose, for an ``except`` before :func:`failure`."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return Boto3Error, BotoCoreError, ClientError, ResponseParserError, NeedsPersonError, SettingError, UnfitError


def failure(request: Request, error: Exception) -> StoreError:
    """The error that one of :func:`failures` stands for. To be raised after its handler: that one may hold values."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    store, action, key, _ = request
    where = _address(error)
    for cause in errors_behind(error):
        if isinstance(cause, TooLargeError):
            return too_large(store, action, cause.most)
    if isinstance(error, boto.ClientError):
        answer = refusal_of(error.response)
        # boto3 logs in by itself where the environment names a role, in the middle of any request.
        is_login = str(error.operation_name).startswith("AssumeRole") and "assume the role" not in action
        if is_login and answer.code in _DENIED:
            return CredentialsRefused(f"{store}: AWS refuses to let us assume the role", store=store, hint=_ROLE)
        return refusal(request, answer)
    if (told := _no_identity(store, error)) is not None:
        return told
    if isinstance(error, boto.HTTPClientError) and _no_file(error):
        return Unhealable(
            f"{store} cannot be reached: the certificates to trust cannot be read",
            store=store,
            hint="AWS_CA_BUNDLE or ca_bundle of the profile names a file that is not there",
        )
    if isinstance(error, boto.ProxyConnectionError):
        return proxy_failure(store)
    if isinstance(error, boto.SSLError):
        return Unhealable(
            f"{store} cannot be reached: the certificate of {where} is not trusted",
            store=store,
            hint="AWS_CA_BUNDLE or SSL_CERT_FILE names other certificates to trust",
        )
    if isinstance(error, boto.EndpointConnectionError) and _unknown_host(error):
        return StoreUnavailable(
            f"{store} cannot be reached: {where} has no address", store=store, hint="check region and endpointUrl"
        )
    if isinstance(error, (boto.ConnectTimeoutError, boto.ReadTimeoutError)):
        return StoreUnavailable(
            f"{store} cannot be reached: {where} does not answer in time",
            store=store,
            hint="check region and endpointUrl, and whether this network lets us through",
        )
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError)):
        return StoreUnavailable(
            f"{store} cannot be reached: the connection to {where} fails",
            store=store,
            hint="check region and endpointUrl",
        )
    if isinstance(error, UnfitError):
        return malformed(request, str(error))
    if isinstance(error, ResponseParserError):
        return malformed(request, "the body cannot be read")
    return StoreError(f"{store} cannot {action}: an unexpected {type(error).__name__}", store=store, key=key)


def _address(error: Exception) -> str:
    """Whom a failed connection was meant for."""
    told = getattr(error, "kwargs", {})
    parts = urlsplit(str(told.get("endpoint_url", "")) if isinstance(told, dict) else "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else "the service"


def _no_identity(store: str, error: Exception) -> StoreError | None:
    """The error where credentials cannot even be found."""
    from botocore import exceptions as boto

    if isinstance(error, SettingError):
        return setting_failure(store, error)
    if isinstance(error, (NeedsPersonError, boto.RefreshWithMFAUnsupportedError)):
        return nobody_there(store)
    if isinstance(error, boto.NoCredentialsError):
        return CredentialsRefused(
            f"{store}: there are no AWS credentials",
            store=store,
            hint="give auth in the SecretStore, or what boto3 looks for: AWS_ACCESS_KEY_ID, a profile, a role",
        )
    if isinstance(error, boto.PartialCredentialsError):
        return CredentialsRefused(f"{store}: half of the AWS credentials is missing", store=store)
    if isinstance(error, boto.ProfileNotFound):
        return StoreError(
            f"{store}: there is no such AWS profile", store=store, hint="check auth.profile and AWS_PROFILE"
        )
    if isinstance(error, boto.NoRegionError):
        return StoreError(
            f"{store}: no region is given", store=store, hint="give region in the SecretStore, or set AWS_REGION"
        )
    if isinstance(error, (boto.ConfigParseError, boto.InvalidConfigError, boto.ConfigNotFound)):
        return StoreError(f"{store}: the AWS configuration files cannot be used", store=store, hint="check ~/.aws")
    if isinstance(error, boto.CredentialRetrievalError) and error.kwargs.get("provider") == "custom-process":
        return CredentialsRefused(
            f"{store}: the credential_process of the AWS profile fails, or does not print what AWS asks for",
            store=store,
            hint="run it by hand: it prints a JSON object with Version 1, AccessKeyId and SecretAccessKey",
        )
    kinds = (boto.CredentialRetrievalError, boto.MetadataRetrievalError, boto.SSOError, boto.TokenRetrievalError)
    if isinstance(error, kinds):
        return CredentialsRefused(
            f"{store}: the AWS credentials cannot be obtained ({type(error).__name__})",
            store=store,
            hint="log in again (aws sso login), or check where the profile takes them from",
        )
    return None


def _no_file(error: BaseException) -> bool:
    """Whether a connection failed because a file of certificates is not there."""
    return any(isinstance(each, (FileNotFoundError, IsADirectoryError)) for each in errors_behind(error))


def _unknown_host(error: BaseException) -> bool:
    """Whether a connection failed because the name of its host is not known."""
    import socket

    return any(
        isinstance(each, socket.gaierror) or type(each).__name__ == "NameResolutionError"
        for each in errors_behind(error)
    )
