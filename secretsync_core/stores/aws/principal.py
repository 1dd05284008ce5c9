"""Whose policies count, by what STS says of a caller."""

from __future__ import annotations

import re

_USER = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:user/[\x21-\x7e]+")
_ROLE = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\x21-\x7e]+")
_SESSION = re.compile(r"arn:([a-z-]+):sts::([0-9]{12}):assumed-role/([\x21-\x2e\x30-\x7e]+)/[\x21-\x7e]+")


def principal_of(caller: str) -> str | None:
    """The user or role that a caller is, by the ARN that STS tells of it; ``None`` for one without policies of its own.

    A role below a path is called without it there. IAM does not know it then, and says so.
    """
    if _USER.fullmatch(caller) or _ROLE.fullmatch(caller):
        return caller
    if session := _SESSION.fullmatch(caller):
        return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"
    return None
