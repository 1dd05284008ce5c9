"""Turns a secret's fields into the JSON that is sent, and refuses what would not come back as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from secretsync_core.errors import InvalidSecret
from secretsync_core.stores.numbers import survives

if TYPE_CHECKING:
    from secretsync_core.secret import JsonValue, SecretValue

MAX_BYTES = 1_000_000
"""The largest secret, as JSON: raft storage refuses an entry of 1 MiB, and the entry holds a little more than this."""


def fields_of(value: SecretValue, *, store: str, key: str, exact_numbers: bool) -> dict[str, JsonValue]:
    """The fields of a value that KV can hold. Raises InvalidSecret for a blob, or for a number that would change."""
    fields = value.reveal()
    if isinstance(fields, bytes):
        raise InvalidSecret(f"{store} holds named fields, and {key} is a blob", store=store, key=key)
    kept: dict[str, JsonValue] = {}
    for name, field in fields.items():
        if isinstance(field, bytes):
            raise InvalidSecret(f"{store} holds JSON, and a field of {key} is bytes", store=store, key=key)
        if not isinstance(field, str) and not survives(field, exact_numbers=exact_numbers):
            raise InvalidSecret(
                f"{store} would change a number in {key}", store=store, key=key, hint="make that number a string"
            )
        kept[name] = field
    return kept


def encode(body: dict[str, Any], *, store: str, key: str) -> bytes:
    """The JSON of a request. Raises InvalidSecret where it is too large, or holds text that is not Unicode."""
    try:
        payload = orjson.dumps(body)
    except TypeError:  # an integer beyond 64 bits, or half a surrogate pair; the message may show either
        try:
            payload = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError):
            raise InvalidSecret(
                f"{key} holds something that JSON cannot say", store=store, key=key, hint="is its text Unicode?"
            ) from None
    if len(payload) > MAX_BYTES:
        raise InvalidSecret(
            f"{key} is too large for {store}: {len(payload):,} bytes as JSON, and {MAX_BYTES:,} fit",
            store=store,
            key=key,
        )
    return payload
