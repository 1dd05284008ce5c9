"""What the API server would refuse of a Secret, told before it is sent.

Its rules are applied here, and what breaks one is made an answer as the server would give it. So there is one place
that puts such answers into words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from secretsync_core.stores.kubernetes.answers import Answer, Request, refusal
from secretsync_core.stores.kubernetes.types import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_type(request: Request, kind: str, fields: Mapping[str, bytes]) -> None:
    """Raise what the server would say to these fields in a Secret of this type."""
    rule = RULES.get(kind)
    if rule is None:
        return
    missing = [name for name in rule.all_of if name not in fields or (name in rule.filled and not fields[name])]
    if not fields.keys() & set(rule.any_of):
        missing += rule.any_of
    causes = [{"reason": "FieldValueRequired", "field": f"data[{name}]"} for name in missing]
    causes += [
        {"reason": "FieldValueInvalid", "field": f"data[{name}]"}
        for name in rule.objects
        if name in fields and not _is_object(fields[name])
    ]
    if causes:
        body = {"kind": "Status", "status": "Failure", "reason": "Invalid"}
        details = {"details": {"kind": "secrets", "causes": causes}}
        raise refusal(request, Answer(422, orjson.dumps({**body, **details}), {}))


def _is_object(blob: bytes) -> bool:
    """Whether the server can read this as a JSON object; null is one to it, and what is not UTF-8 it lets pass."""
    try:
        return isinstance(orjson.loads(blob.decode(errors="replace")), (dict, type(None)))
    except ValueError:
        return False
