"""A dotenv file as sops has them: a line for each value, without quotes, and its own section as lines too. Pure.

``sops_age__list_0__map_recipient`` is ``sops: {age: [{recipient: …}]}``. A line break in a value is written ``\\n``.
"""

from __future__ import annotations

from typing import Any

from secretsync_core.stores.sops.flat import flattened, unflattened
from secretsync_core.stores.sops.values import Broken
from secretsync_core.stores.sops.yaml_text import SECTION

PREFIX = f"{SECTION}_"


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
        found[SECTION] = unflattened(flat)
    return found


def changed(text: str, new: dict[str, Any]) -> str:
    """The same file with other values; lines that need not change stay as they are."""
    values = new.copy()
    own = {f"{PREFIX}{name}": value for name, value in flattened(values.pop(SECTION)).items()}
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
