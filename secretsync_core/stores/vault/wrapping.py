"""Secret ids that come wrapped: a token that gives its secret id once, so that whoever takes it on the way is noticed.

What was unwrapped is kept in this process's memory, for the logins that follow, of this store and of others by the same
token; it is never written anywhere. Another process needs a wrapping token of its own.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.stores.answers import Part
from secretsync_core.stores.http import CredentialsRefused, sendable
from secretsync_core.stores.vault.answers import Request, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIXES = ("hvs.", "s.")  # of tokens; a secret id is mostly a UUID


class Unwrapping(NamedTuple):
    """Whose secret id it is: the request, for errors, the server, and in words where its token was found."""

    request: Request
    server: str
    where: str


_unwrapped: dict[tuple[str, bytes], str] = {}
_one_at_a_time = threading.Lock()


def looks_wrapped(secret_id: str) -> bool:
    """Whether what was given as a secret id looks like a wrapping token."""
    return secret_id.startswith(_PREFIXES)


def unwrapped(token: str, unwrapping: Unwrapping, ask: Callable[[str], tuple[int, bytes, dict[str, str]]]) -> str:
    """The secret id behind a wrapping token. ``ask`` unwraps it at the server, and blocks.

    Raises CredentialsRefused for a token that is used up, expired or none, and for one that wraps something else.
    """
    request, server, where = unwrapping
    store = request.store
    known = (server, hashlib.sha256(token.encode()).digest())
    with _one_at_a_time:
        if (secret_id := _unwrapped.get(known)) is not None:
            return secret_id
        status, body, headers = ask(sendable(token, store))
        if status in (400, 403) and b"wrapping token" in body:
            raise CredentialsRefused(
                f"{store} does not know the wrapping token of our secretId: it was used before, or has expired",
                store=store,
                hint=f"put a fresh one in the {where}; if none of your programs used the old one, somebody else may"
                " have the secret id, so destroy it",
            )
        if status != 200:
            raise refusal(request, status, body, headers)
        data = Part.of_body(request, body).part_or_none("data")
        if data is None or not _is_text(data.fields.get("secret_id")):
            raise CredentialsRefused(
                f"the wrapping token of our secretId in {store} wraps something else",
                store=store,
                hint="wrap what auth/<mount>/role/<role>/secret-id gives",
            )
        return _unwrapped.setdefault(known, data.text("secret_id"))


def _is_text(found: Any) -> bool:
    return isinstance(found, str) and bool(found)
