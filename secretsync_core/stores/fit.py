"""What a store's limits say of a value or a key: the one place that applies them.

The engine asks before it sends anything, by the facts of the destination, so that a plan tells what would be refused.
The stores ask again when they send, by the same facts: who calls them need not have asked.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret
from secretsync_core.expression.regexp import compile_regexp
from secretsync_core.key_rules import key_fault, new_key_fault, whole
from secretsync_core.model.capabilities import Shape
from secretsync_core.model.field_names import listed
from secretsync_core.model.inventory import Gap

if TYPE_CHECKING:
    from collections.abc import Collection

    from secretsync_core.model.capabilities import StoreFacts, StoreLimits
    from secretsync_core.secret import FieldValue, JsonValue, SecretValue

_EXACT = 2**53  # every integer up to here is a float64

_SHAPES = {
    Shape.BLOB: "this store holds one blob a secret, and it has fields",
    Shape.FIELDS: "this store holds named fields of JSON, and it is something else",
    Shape.BINARY_FIELDS: "this store holds named fields of bytes, and it is something else",
}


# -- keys


def check_key(key: str, store: str, limits: StoreLimits) -> None:
    """Raise InvalidSecret for a key that the store cannot hold."""
    if fault := key_fault(key, limits):
        raise invalid_key(key, store, fault)


def check_new_key(key: str, store: str, limits: StoreLimits) -> None:
    """Raise InvalidSecret for a key that cannot be written."""
    if fault := new_key_fault(key, limits):
        raise invalid_key(key, store, fault)


def sort_out_keys(keys: Collection[str], store: str, limits: StoreLimits) -> tuple[list[str], list[Gap]]:
    """The keys that can be, and a Gap for each of the others: nothing is asked about those."""
    good: list[str] = []
    bad: list[Gap] = []
    for key in keys:
        if fault := key_fault(key, limits):
            bad.append(Gap(key, InvalidSecret.code, invalid_key(key, store, fault).message))
        else:
            good.append(key)
    return good, bad


def invalid_key(key: str, store: str, fault: str, *, hint: str = "") -> InvalidSecret:
    """The error for a key that cannot be, or not be written."""
    return InvalidSecret(f"{store} cannot hold the key {key!r}: {fault}", store=store, key=key, hint=hint)


def check_folder(prefix: str, store: str) -> None:
    """Raise InvalidSecret for what is neither empty nor a folder."""
    if prefix and not prefix.endswith("/"):
        raise InvalidSecret(f"{prefix!r} is not a folder: it must end with '/'", store=store, key=prefix)


# -- values


def check_fits(value: SecretValue, facts: StoreFacts, key: str) -> None:
    """Raise InvalidSecret where a value is of another shape than the store's, or more than it holds.

    The size of JSON fields is the store's to tell, which makes the JSON once, when it sends it.
    """
    payload = value.reveal()
    if isinstance(payload, bytes):
        fault, hint = (_SHAPES[facts.shape], "") if facts.shape is not Shape.BLOB else _blob(payload, facts.limits)
    else:
        fault, hint = (_SHAPES[facts.shape], "") if facts.shape is Shape.BLOB else _fields(payload, facts)
    if fault:
        raise InvalidSecret(f"{facts.name} cannot hold {key}: {fault}", store=facts.name, key=key, hint=hint)


def blob_of(value: SecretValue, facts: StoreFacts, key: str) -> bytes:
    """The bytes that a store of blobs is to keep. Raises InvalidSecret for what does not fit."""
    check_fits(value, facts, key)
    payload = value.reveal()
    assert isinstance(payload, bytes)  # noqa: S101  just checked
    return payload


def json_fields_of(value: SecretValue, facts: StoreFacts, key: str) -> dict[str, JsonValue]:
    """The fields that a store of JSON is to keep. Raises InvalidSecret for what does not fit."""
    check_fits(value, facts, key)
    payload = value.reveal()
    assert not isinstance(payload, bytes)  # noqa: S101  just checked
    return {name: field for name, field in payload.items() if not isinstance(field, bytes)}


def binary_fields_of(value: SecretValue, facts: StoreFacts, key: str) -> dict[str, bytes]:
    """The fields that a store of bytes is to keep. Raises InvalidSecret for what does not fit."""
    check_fits(value, facts, key)
    payload = value.reveal()
    assert not isinstance(payload, bytes)  # noqa: S101  just checked
    return {name: field for name, field in payload.items() if isinstance(field, bytes)}


def check_size(size: int, facts: StoreFacts, key: str) -> None:
    """Raise InvalidSecret where the stored form of a secret, of so many bytes, is too large."""
    limit = facts.limits.max_bytes
    if limit is not None and size > limit:
        fault, hint = _too_large(size, limit)
        raise InvalidSecret(f"{facts.name} cannot hold {key}: {fault}", store=facts.name, key=key, hint=hint)


def _blob(blob: bytes, limits: StoreLimits) -> tuple[str, str]:
    if limits.max_bytes is not None and len(blob) > limits.max_bytes:
        return _too_large(len(blob), limits.max_bytes)
    if not blob and not limits.empty:
        return "it is empty", "leave it out, or give it a value"
    if limits.excluded is not None and _is_text(blob) and compile_regexp(limits.excluded).found(blob.decode()):
        return (
            f"it holds {limits.excluded_rule or 'what is not allowed there'}",
            "leave it out, or change it by a template",
        )
    if limits.text_only and not _is_text(blob):
        return (
            "it is not text in UTF-8",
            "to send its base64: encoding: base64, and valueTransform: [{template: {text: '{{ value }}'}}]",
        )
    return "", ""


def _fields(fields: dict[str, FieldValue], facts: StoreFacts) -> tuple[str, str]:
    limits = facts.limits
    if not all(isinstance(field, bytes) is (facts.shape is Shape.BINARY_FIELDS) for field in fields.values()):
        return _SHAPES[facts.shape], ""
    if limits.max_fields is not None and len(fields) > limits.max_fields:
        return f"{len(fields)} fields, and {limits.max_fields} fit", "leave fields out by a valueTransform"
    if not fields and not limits.empty:
        return "it has no fields", "leave it out, or give it a field"
    if limits.text_only and (others := [name for name, field in fields.items() if not isinstance(field, str | bytes)]):
        hint = "make it one: valueTransform: [{fields: {asText: true}}], with dropNull: true for null"
        return f"what is no text: {listed(others)}", hint
    changed = [name for name, field in fields.items() if not _is_kept(field, exact_numbers=limits.exact_numbers)]
    if changed:
        return (
            f"a number in it would be changed: {listed(changed)}",
            "make that number a text: valueTransform: [{fields: {asText: true}}]",
        )
    if limits.field_pattern is not None:
        unfit = [name for name in fields if not whole(limits.field_pattern, name)]
        if unfit:
            rule = limits.field_rule or "its characters are not allowed there"
            hint = "rename it by valueTransform: [{fields: {rename: ...}}]"
            return f"the name of a field does not fit, that of {listed(unfit)}: {rule}", hint
    size = sum(len(field) for field in fields.values() if isinstance(field, bytes))
    if limits.max_bytes is not None and size > limits.max_bytes:
        return _too_large(size, limits.max_bytes)
    return "", ""


def _is_kept(field: FieldValue, *, exact_numbers: bool) -> bool:
    """Whether every number in a field is one that JSON has and, unless ``exact_numbers``, the same as a float64."""
    if field is None or isinstance(field, (str, bytes, bool)):
        return True
    if isinstance(field, float):
        return math.isfinite(field)
    if isinstance(field, int):
        return exact_numbers or -_EXACT <= field <= _EXACT or _same_digits(field)
    parts = field.values() if isinstance(field, dict) else field
    return all(_is_kept(part, exact_numbers=exact_numbers) for part in parts)


def _same_digits(number: int) -> bool:
    """Whether a float64 prints as this integer again: 10**18 does, 2**60 is printed with its last digits as zeros."""
    try:
        return Decimal(repr(float(number))) == number
    except OverflowError:
        return False


def _too_large(size: int, limit: int) -> tuple[str, str]:
    return f"{size:,} bytes, and {limit:,} fit", "leave fields out by a valueTransform, or split it"


def _is_text(blob: bytes) -> bool:
    try:
        blob.decode()
    except UnicodeDecodeError:
        return False
    return True
