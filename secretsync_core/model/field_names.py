"""The names of fields in a text for people. A name is no value; but it comes from outside, and may be long or odd."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SHOWN, _LONGEST = 5, 80


def quoted(name: str) -> str:
    """A field's name in quotes on one line, cut where it is longer than a name should be."""
    return repr(name if len(name) <= _LONGEST else name[:_LONGEST] + "…")


def listed(names: Collection[str], about: Mapping[str, str] | None = None) -> str:
    """``the field 'a'``, ``the fields 'a', 'b'``, or the first few of them and how many more there are.

    ``about`` says something of each: ``the field 'a' (a number)``.
    """
    shown = ", ".join(
        quoted(name) if about is None else f"{quoted(name)} ({about[name]})" for name in sorted(names)[:_SHOWN]
    )
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"the field{'s' if len(names) > 1 else ''} {shown}{more}"
