"""What boto3 takes from its surroundings: variables, files and programs. What is wrong there is told by its name.

boto3 itself fails late where one of them is wrong, and in words that say nothing of it, or quote it. Here each is
looked at before it is used, as far as that is possible. What a variable holds is never shown: it may be a credential
that stands in the wrong place.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.credentials import MAX_BYTES
from secretsync_core.errors import StoreError
from secretsync_core.plain_files import MOST_PEM, fault_of
from secretsync_core.stores.environment import ca_file
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from botocore.credentials import Credentials
    from botocore.session import Session

    from secretsync_core.policy.bounds import Bounds

_REGION = re.compile(r"(?!-)(?![0-9]+\Z)[A-Za-z0-9-]{1,63}(?<!-)")
_ENDPOINT = re.compile(r"https?://[^\s/?#]+(?:/\S*)?", re.IGNORECASE)
_BLANK = "check for a blank or a newline at its end: `echo` adds one, `printf %s` and `echo -n` do not"

_KEYS = (("AWS_ACCESS_KEY_ID",), ("AWS_SECRET_ACCESS_KEY",), ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"))
"""The variables of a key's parts. Of several the first that is set counts."""

_OF_AWS = re.compile(
    r"https://(?:[a-z0-9-]+\.)?(?:secretsmanager|ssm|sts|iam|tagging|kms)(?:-fips)?"
    r"(?:\.(?:global|[a-z]{2,5}(?:-[a-z]+)+-[0-9]+))?(?:\.vpce)?"
    r"\.(?:amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|api\.aws)(?::443)?/?",
    re.IGNORECASE,
)
"""The services themselves, by their names at AWS: not what a customer can have there, such as a bucket."""

_FIELDS = {"sts": "stsEndpointUrl", "resourcegroupstaggingapi": "taggingEndpointUrl"}
"""Where a document gives the address of a service, other than in ``endpointUrl``."""

_SERVICES = {
    "secretsmanager": "SECRETS_MANAGER",
    "ssm": "SSM",
    "sts": "STS",
    "iam": "IAM",
    "kms": "KMS",
    "resourcegroupstaggingapi": "RESOURCE_GROUPS_TAGGING_API",
}


