"""What a message says of a name that is not known: the nearest one that is, and never the one that was given.

People paste a token where a name belongs, and a message ends up in logs, chats and pages that others read. So nothing
that a person, a document or a config gave is quoted where nobody can know that it is harmless: neither a name that
names nothing, nor a value that is wrong. Which option or field it was, and the line, say where it stands.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_SHOWN = 20
_LIKE_A_NAME = re.compile(r"[A-Za-z_.][\w. -]{0,39}", re.ASCII)
_LIKE_A_TOKEN = re.compile(
    r"(?:hv[sbr]\.|[sbr]\.[A-Za-z0-9]{20}|A(?:KIA|SIA|ROA|IDA)|[spr]k_|gh[opsur]_|github_|glpat-|xox[a-z]-|eyJ)"
    r"|.*(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}"
    r"|.*[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}"
)
"""Known beginnings of credentials, long runs of letters with digits among them, and UUIDs, such as AppRole ids."""
_LONGEST = 100  # no name of ours is longer, and comparing takes time


def looks_like_a_name(text: str) -> bool:
    """Whether a name of a secret's field, or of what a template is given, may be shown.

    Such a name is no value, but it comes from outside, and where it does not look like a name it may be one all the
    same.
    """
    return _LIKE_A_NAME.fullmatch(text) is not None and not looks_like_a_token(text)


def looks_like_a_token(text: str) -> bool:
    """Whether a text begins as credentials do, or holds a long run of letters with digits among them."""
    return _LIKE_A_TOKEN.match(text) is not None


def named(text: str) -> str:
    """Where a store is, by one part of it, such as a mount: in quotes, unless a part looks like a credential."""
    shown = text.isascii() and text.isprintable() and not any(map(looks_like_a_token, text.split("/")))
    return repr(text) if shown else f"of a name that is not shown ({len(text):,} long)"


def nearest(given: object, known: Iterable[str]) -> str:
    """The known name that is most like what was given; empty where none is, or where it is no text at all."""
    if not isinstance(given, str) or len(given) > _LONGEST:
        return ""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(given.lower(), names, 1)
    return names[close[0]] if close else ""


def listed(known: Collection[str]) -> str:
    """``a, b, c``, or the first of them and how many more there are; ``none`` where there are none."""
    names = sorted(known)
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "none"


def hint_of(given: Iterable[object], known: Collection[str], *, there: str) -> str:
    """What to do about names that are not known: ``did you mean orders? the documents define: invoices, orders``.

    ``there`` says what the known ones are.
    """
    close = next(filter(None, (nearest(one, known) for one in given)), "")
    return (f"did you mean {close}? " if close else "") + f"{there}: {listed(known)}"


def which(field: str, given: Collection[str], known: Collection[str]) -> str:
    """The first of the given names that is not known, by where it stands: ``--item``, or ``--item number 2``.

    Empty where all are known.
    """
    for number, one in enumerate(given, 1):
        if one not in known:
            return f"{field} number {number}" if len(given) > 1 else field
    return ""


def of_that_name(count: int) -> str:
    """``of that name``, or ``of 2 of these names``: whose order nobody knows any more."""
    return "of that name" if count == 1 else f"of {count} of these names"
