"""What a cluster calls itself, and where it says so.

OpenBao on raft names its cluster in most answers, in the header ``X-Vault-Index``: base64 of ``{"cluster": ...}``. That
is the ``cluster_id`` of ``sys/health``, which anybody may ask, without a token. Other servers (OpenBao on other
storage, HashiCorp Vault, whose index has another form and names something else) are asked for that: one request for
each open store. A server that is sealed does not tell.
"""

from __future__ import annotations

import base64
import re

import orjson

_ID = re.compile(r"[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}")


def is_id(text: str) -> bool:
    """Whether a text can be a cluster's id, which is a UUID."""
    return _ID.fullmatch(text) is not None


def cluster_of_index(index: str | None) -> str:
    """The cluster that an ``X-Vault-Index`` names; empty for one of another form."""
    try:
        return _id_in(base64.b64decode(index or ""), "cluster")
    except ValueError:  # also what is no ASCII
        return ""


def cluster_of_health(body: bytes) -> str:
    """The cluster that an answer of ``sys/health`` names; empty where it names none."""
    return _id_in(body, "cluster_id")


def openbao_of_health(body: bytes) -> str:
    """The same of OpenBao alone: HashiCorp Vault also says whether it is the edition for enterprises, from 1.16 on."""
    try:
        said = orjson.loads(body)
    except ValueError:
        return ""
    if not isinstance(said, dict) or "enterprise" in said or str(said.get("version")).startswith(("0.", "1.")):
        return ""
    return _id_in(body, "cluster_id")


def _id_in(body: bytes, field: str) -> str:
    try:
        found = orjson.loads(body)[field]
    except (ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) and _ID.fullmatch(found) else ""
