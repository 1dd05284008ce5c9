"""What is in a store, as a listing tells it: keys and versions, no values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.errors import AccessDenied, InvalidSecret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.model.metadata import Described


LONGEST_TOKEN = 232
"""How long a version token may be: 24 characters less than the ledger takes, for what we add to some."""


def is_token(text: str) -> bool:
    """Whether a text can be a version token of a store: some printable ASCII. Outside, ``versions.plain_token`` is."""
    return 0 < len(text) <= LONGEST_TOKEN and text.isascii() and text.isprintable()


class Entry(NamedTuple):
    """One secret as a listing or a look at its metadata shows it.

    ``version`` is an opaque token (see :func:`is_token`) that changes whenever the secret is written and is never given
    twice for the same key (``None``: the store has no versions, or does not let us see them). What stands before the
    first ``@`` is what people call the version. Parts that are more than numbers, times, UUIDs and hex digits get an
    alias outside of the store. ``deleted`` says that the key is known but holds no current value.
    ``metadata`` is what a query can select by: custom metadata, tags or labels. ``notes`` is what else stands beside
    the value: annotations, a description, replica regions. Each is None where nobody asked, or it could not be seen.
    """

    key: str
    version: str | None = None
    deleted: bool = False
    metadata: Mapping[str, str] | None = None
    notes: Described | None = None


class Gap(NamedTuple):
    """A part of a store that a listing could not see: everything below ``prefix`` (or just that key) is unknown.

    ``is_key`` says that it is that one name and nothing below it. With the code of InvalidSecret, something has this
    name for which there is no key: ``prefix`` is then the name as it is, less what stands before every key.
    """

    prefix: str
    code: str  # the code of the error that hid it
    message: str
    is_key: bool = False

    @property
    def is_nameless(self) -> bool:
        """Whether it is something that has a name and no key."""
        return self.is_key and self.code == InvalidSecret.code

    @property
    def is_fault(self) -> bool:
        """Whether something is broken there: it is hidden neither by our rights nor by what it is called."""
        return self.code not in (AccessDenied.code, InvalidSecret.code)


def display_version(token: str | None) -> str:
    """The part of a version token that people know: ``3`` of ``3@2026-01-01T00:00:00Z``; ``-`` for none."""
    return token.partition("@")[0] if token else "-"
