"""Who is trusted, and how the fake shows that it is 127.0.0.1."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

import trustme

if TYPE_CHECKING:
    from pathlib import Path


class Trust(NamedTuple):
    """``ca``: a file with the authority that is to be trusted; ``server``: what a server is made with."""

    ca: Path
    server: ssl.SSLContext


def trust_in(folder: Path) -> Trust:
    """An authority of the tests' own."""
    authority = trustme.CA()
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    return Trust(ca, server)
