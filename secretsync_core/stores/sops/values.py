"""Single values as sops writes them: AES-256-GCM with the path as what is authenticated besides. Pure.

A text, a number or a boolean becomes ``ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]``. An empty text and null stand as they
are. Lists and objects are encrypted leaf by leaf.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import os
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretsync_core.secret import JsonValue

_SEALED = re.compile(
    r"ENC\[AES256_GCM,data:([A-Za-z0-9+/=]+),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]"
)
_IV_BYTES = 32
_TAG_BYTES = 16
_MAC_ONLY_ENCRYPTED = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")


RESTORE = "restore the file from Git; or open it by: sops edit --ignore-mac, and look at every value before saving"
"""What to do about a file that was changed by something else than sops."""


class Broken(Exception):
    """What a file holds is not what sops writes, or not with this key: a sentence's end that shows nothing of it.

    ``hint`` says what to do; empty where what is said of every file will do.
    """

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


def path_text(path: tuple[str, ...]) -> str:
    """What is authenticated with the value at a path; of a comment that is the path of what it stands in."""
    return ":".join(path) + ":"


def is_sealed(value: object) -> bool:
    """Whether this is an encrypted value."""
    return isinstance(value, str) and _SEALED.fullmatch(value) is not None


def is_comment(value: object) -> bool:
    """Whether this is an encrypted comment, if it stands where values are encrypted: in plain text it is just text."""
    return isinstance(value, str) and value.endswith(",type:comment]") and is_sealed(value)


def text_of(value: JsonValue) -> tuple[bytes, str]:
    """The bytes of a leaf, and the name of its type. Raises OverflowError for a number that sops cannot hold."""
    if isinstance(value, bool):
        return (b"True" if value else b"False"), "bool"
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return str(value).encode(), "int"
        if Decimal(repr(float(value))) != value:
            raise OverflowError
        return _float_text(float(value)), "float"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise OverflowError
        return _float_text(value), "float"
    assert isinstance(value, str)  # noqa: S101  there are no other leaves but null
    return value.encode(), "str"


def _float_text(value: float) -> bytes:
    """All digits of a number, and no exponent."""
    text = format(Decimal(repr(value)), "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text).encode()


def seal_text(text: bytes, kind: str, key: bytes, authenticated: str) -> str:
    """Encrypt some bytes with an initialization vector that was never used before."""
    iv = os.urandom(_IV_BYTES)
    out = AESGCM(key).encrypt(iv, text, authenticated.encode())
    data, tag = out[:-_TAG_BYTES], out[-_TAG_BYTES:]
    parts = (base64.b64encode(part).decode() for part in (data, iv, tag))
    return "ENC[AES256_GCM,data:{},iv:{},tag:{},type:{}]".format(*parts, kind)


def open_text(sealed: str, key: bytes, authenticated: str) -> tuple[bytes, str]:
    """Decrypt it; gives the bytes and the name of their type. Raises Broken."""
    made = _SEALED.fullmatch(sealed)
    if made is None:
        raise Broken("a value is not encrypted as sops does it")
    try:
        data, iv, tag = (base64.b64decode(part, validate=True) for part in made.groups()[:3])
        return AESGCM(key).decrypt(iv, data + tag, authenticated.encode()), made[4]
    except (InvalidTag, ValueError, binascii.Error):
        pass
    raise Broken("a value cannot be decrypted: it was changed or moved, or is of another file", RESTORE)


def seal(value: JsonValue, path: tuple[str, ...], key: bytes) -> JsonValue:
    """Encrypt one leaf."""
    if value is None or value == "":
        return value
    text, kind = text_of(value)
    return seal_text(text, kind, key, path_text(path))


def unseal(value: str, path: tuple[str, ...], key: bytes) -> JsonValue:
    """Decrypt one leaf. Raises Broken."""
    text, kind = open_text(value, key, path_text(path))
    found: JsonValue = None
    try:
        match kind:
            case "str" | "bytes" | "time":
                return text.decode()
            case "int":
                found = int(text)
            case "float":
                found = finite(float(text))
            case "bool" if text in (b"True", b"False", b"true", b"false"):
                found = text[:1] in (b"T", b"t")
    except ValueError:  # also what is not UTF-8
        found = None
    if found is None:
        raise Broken("a value is of a type that is not known here, or no text", "change it by: sops edit")
    return found


def finite(number: float) -> float:
    """The number. Raises Broken for those that JSON and most stores do not have."""
    if not math.isfinite(number):
        raise Broken("a number in it is infinite or none at all (.inf, .nan)", "write it as a text: sops edit")
    return number


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    """Every leaf but null, in the order of the file. What is in a list has the path of the list."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, (*path, name))
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, path)
    elif value is not None:
        yield path, value


def mac_of(plain: dict[str, Any], counts: Callable[[tuple[str, ...]], bool], *, only_encrypted: bool) -> str:
    """The checksum of all values of a file, in the order in which they stand there."""
    digest = hashlib.sha512(_MAC_ONLY_ENCRYPTED if only_encrypted else b"")
    for path, value in leaves(plain):
        if not only_encrypted or counts(path):
            digest.update(text_of(value)[0])
    return digest.hexdigest().upper()
