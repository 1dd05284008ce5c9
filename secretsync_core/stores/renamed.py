"""Where a service says that what a document names is called otherwise by now, which people are told and nobody follows.

What a redirect names is asked for at the very server of the document, and by nothing of it but a number; what an answer
names is shown only if it is a name, and cannot be what we sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.known import looks_like_a_token
from secretsync_core.stores.http import is_redirect

if TYPE_CHECKING:
    import re


def path_by_number(status: int, location: str, address: str, by_number: re.Pattern[str]) -> str:
    """The path that a redirect leads to, if it is one of the server at ``address``; empty for any other.

    ``by_number`` matches such paths whole; with a group, what is in that is the path.
    """
    match = by_number.fullmatch(location.removeprefix(address)) if location.startswith(address) else None
    if match is None or not is_redirect(status):
        return ""
    return str(match[match.lastindex or 0])


def tellable(name: str, pattern: re.Pattern[str], secret: str) -> str:
    """A name that an answer gives, if it is one; empty where it may be what we sent, such as ``secret``."""
    fits = pattern.fullmatch(name) and secret not in name and not any(map(looks_like_a_token, name.split("/")))
    return name if fits else ""
