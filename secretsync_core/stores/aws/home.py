"""Whose the secrets are that answers tell of, by the ARNs in them: one region of one account for each open store.

Credentials that are had anew in the middle of a run may be of another account, and an endpoint may lead to several.
What was listed in one is then not what is read, written or absent in the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.stores.answers import malformed

if TYPE_CHECKING:
    from secretsync_core.stores.answers import Part


class Home:
    """Region and account of the first ARN that an answer had. Threads may share it."""

    def __init__(self) -> None:
        self._known: list[str] = []

    def check(self, about: Part) -> None:
        """Raise MalformedAnswer where a part of an answer has an ``ARN`` of another region or account.

        One without an ARN, or with one that names no account, as those of what AWS publishes, is taken as it is.
        """
        found = (about.text_or_none("ARN") or "").split(":", 5)[3:5]
        if len(found) != 2 or not all(found):
            return
        self._known = self._known or found
        if found != self._known:
            raise malformed(about.call, "its ARN is of another account or region than those before")
