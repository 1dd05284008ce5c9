"""Turns a secret's fields into the JSON that is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from secretsync_core.errors import InvalidSecret
from secretsync_core.stores.fit import check_size

if TYPE_CHECKING:
    from secretsync_core.model.capabilities import StoreFacts

MAX_BYTES = 1_000_000
"""The largest secret, as JSON: raft storage refuses an entry of 1 MiB, and the entry holds a little more than this."""


def encode(body: dict[str, Any], facts: StoreFacts, key: str) -> bytes:
    """The JSON of a request. Raises InvalidSecret where it is too large, or holds text that is not Unicode."""
    try:
        payload = orjson.dumps(body)
    except TypeError:  # an integer beyond 64 bits, or half a surrogate pair; the message may show either
        try:
            payload = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError):
            raise InvalidSecret(
                f"{key} holds something that JSON cannot say",
                store=facts.name,
                key=key,
                hint="check that its text is valid Unicode",
            ) from None
    check_size(len(payload), facts, key)
    return payload
