"""JSON web tokens, signed by the tests themselves."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa


def signed_jwt(key: rsa.RSAPrivateKey, claims: dict[str, Any]) -> str:
    """A JSON web token, RS256."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    head = part(json.dumps({"alg": "RS256", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims).encode())
    return (head + b"." + part(key.sign(head, padding.PKCS1v15(), hashes.SHA256()))).decode()
