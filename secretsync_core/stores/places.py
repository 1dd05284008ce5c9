"""What the places of stores are made of: addresses in one form, and texts that can stand in a line of the ledger."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from secretsync_core.model.place import is_place

if TYPE_CHECKING:
    from secretsync_core.model.place import Place

_ADDRESS = re.compile(r"https?://[^?#@\s\\]+", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def address(url: str) -> str:
    """The address of a server in one form: no user, no trailing slash, in lower case, and always with its port.

    A path stays, for several servers may share a host. Empty for what is no such URL, or holds more than an address,
    such as a user: nobody can tell then which part of it is a password.
    """
    if _ADDRESS.fullmatch(url) is None:
        return ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host:
        return ""
    port = port or _PORTS.get(parts.scheme)
    try:
        ip = ipaddress.ip_address(host)
        host = f"[{ip.compressed}]" if ip.version == 6 else ip.compressed
    except ValueError:
        host = host.rstrip(".")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def folders(*paths: str) -> str:
    """Paths as one, no slash in front, none twice, and one behind; empty for none."""
    return "".join(f"{folder}/" for path in paths for folder in path.split("/") if folder)


def sound(place: Place) -> Place | None:
    """The place, if it can be told and kept as a line of text; None for one that is too long or not printable."""
    return place if is_place(place) else None
