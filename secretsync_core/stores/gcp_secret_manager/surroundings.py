"""Where Google's own tools look for credentials, and which addresses are Google's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"

_OF_GOOGLE = re.compile(
    r"https://(?:accounts\.google\.com|(?:oauth2|sts|iamcredentials|www)(?:\.[a-z0-9-]+\.rep)?\.googleapis\.com"
    r"|(?:sts|iamcredentials)\.mtls\.googleapis\.com)(?::443)?(?:/\S*)?",
    re.IGNORECASE,
)
"""The services that log somebody in: not what a customer can have there, such as a bucket."""

_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


def is_address_of_google(address: str) -> bool:
    """Whether an address is that of one of Google's logins."""
    return _OF_GOOGLE.fullmatch(address) is not None


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
