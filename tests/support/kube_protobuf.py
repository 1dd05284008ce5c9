"""Reads what kubectl sends in protobuf: a Secret, or a review of one's rights. Answers are JSON all the same.

The numbers are those of the fields in the API's own ``generated.proto`` files.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from support.kube_status import bad_request

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"k8s\0"


_ATTRIBUTES = {1: "namespace", 2: "verb", 3: "group", 4: "version", 5: "resource", 6: "subresource", 7: "name"}


def object_of(body: bytes) -> dict[str, Any]:
    """The object as JSON would say it. Raises Refused (400) for anything but the two."""
    if not body.startswith(MAGIC):
        raise bad_request("the object provided is unrecognized")
    wrapped = dict(_fields(body[len(MAGIC) :]))
    about = dict(_fields(wrapped[1]))
    if (about[1], about[2]) == (b"authorization.k8s.io/v1", b"SelfSubjectAccessReview"):
        return _review(wrapped[2])
    if (about[1], about[2]) != (b"v1", b"Secret"):
        raise bad_request("the object provided is unrecognized (must be of type Secret)")
    return _secret(wrapped[2])


def _review(encoded: bytes) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    for number, value in _fields(dict(_fields(encoded))[2]):
        if number == 1:
            spec["resourceAttributes"] = {
                _ATTRIBUTES[field]: text.decode() for field, text in _fields(value) if field in _ATTRIBUTES
            }
        elif number == 2:
            spec["nonResourceAttributes"] = {}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}


def _secret(encoded: bytes) -> dict[str, Any]:
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {}}
    for number, value in _fields(encoded):
        if number == 1:
            secret["metadata"] = _metadata(value)
        elif number == 2:
            name, field = _pair(value)
            secret.setdefault("data", {})[name] = base64.b64encode(field).decode()
        elif number == 3 and value:
            secret["type"] = value.decode()
        elif number == 4:
            name, field = _pair(value)
            secret.setdefault("stringData", {})[name] = field.decode()
        elif number == 5:
            secret["immutable"] = bool(value[0])
    return secret


def _metadata(encoded: bytes) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for number, value in _fields(encoded):
        if number in (1, 3) and value:
            metadata["name" if number == 1 else "namespace"] = value.decode()
        elif number in (11, 12):
            name, text = _pair(value)
            metadata.setdefault("labels" if number == 11 else "annotations", {})[name] = text.decode()
    return metadata


def _pair(encoded: bytes) -> tuple[str, bytes]:
    """One entry of a map."""
    both = dict(_fields(encoded))
    return both[1].decode(), both.get(2, b"")


def _fields(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message, in order: number, and bytes (of a number, its last seven bits)."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = encoded[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(encoded):
        field, kind = divmod(number(), 8)
        if kind == 0:
            yield field, bytes([number() & 0x7F])
        elif kind == 2:
            length = number()
            yield field, encoded[at : at + length]
            at += length
        else:
            raise bad_request("the object provided cannot be decoded")
