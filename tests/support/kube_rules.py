"""What the fake API server insists on in a Secret, as a real one does."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

from support.kube_status import Cause, Refused, bad_request, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BYTES = 1_048_576
MAX_ANNOTATIONS = 262_144
MAX_MANAGER = 128

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NAMESPACE = re.compile(_LABEL)
_QUALIFIED = re.compile(rf"({_LABEL}(\.{_LABEL})*/)?([A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")

_FIELDS = frozenset({"apiVersion", "kind", "metadata", "data", "stringData", "type", "immutable"})
_LEFT_OUT = ("labels", "annotations", "ownerReferences", "finalizers")  # where there are none of them
_METADATA = frozenset(
    {
        "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
        "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
        "managedFields",
    }
)  # fmt: skip

_TYPES: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/tls": ("data[tls.crt]", "data[tls.key]"),
    "kubernetes.io/dockerconfigjson": ("data[.dockerconfigjson]",),
    "kubernetes.io/dockercfg": ("data[.dockercfg]",),
    "kubernetes.io/ssh-auth": ("data[%s][ssh-privatekey]",),  # so it stands in a real answer
}


_JSON = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}


def _is_object(text: bytes) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return found is None or isinstance(found, dict)


def namespace_name(name: str) -> bool:
    """Whether a namespace may have this name."""
    return len(name) <= 63 and _NAMESPACE.fullmatch(name) is not None


def tidy(given: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    """A Secret as it is stored: ``stringData`` in ``data``, the type set, fields that are none left out.

    Raises Refused (400) for what cannot be decoded, with ``strict`` also for unknown fields.
    """
    secret = {name: value for name, value in given.items() if name in _FIELDS and value is not None}
    if given.get("kind", "Secret") != "Secret" or given.get("apiVersion", "v1") != "v1":
        raise bad_request("the object provided is unrecognized (must be of type Secret)")
    metadata = secret.get("metadata") or {}
    if not isinstance(metadata, dict) or not isinstance(secret.get("data") or {}, dict):
        raise bad_request('Secret in version "v1" cannot be handled as a Secret: json: cannot unmarshal')
    unknown = sorted([*(given.keys() - _FIELDS), *(f"metadata.{name}" for name in metadata.keys() - _METADATA)])
    if strict and unknown:
        raise bad_request(f'Secret in version "v1" cannot be handled as a Secret: strict decoding error: {unknown}')
    secret["metadata"] = {
        name: value
        for name, value in metadata.items()
        if name in _METADATA and value is not None and not (name in _LEFT_OUT and not value)
    }
    data = {name: value or "" for name, value in (secret.pop("data", None) or {}).items()}
    for name, text in (secret.pop("stringData", None) or {}).items():
        if not isinstance(text, str):
            raise bad_request('Secret in version "v1" cannot be handled as a Secret: json: cannot unmarshal')
        data[name] = base64.b64encode(text.encode()).decode()
    for name, value in data.items():
        if not isinstance(value, str):
            raise bad_request('Secret in version "v1" cannot be handled as a Secret: json: cannot unmarshal')
        data[name] = base64.b64encode(_decoded(value)).decode()
    if data:
        secret["data"] = data
    secret["type"] = secret.get("type") or "Opaque"
    return {"kind": "Secret", "apiVersion": "v1", **secret}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(
            'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
        ) from None


def check(secret: Mapping[str, Any]) -> None:
    """Raise Refused (422) for a Secret that is not valid."""
    causes = list(_faults(secret))
    if causes:
        raise invalid(secret["metadata"].get("name", ""), causes)


def _faults(secret: Mapping[str, Any]) -> Iterator[Cause]:
    metadata, data = secret["metadata"], secret.get("data", {})
    name = metadata.get("name", "")
    if not name:
        yield Cause("FieldValueRequired", "metadata.name", "Required value: name or generateName is required")
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        yield _wrong(
            "metadata.name", name, "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric ..."
        )
    annotations = metadata.get("annotations") or {}
    if sum(len(text.encode()) for pair in annotations.items() for text in pair) > MAX_ANNOTATIONS:
        why = f"Too long: may not be more than {MAX_ANNOTATIONS} bytes"
        yield Cause("FieldValueTooLong", "metadata.annotations", why)
    for field in ("labels", "annotations"):
        for key, value in (metadata.get(field) or {}).items():
            if not _QUALIFIED.fullmatch(key if field == "labels" else key.lower()):
                yield _wrong(f"metadata.{field}", key, "name part must consist of alphanumeric characters ...")
            if field == "labels" and not _VALUE.fullmatch(value):
                yield _wrong("metadata.labels", value, "a valid label must be an empty string or ...")
    size = 0
    for key, value in data.items():
        if not _DATA_KEY.fullmatch(key) or key == "." or key.startswith(".."):
            yield _wrong(f"data[{key}]", key, "a valid config key must consist of alphanumeric characters ...")
        size += len(_decoded(value))
    if size > MAX_BYTES:
        yield Cause("FieldValueTooLong", "data", f"Too long: may not be more than {MAX_BYTES} bytes")
    for field in _TYPES.get(secret["type"], ()):
        name = field[5:].rpartition("[")[2].rstrip("]")
        if name not in data or (name == "ssh-privatekey" and not data[name]):
            yield Cause("FieldValueRequired", field, "Required value")
    for kind, key in _JSON.items():
        if secret["type"] == kind and key in data and not _is_object(_decoded(data[key])):
            yield Cause(
                "FieldValueInvalid", f"data[{key}]", 'Invalid value: "<secret contents redacted>": invalid JSON'
            )
    account = "kubernetes.io/service-account.name"
    if secret["type"] == "kubernetes.io/service-account-token" and not annotations.get(account):
        yield Cause("FieldValueRequired", f"metadata.annotations[{account}]", "Required value")
    if secret["type"] == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        for field in ("username", "password"):
            yield Cause("FieldValueRequired", f"data[{field}]", "Required value")


def check_manager(name: str, options: str) -> None:
    """Raise Refused (422) for a field manager that cannot be. ``options`` is the kind of what came with the request."""
    if len(name) > MAX_MANAGER:
        why = f"Too long: may not be more than {MAX_MANAGER} bytes"
        raise invalid("", [Cause("FieldValueTooLong", "fieldManager", why)], kind=options)


def check_update(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise Refused (422) for a change that is not allowed."""
    causes = []
    if new["type"] != old["type"]:
        causes.append(_wrong("type", new["type"], "field is immutable"))
    if old.get("immutable"):
        why = "Forbidden: field is immutable when `immutable` is set"
        if not new.get("immutable"):
            causes.append(Cause("FieldValueForbidden", "immutable", why))
        if new.get("data", {}) != old.get("data", {}):
            causes.append(Cause("FieldValueForbidden", "data", why))
    if causes:
        raise invalid(new["metadata"]["name"], causes)
    check(new)


def _wrong(field: str, value: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", field, f'Invalid value: "{value}": {why}')


__all__ = ["MAX_BYTES", "Refused", "check", "check_manager", "check_update", "namespace_name", "tidy"]
