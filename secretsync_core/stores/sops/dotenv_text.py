"""A dotenv file as sops has them: a line for each value, without quotes, and its own section as lines too. Pure.

``sops_age__list_0__map_recipient`` is ``sops: {age: [{recipient: …}]}``. A line break in a value is written ``\\n``.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from secretsync_core.stores.sops.values import RESTORE, Broken
from secretsync_core.stores.sops.yaml_text import SECTION

PREFIX = f"{SECTION}_"

_STEP = re.compile(r"__(list_[0-9]{1,4}|map_.+?)(?=__list_[0-9]|__map_|$)")
_FLAG = "mac_only_encrypted"


def parse(text: str) -> dict[str, Any]:
    """The values of a file, and its section as an object. Raises Broken."""
    found: dict[str, Any] = {}
    flat: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        name, separator, value = line.partition("=")
        if not separator:
            raise Broken(f"it is no dotenv file of sops' (line {number})", "each line is NAME=VALUE, or begins with #")
        own = name.startswith(PREFIX)
        into, name = (flat, name.removeprefix(PREFIX)) if own else (found, name)
        if name in into:
            raise Broken(f"a name stands twice (line {number})", "take one of them out: sops edit")
        into[name] = value.replace("\\n", "\n")
    if flat:
        found[SECTION] = _whole(flat)
    return found


def changed(text: str, new: dict[str, Any]) -> str:
    """The same file with other values; lines that need not change stay as they are."""
    values = new.copy()
    own = {f"{PREFIX}{name}": value for name, value in _flat(values.pop(SECTION)).items()}
    lines, end = [], 0
    for line in text.split("\n") if text else []:
        name = line.partition("=")[0]
        wanted = own if name.startswith(PREFIX) else values
        if line and not line.startswith("#"):
            if name not in wanted:
                continue
            line = _line(name, wanted.pop(name))
        lines.append(line)
        if wanted is values and line:
            end = len(lines)
    lines[end:end] = [_line(name, value) for name, value in values.items()]
    lines[len(lines) - 1 if lines and not lines[-1] else len(lines) :] = [
        *(_line(name, value) for name, value in own.items()),
        "",
    ]
    return "\n".join(lines)


def _line(name: str, value: str) -> str:
    return f"{name}={value}".replace("\n", "\\n")


def _flat(section: dict[str, Any]) -> dict[str, str]:
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


def _whole(flat: dict[str, str]) -> dict[str, Any]:
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
