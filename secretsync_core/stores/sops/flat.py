"""sops' section as lines, for files that have no objects in objects: ``age__list_0__map_enc`` says where. Pure."""

from __future__ import annotations

import itertools
import re
from typing import Any

from secretsync_core.stores.sops.values import RESTORE, Broken

_STEP = re.compile(r"__(list_[0-9]{1,4}|map_.+?)(?=__list_[0-9]|__map_|$)")
_FLAG = "mac_only_encrypted"


def flattened(section: dict[str, Any]) -> dict[str, str]:
    """A section as texts by long names."""
    found: dict[str, str] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for inner, each in value.items():
                add(f"{name}__map_{inner}", each)
        elif isinstance(value, list):
            for at, each in enumerate(value):
                add(f"{name}__list_{at}", each)
        else:
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)

    for name, value in section.items():
        add(name, value)
    return found


def unflattened(flat: dict[str, str]) -> dict[str, Any]:
    """The section that such names say. Raises Broken."""
    section: dict[str, Any] = {}
    for name, value in flat.items():
        steps = _STEP.findall(name)
        first = name[: len(name) - sum(len(step) + 2 for step in steps)]
        holder: Any = section
        path: list[str | int] = [first]
        path += [int(step[5:]) if step.startswith("list_") else step[4:] for step in steps]
        for step, after in itertools.pairwise(path):
            holder = _inner(holder, step, [] if isinstance(after, int) else {})
        _put(holder, path[-1], value == "true" if name == _FLAG else value)
    return section


def _inner(holder: Any, step: str | int, empty: Any) -> Any:
    """What is at one step, made where it is not there yet."""
    found = None
    if isinstance(step, int) and isinstance(holder, list):
        found = holder[step] if step < len(holder) else None
    elif isinstance(step, str) and isinstance(holder, dict):
        found = holder.get(step)
    if found is None:
        found = empty
        _put(holder, step, found)
    if type(found) is not type(empty):
        raise Broken("its section sops makes no sense", RESTORE)
    return found


def _put(holder: Any, step: str | int, value: Any) -> None:
    if isinstance(step, str) and isinstance(holder, dict):
        holder[step] = value
    elif isinstance(step, int) and isinstance(holder, list) and step == len(holder):
        holder.append(value)
    else:
        raise Broken("its section sops makes no sense", RESTORE)
