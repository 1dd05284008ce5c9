"""Seals: proof that a chain's head was written by somebody who has the key, not only the database."""

from __future__ import annotations

import hmac

import orjson


def key_id(seal_key: bytes) -> str:
    """A short name of the key that gives nothing of it away: tells another key from tampering."""
    return hmac.digest(seal_key, b'["seal-key"]', "sha256").hex()[:16]


def head_seal(seal_key: bytes, job: str, ordinal: int, seq: int, last: bytes) -> bytes:
    """Seals that the ``ordinal``-th chain, ``job``'s, is ``seq`` records long and ends with the hash ``last``."""
    return hmac.digest(seal_key, orjson.dumps(["head", job, ordinal, seq, last.hex()]), "sha256")


def meta_seal(seal_key: bytes, name: str, value: str) -> bytes:
    """Seals one fact about the ledger as a whole, such as how many chains there are."""
    return hmac.digest(seal_key, orjson.dumps(["meta", name, value]), "sha256")
