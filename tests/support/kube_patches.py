"""The patches that the fake API server applies: merge, JSON, and as much of strategic merge as Secrets need.

Server-side apply is not faked.
"""

from __future__ import annotations

import copy
from typing import Any

from support.kube_status import Refused, bad_request, unsupported

MERGE, JSON_PATCH, STRATEGIC = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
)


def patched(secret: dict[str, Any], patch: Any, kind: str) -> dict[str, Any]:
    """The Secret with a patch of that media type applied. Raises Refused."""
    if kind == JSON_PATCH:
        return _json_patch(copy.deepcopy(secret), patch)
    if kind not in (MERGE, STRATEGIC):
        raise unsupported(kind)
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal the patch")
    merged = _merged(secret, patch, strategic=kind == STRATEGIC)
    assert isinstance(merged, dict)
    return merged


def _merged(old: Any, patch: Any, *, strategic: bool) -> Any:
    """RFC 7386; with ``strategic``, the directives that kubectl sends for what a Secret has."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if strategic and patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if strategic and name.startswith("$setElementOrder/"):
            continue
        if strategic and name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            result[field] = [each for each in result.get(field) or [] if each not in value]
        elif strategic and name == "$retainKeys":
            result = {key: each for key, each in result.items() if key in value}
        elif value is None or (strategic and isinstance(value, dict) and value.get("$patch") == "delete"):
            result.pop(name, None)
        elif strategic and name == "finalizers":
            result[name] = list(dict.fromkeys([*(result.get(name) or []), *value]))
        elif strategic and name == "ownerReferences":
            kept = {each["uid"]: each for each in result.get(name) or []}
            result[name] = list((kept | {each["uid"]: each for each in value}).values())
        else:
            result[name] = _merged(result.get(name), value, strategic=strategic)
    return result


def _json_patch(document: Any, steps: Any) -> dict[str, Any]:
    """RFC 6902, without ``copy`` and ``move``."""
    if not isinstance(steps, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    for step in steps:
        names = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        parent = document
        try:
            for name in names[:-1]:
                parent = parent[int(name) if isinstance(parent, list) else name]
            last: Any = int(names[-1]) if isinstance(parent, list) and names[-1] != "-" else names[-1]
            if step["op"] == "test":
                if parent.get(last) != step.get("value"):
                    raise Refused(422, "Invalid", "the server rejected our request due to an error in our request")
            elif step["op"] == "remove":
                del parent[last]
            elif step["op"] == "replace":
                _ = parent[last]  # it must be there
                parent[last] = step["value"]
            elif step["op"] != "add":
                raise bad_request("Unexpected kind: " + step["op"])
            elif isinstance(parent, list):
                parent.insert(len(parent) if last == "-" else last, step["value"])
            else:
                parent[last] = step["value"]
        except (KeyError, IndexError, TypeError, ValueError):
            raise Refused(422, "Invalid", "the server rejected our request due to an error in our request") from None
    assert isinstance(document, dict)
    return document
