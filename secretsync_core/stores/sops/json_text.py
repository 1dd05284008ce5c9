"""A JSON file: read strictly, and written in the form that it has. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from secretsync_core.stores.sops.values import Broken

_INDENT = re.compile(r"\{\r?\n([ \t]+)\"")


def parse(text: str) -> dict[str, Any]:
    """The object that a file is. Raises Broken."""
    line = None
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        line = error.lineno
    except (RecursionError, ValueError):
        raise Broken(
            "it is nested too deeply, or holds a number that is too large", "change it by: sops edit"
        ) from None
    if line is not None:
        raise Broken(f"it is not JSON (line {line})", "correct that line, by an editor")
    if not isinstance(found, dict):
        raise Broken("it is no object", "give it names at its top")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Broken("a name stands twice in it", "take one of them out: sops edit")
    return found


def _constant(_: str) -> Any:
    raise Broken("it holds a number that JSON does not have (NaN, Infinity)", "write it as a text")


def changed(text: str, new: dict[str, Any]) -> str:
    """The file with other values, indented as it was; as sops does it where it is new."""
    made = _INDENT.match(text.lstrip())
    indent = made[1] if made is not None else "\t"
    return json.dumps(new, indent=indent, ensure_ascii=False) + ("\n" if not text or text.endswith("\n") else "")
