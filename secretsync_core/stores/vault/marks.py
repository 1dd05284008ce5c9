"""Marks in KV version 2: one entry of a secret's custom metadata says who created it.

Writing it costs a request beside the secret's own, so it is done only where the document asks for marks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from secretsync_core.errors import AccessDenied, SecretNotFound, StoreError
from secretsync_core.stores.base import MARK_KEY
from secretsync_core.stores.vault.answers import Request
from secretsync_core.stores.vault.keys import encoded
from secretsync_core.stores.vault.transport import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.vault.transport import Received, Transport

_MAY_PATCH = frozenset({"patch", "root"})


class Marking:
    """Puts one mark on secrets of one mount."""

    def __init__(self, transport: Transport, mark: str, *, always: bool) -> None:
        """``always``: also on what is created; else only where somebody asks for it."""
        self._transport = transport
        self._mark = mark
        self.on_creation = bool(mark) and always
        self._permitted = False

    async def permitted(self, key: str) -> None:
        """Ask, once, whether we may mark, before the first secret is created. Raises AccessDenied."""
        if self._permitted:
            return
        store, mount = self._transport.store, self._transport.mount
        path = f"{mount}/metadata/{key}"
        request = Request(store, mount, f"ask what we may do at {path}", key, self._transport.namespace)
        body = orjson.dumps({"paths": [path]})

        def parse(received: Received) -> list[str]:
            data = received.data()
            return data.texts(path if path in data.fields else "capabilities")

        found = await self._transport.system("stat", "sys/capabilities-self", request, parse, body)
        if isinstance(found, Answer):
            raise found.refusal(request)
        if _MAY_PATCH.isdisjoint(found):
            raise AccessDenied(
                f"{store} does not let us mark what we create",
                store=store,
                key=key,
                hint=f"grant patch on {mount}/metadata/*, or leave ownership.mark out",
            )
        self._permitted = True

    async def put(self, key: str) -> None:
        """Put the mark on a secret that is there. Raises SecretNotFound, and StoreError for a server without PATCH."""
        await patch(self._transport, key, {MARK_KEY: self._mark}, f"mark {key}", "mark", "leave ownership.mark out")


async def patch(transport: Transport, key: str, custom: Mapping[str, str], action: str, kind: str, hint: str) -> None:
    """Set some custom metadata of a secret that is there, and leave the rest; ``hint`` is for servers that cannot.

    Raises SecretNotFound, StoreError for a server without PATCH, InvalidSecret for what the server does not take.
    """
    store, mount = transport.store, transport.mount
    request = Request(store, mount, action, key, transport.namespace)
    body = orjson.dumps({"custom_metadata": dict(custom)})
    answer = await transport.call(kind, "PATCH", f"metadata/{encoded(key)}", request, body)
    if answer.status == 404:
        raise SecretNotFound(f"{key} is not in {store}", store=store, key=key)
    if answer.status == 405:
        raise StoreError(f"{store} cannot change custom metadata", store=store, key=key, hint=hint)
    if answer.status not in (200, 204):
        raise answer.refusal(request)
