"""The names of fields in a text for people.

A name is no value. But it comes from outside, and where it does not look like a name it may be a value all the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SHOWN = 5
_LIKE_A_NAME = re.compile(r"[A-Za-z_.][\w. -]{0,39}", re.ASCII)
_LIKE_A_TOKEN = re.compile(
    r"(?:hv[sbr]\.|[sbr]\.[A-Za-z0-9]{20}|A(?:KIA|SIA|ROA|IDA)|[spr]k_|gh[opsur]_|github_|glpat-|xox[a-z]-|eyJ)"
    r"|.*(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}"
    r"|.*[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}"
)
"""Known beginnings of credentials, long runs of letters with digits among them, and UUIDs, such as AppRole ids."""


def quoted(name: str) -> str:
    """A field's name in quotes; one that does not look like a name, or looks like a credential, is not shown."""
    shown = _LIKE_A_NAME.fullmatch(name) and not _LIKE_A_TOKEN.match(name)
    return repr(name) if shown else f"of an unusual name, which is not shown ({len(name):,} long)"


def listed(names: Collection[str], about: Mapping[str, str] | None = None) -> str:
    """``the field 'a'``, ``the fields 'a', 'b'``, or the first few of them and how many more there are.

    ``about`` says something of each: ``the field 'a' (a number)``.
    """
    shown = ", ".join(
        quoted(name) if about is None else f"{quoted(name)} ({about[name]})" for name in sorted(names)[:_SHOWN]
    )
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"the field{'s' if len(names) > 1 else ''} {shown}{more}"
