"""Whether a destination can hold a value, told before anything is sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret
from secretsync_core.expression.regexp import compile_regexp
from secretsync_core.plan.abilities import whole
from secretsync_core.stores.numbers import survives

if TYPE_CHECKING:
    from secretsync_core.model.capabilities import StoreFacts, StoreLimits
    from secretsync_core.secret import FieldValue, SecretValue


def check_fits(value: SecretValue, facts: StoreFacts, key: str) -> None:
    """Raise InvalidSecret where a value, in the store's own shape, is more than the store holds.

    The size of JSON fields is the store's to tell, which makes the JSON once, when it sends it.
    """
    payload = value.reveal()
    limits = facts.limits
    fault, hint = _blob(payload, limits) if isinstance(payload, bytes) else _fields(payload, limits)
    if fault:
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


def _fields(fields: dict[str, FieldValue], limits: StoreLimits) -> tuple[str, str]:
    if limits.max_fields is not None and len(fields) > limits.max_fields:
        return f"{len(fields)} fields, and {limits.max_fields} fit", "leave fields out by a valueTransform"
    if not fields and not limits.empty:
        return "it has no fields", "leave it out, or give it a field"
    if not limits.exact_numbers and not all(_is_exact(field) for field in fields.values()):
        return "a number in it would be changed", "make that number a text: valueTransform: [{fields: {asText: true}}]"
    if limits.field_pattern is not None and not all(whole(limits.field_pattern, name) for name in fields):
        rule = limits.field_rule or "its characters are not allowed there"
        return f"the name of a field does not fit: {rule}", "rename it by valueTransform: [{fields: {rename: ...}}]"
    sizes = [len(field) for field in fields.values() if isinstance(field, bytes)]
    if limits.max_bytes is not None and sum(sizes) > limits.max_bytes:
        return _too_large(sum(sizes), limits.max_bytes)
    return "", ""


def _is_exact(field: FieldValue) -> bool:
    return isinstance(field, (str, bytes)) or survives(field, exact_numbers=False)


def _too_large(size: int, limit: int) -> tuple[str, str]:
    return f"{size:,} bytes, and {limit:,} fit", "leave fields out by a valueTransform, or split it"


def _is_text(blob: bytes) -> bool:
    try:
        blob.decode()
    except UnicodeDecodeError:
        return False
    return True
