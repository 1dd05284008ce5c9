"""The names of fields in a text for people.

A name is no value. But it comes from outside, and where it does not look like a name it may be a value all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.known import looks_like_a_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SHOWN = 5


def quoted(name: str) -> str:
    """A field's name in quotes; one that does not look like a name, or looks like a credential, is not shown."""
    return repr(name) if looks_like_a_name(name) else f"of an unusual name, which is not shown ({len(name):,} long)"


def listed(names: Collection[str], about: Mapping[str, str] | None = None) -> str:
    """``the field 'a'``, ``the fields 'a', 'b'``, or the first few of them and how many more there are.

    ``about`` says something of each: ``the field 'a' (a number)``.
    """
    shown = ", ".join(
        quoted(name) if about is None else f"{quoted(name)} ({about[name]})" for name in sorted(names)[:_SHOWN]
    )
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"the field{'s' if len(names) > 1 else ''} {shown}{more}"