class SettingError(Exception):
    """boto3 does not take one of its settings, and does not say which. ``kind``: the type of its own error."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class NeedsPersonError(Exception):
    """A login asks for a code that only a person can give."""


# -- before they are used


def check_region(store: str, region: str | None, where: str) -> None:
    """Raise StoreError for a region that can be none; ``where`` it was found."""
    if region and not _REGION.fullmatch(region):
        raise StoreError(f"{store}: {where} names no region", store=store, hint=f"write it as eu-central-1; {_BLANK}")


def check_is_meant(store: str, sts: str, bounds: Bounds | None) -> None:
    """Raise StoreError where a login that boto3 makes by itself would send a token to a document's address of STS.

    That is a pod's token, or the one of a profile: unlike what is signed, it is good for whoever gets it, and whoever
    writes a document could have it sent to a server of theirs. So it goes to AWS, or to a host that the operator lists.
    """
    if not _OF_AWS.fullmatch(sts) and not (bounds is not None and bounds.lists_host(sts)):
        raise StoreError(
            f"{store}: stsEndpointUrl leads to another server than AWS, and auth does not say which token it may have",
            store=store,
            hint="give auth.webIdentity in the SecretStore, or have the operator's policy (SECRETSYNC_POLICY) list that"
            " host in spec.hosts",
        )


def configured_endpoint(store: str, service: str, session: Session) -> str | None:
    """The address of a service, by boto3's name, where a variable or ``~/.aws/config`` gives one; None for none.

    It may be one of AWS, such as a VPC endpoint. Raises StoreError for any other, for a document says where secrets go,
    and for what can be no address.
    """
    where, given = next(_configured(service, session), ("", ""))
    if not given:
        return None
    if not _ENDPOINT.fullmatch(given):
        raise StoreError(
            f"{store}: {where} is not the address of a service",
            store=store,
            hint=f"it begins with http:// or https://; {_BLANK}",
        )
    if not _OF_AWS.fullmatch(given):
        raise StoreError(
            f"{store}: {where} leads to another server than the SecretStore says",
            store=store,
            hint=f"set {_FIELDS.get(service, 'endpointUrl')} in the SecretStore if that is meant; or unset it, or set"
            " AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
        )
    return given


def _configured(service: str, session: Session) -> Iterator[tuple[str, str]]:
    """Where addresses of a service are given, and which, in the order in which boto3 takes them."""
    profile, own = session.get_scoped_config(), _SERVICES.get(service, service.upper())
    told = os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or profile.get("ignore_configured_endpoint_urls")
    if str(told).lower() == "true":
        return
    for name in (f"AWS_ENDPOINT_URL_{own}", "AWS_ENDPOINT_URL"):
        if given := os.environ.get(name):
            yield name, given
    services = session.full_config.get("services", {}).get(profile.get("services"), {}).get(own.lower(), {})
    for section in (services, profile):
        if isinstance(section, dict) and (given := section.get("endpoint_url")):
            yield "endpoint_url of the AWS profile", str(given)


def trust(store: str, session: Session) -> None:
    """Let every client of a session trust whom ``AWS_CA_BUNDLE`` or the profile names, or else ``SSL_CERT_FILE``.

    And nobody whom a variable of another library names, such as ``REQUESTS_CA_BUNDLE``: no other store reads those.
    """
    named = ca_file(store)
    given = session.get_config_variable("ca_bundle")
    if given is None:
        session.set_config_variable("ca_bundle", named or True)
    elif isinstance(given, str):
        check_file(given, store, "AWS_CA_BUNDLE", MOST_PEM)


def check_token_files(store: str) -> None:
    """Raise CredentialsRefused for files of tokens that botocore would read for ever."""
    for variable in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        if given := os.environ.get(variable):
            check_file(given, store, variable)


def check_file(path: str, store: str, where: str, most: int = MAX_BYTES) -> None:
    """Raise CredentialsRefused for a file that a library reads whole, and never to the end. Its name is not shown."""
    if fault := fault_of(Path(path).expanduser(), most):
        raise CredentialsRefused(
            f"{store}: the file that {where} names {fault}", store=store, hint="name a regular file"
        )


def ask_directly(session: Session) -> None:
    """Ask a machine for its role without a proxy: by http://, which it would read."""
    from botocore.exceptions import UnknownCredentialError
    from botocore.httpsession import URLLib3Session

    try:
        fetcher = session.get_component("credential_provider").get_provider("iam-role")._role_fetcher
    except UnknownCredentialError:
        return
    fetcher._session = URLLib3Session(timeout=fetcher._timeout, proxies={})  # there is no other way to say it


def check_keys(store: str, credentials: Credentials) -> None:
    """Raise CredentialsRefused where a key has characters that no key has, and no request can carry.

    Those that are fetched when they are needed come from services, and are not looked at.
    """
    from botocore.credentials import RefreshableCredentials

    if credentials.method == "env":
        for names in _KEYS:
            name = next((each for each in names if os.environ.get(each)), None)
            if name is not None and not _is_key(os.environ[name]):
                raise _no_key(store, name)
    elif not isinstance(credentials, RefreshableCredentials):
        parts = (credentials.access_key, credentials.secret_key, credentials.token or "")
        if not all(map(_is_key, parts)):
            raise _no_key(store, "the AWS key that boto3 finds")


