"""Certificates of 127.0.0.1, for servers that take them as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


def certificate_in(folder: Path) -> tuple[Path, Path, Path]:
    """The chain and the key of 127.0.0.1, and the authority that it is signed by."""
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    chain, key, ca = folder / "chain.pem", folder / "key.pem", folder / "ca.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(ca))
    return chain, key, ca
