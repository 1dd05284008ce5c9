"""Where Google's own tools look for credentials, and which addresses are Google's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"

_PATH = r"(?:/[A-Za-z0-9_-]+)*/?"
_OF_LOGINS = re.compile(
    r"https://(?:accounts\.google\.com|(?:oauth2|sts|iamcredentials)(?:\.[a-z0-9-]+\.rep|\.mtls)?\.googleapis\.com"
    rf"|www\.googleapis\.com(?=(?::443)?/oauth2/))(?::443)?{_PATH}",
    re.IGNORECASE,
)
"""The services that log somebody in: not what a customer can have there, such as a bucket."""

_OF_SERVICE = re.compile(
    r"https://secretmanager(?:-[a-z0-9-]+\.p|\.[a-z0-9-]+(?:\.p)?\.rep|\.mtls)?\.googleapis\.com(?::443)?/?",
    re.IGNORECASE,
)
"""Secret Manager itself: global, of a location, and by Private Service Connect under the names that Google gives it."""

ACCOUNT = r"[a-z0-9-]+@[a-z0-9.-]+"
"""The e-mail address of a service account. Its number would do as well, and nobody could tell whose it is."""

_IMPERSONATION = re.compile(
    r"https://iamcredentials(?:\.[a-z0-9-]+\.rep|\.mtls)?\.googleapis\.com/v1/projects/-/serviceAccounts/"
    rf"({ACCOUNT}):generateAccessToken"
)
_DELEGATE = re.compile(rf"(?:projects/-/serviceAccounts/)?({ACCOUNT})")

VERIFIED_BY = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
"""What a login with AWS credentials signs. Whoever gets it signed may make that request of AWS: no other may be."""

_OF_A_MACHINE_AT_AWS = re.compile(r"http://(?:169\.254\.169\.254|\[fd00:ec2::254\])/latest/[A-Za-z0-9/_-]+")

_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


def is_login_of_google(address: str) -> bool:
    """Whether an address is that of one of Google's logins."""
    return _OF_LOGINS.fullmatch(address) is not None


def is_service_of_google(address: str) -> bool:
    """Whether an address is that of Google's Secret Manager."""
    return _OF_SERVICE.fullmatch(address) is not None


def impersonated_by(address: str) -> str | None:
    """The service account as which one acts by this address; ``None`` for one that is not exactly Google's for that."""
    found = _IMPERSONATION.fullmatch(address)
    return found[1] if found else None


def delegate_of(name: str) -> str | None:
    """The service account that a delegate is; ``None`` where its name does not say so exactly."""
    found = _DELEGATE.fullmatch(name)
    return found[1] if found else None


def is_machine_at_aws(address: str) -> bool:
    """Whether an address is that of the metadata of a machine at AWS."""
    return _OF_A_MACHINE_AT_AWS.fullmatch(address) is not None


def well_known_file(environ: Mapping[str, str]) -> str:
    """The file that ``gcloud auth application-default login`` writes, where it is there; else empty."""
    folder = environ.get("CLOUDSDK_CONFIG") or str(Path(environ.get("HOME") or "~").expanduser() / ".config" / "gcloud")
    path = Path(folder, "application_default_credentials.json")
    try:
        return str(path) if path.is_file() else ""
    except OSError:
        return ""


def machine_is_asked(environ: Mapping[str, str]) -> bool:
    """Whether a metadata server may be looked for: ``NO_GCE_CHECK`` says that there is none."""
    return environ.get("NO_GCE_CHECK", "").lower() != "true"


def machine(environ: Mapping[str, str]) -> str:
    """The address of the metadata server. It is never reached through a proxy, being an ``http://`` one."""
    host = environ.get("GCE_METADATA_HOST") or environ.get("GCE_METADATA_ROOT") or "metadata.google.internal"
    return f"http://{host if _HOST.fullmatch(host) else 'metadata.google.internal'}"