def _is_key(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _no_key(store: str, where: str) -> CredentialsRefused:
    return CredentialsRefused(f"{store}: {where} holds characters that no AWS key has", store=store, hint=_BLANK)


def ask_nobody(session: Session) -> None:
    """Let a profile with MFA fail where boto3 would ask for a code at the terminal, be there somebody or not."""
    from botocore.exceptions import UnknownCredentialError

    try:
        provider = session.get_component("credential_provider").get_provider("assume-role")
    except UnknownCredentialError:
        return
    provider._prompter = _refuse_to_ask  # there is no other way to say it


def end_programs(session: Session) -> None:
    """Let a ``credential_process`` end with the login that waits for it, also that of a profile's source."""
    from botocore.credentials import ProcessProvider
    from botocore.exceptions import UnknownCredentialError

    from secretsync_core.stores.programs import Program

    def made(profile_name: str) -> ProcessProvider:
        return ProcessProvider(profile_name, lambda: session.full_config, popen=Program)

    resolver = session.get_component("credential_provider")
    with contextlib.suppress(UnknownCredentialError):
        resolver.get_provider("custom-process")._popen = Program
    with contextlib.suppress(UnknownCredentialError):
        resolver.get_provider("assume-role")._profile_provider_builder._create_process_provider = made


def _refuse_to_ask(_: str) -> str:
    raise NeedsPersonError


# -- when they have failed


def setting_failure(store: str, error: SettingError) -> StoreError:
    """The error for a setting that boto3 does not take."""
    known = {name for names in _KEYS for name in names}
    names = sorted(name for name in os.environ if name.startswith("AWS_") and name not in known)
    variables = f"the variables {', '.join(names)} and " if names else ""
    return StoreError(
        f"{store}: a setting of AWS cannot be used ({error.kind})", store=store, hint=f"check {variables}~/.aws/config"
    )


def nobody_there(store: str) -> CredentialsRefused:
    """The error for a profile that asks for an MFA code."""
    return CredentialsRefused(
        f"{store}: the AWS profile asks for an MFA code, which a sync cannot give",
        store=store,
        hint="log in first, for example by `aws configure export-credentials --format env`, or use a role without MFA",
    )


class _Way(NamedTuple):
    """A way to log in: how the code of botocore is called that goes it, and what is said where it fails."""

    code: tuple[str, ...]
    what: str
    hint: str
    file: str = ""  # the variable that names a file


_WAYS = (
    _Way(
        ("ProcessProvider.",),
        "the credential_process of the AWS profile does not print what AWS asks for",
        "run it by hand: it prints a JSON object with Version 1, AccessKeyId and SecretAccessKey, and nothing else",
    ),
    _Way(
        ("FileWebIdentityTokenLoader.", "AssumeRoleWithWebIdentity"),
        "the web identity token cannot be read",
        "check that the pod has the service account whose annotation names the role",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ),
    _Way(
        ("ContainerProvider.",),
        "the token for the credentials of the container cannot be read or sent",
        "is the EKS Pod Identity agent there, and AWS_CONTAINER_CREDENTIALS_FULL_URI right?",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ),
    _Way(
        ("EnvProvider.",),
        "AWS_CREDENTIAL_EXPIRATION is not a time",
        "write it as 2030-01-31T12:00:00Z, or leave it out",
    ),
    _Way(
        ("SSO", "TokenProvider", "LoginProvider."),
        "the login that `aws sso login` left cannot be used",
        "log in again: aws sso login",
    ),
)


def login_failure(store: str, error: BaseException) -> StoreError | None:
    """What an error means that is not botocore's own, and was raised while it logged in; ``None`` for any other."""
    came_by = list(_botocore_code(error.__traceback__))
    if not came_by:
        return None
    for way in _WAYS:
        if any(code.startswith(way.code) for code in came_by):
            return CredentialsRefused(f"{store}: {_what(way, error)}", store=store, hint=way.hint)
    return CredentialsRefused(
        f"{store}: the AWS credentials cannot be obtained ({type(error).__name__})",
        store=store,
        hint="check where boto3 takes them from: variables, ~/.aws, the role of a pod or a machine",
    )


def _what(way: _Way, error: BaseException) -> str:
    if not isinstance(error, OSError):
        return way.what
    if not way.file:
        return "the credential_process of the AWS profile cannot be run"
    # By this variable, or by a line of a profile; never the path, which may be the token itself.
    name = way.file if os.environ.get(way.file) else "the AWS profile"
    missing = isinstance(error, FileNotFoundError)
    return f"the file that {name} names {'is not there' if missing else 'cannot be read'}"


def _botocore_code(traceback: TracebackType | None) -> Iterator[str]:
    """Which code of botocore's logins an error came through, from the outside in."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals.get("__name__") in ("botocore.credentials", "botocore.tokens"):
            yield frame.f_code.co_qualname
        traceback = traceback.tb_next
