r"""How a value is written so that python-dotenv, Docker Compose and a shell's ``source`` read the same. Pure.

They agree on this, and tests ask all three:

==============  ======================================================================================
no quotes       letters, digits and ``_ . / : @ % + , = -``; also nothing at all
single quotes   everything as it is, also line breaks; no ``'``, no two backslashes in a row, none last
double quotes   ``\"`` and ``\\`` for these two, everything else as it is; no ``$`` and no backtick
==============  ======================================================================================

A shell would run what stands between backticks or in ``$(...)``, so those are only ever in single quotes. By default
python-dotenv replaces ``${NAME}`` in single quotes as well, and there is no way to keep it from that.
"""

from __future__ import annotations

import re

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
"""What a shell takes for the name of a variable."""

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_REPLACED = re.compile(r"\$\{[^}]*\}", re.DOTALL)


class Unquotable(Exception):
    """A value that cannot be written, and why: a sentence's end that shows nothing of it. ``name`` is its variable."""

    name = ""


def assignment(name: str, value: str) -> str:
    """``NAME=`` and what stands for the value. Raises Unquotable."""
    try:
        return f"{name}={quoted(value)}"
    except Unquotable as error:
        error.name = name
        raise


def quoted(value: str) -> str:
    """What stands for a value behind ``NAME=``. Raises Unquotable."""
    if _PLAIN.fullmatch(value):
        return value
    if "\0" in value:
        raise Unquotable("it holds the character NUL, which no variable can")
    if "\r" in value:
        raise Unquotable("it holds a carriage return, which python-dotenv turns into a line feed")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unquotable("it is not valid Unicode") from None
    if _REPLACED.search(value):
        raise Unquotable("it holds ${...}, which python-dotenv replaces in quotes of either kind")
    if value.endswith("\\"):
        raise Unquotable("it ends with a backslash, which programs read differently in quotes of either kind")
    if "'" not in value and "\\\\" not in value:
        return f"'{value}'"
    if "$" in value or "`" in value:
        why = "a single quote" if "'" in value else "two backslashes in a row"
        raise Unquotable(
            f"it holds {why}, and $ or a backtick: programs read that differently in quotes of either kind"
        )
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
