"""Tells from a refusal of a service which of our errors it is, and sends people to the right field of the document.

A body is never shown, nor looked at but for whether it is JSON: what a service says in it nobody knows, and it may hold
the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.errors import AccessDenied, InvalidSecret, StoreError
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.http import failing, limited, redirected, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping


class Call(NamedTuple):
    """What was asked of whom. ``action`` continues the sentence ``<store> refuses to``; ``operation`` is its name in
    the document, and ``template`` the path there, before anything is filled in."""

    store: str
    operation: str
    method: str
    template: str
    action: str
    key: str | None = None

    @property
    def protocol(self) -> str:
        """What the answer is to be."""
        return f"what {self.operation} of the document describes"

    @property
    def told(self) -> str:
        """The request, for people."""
        return f"{self.operation} is {self.method} {self.template}"


_CHANGES = frozenset({"write", "create", "update", "delete", "mark"})


def refusal(call: Call, status: int, headers: Mapping[str, str], *, in_json: bool = False) -> StoreError:
    """The error for a status that the document does not name.

    ``in_json``: the answer is an object of JSON, as a service's own is: a proxy's is a page, or empty.
    """
    store, key = call.store, call.key
    if status == 429:
        return limited(store, "its", key, retry_after(headers.get("Retry-After")))
    if status >= 500:
        return failing(store, call.action, status, key, its_own=in_json)
    if 300 <= status < 400:
        error = redirected(
            store, call.action, status, key,
            hint=f"give the address and the path that it leads to in the SecretStore; {call.told}",
        )  # fmt: skip
        error.unanswered = call.operation in _CHANGES
        return error
    if 200 <= status < 300:
        return malformed(call, f"the status {status}, which {call.operation}.expect does not name")
    if status in (401, 403):
        return AccessDenied(
            f"{store} refuses to {call.action} (HTTP {status})",
            store=store,
            key=key,
            hint=f"the credential of auth.token must be allowed to; {call.told}",
        )
    if status in (400, 409, 412, 413, 422) and call.operation in _CHANGES:
        return InvalidSecret(
            f"{store} refuses to {call.action} (HTTP {status})",
            store=store,
            key=key,
            hint="the service takes the key, the value or the form of the request for wrong; its answer is not shown,"
            f" for it may hold the value; {call.told}",
        )
    fields = "expect or absent" if call.operation in ("look", "read", "update", "delete", "mark") else "expect"
    return StoreError(
        f"{store} refuses to {call.action} (HTTP {status})",
        store=store,
        key=key,
        hint=f"check the address, the path and the vars of the SecretStore; {call.told}. If that is a good answer,"
        f" name it in {call.operation}.{fields}",
    )
