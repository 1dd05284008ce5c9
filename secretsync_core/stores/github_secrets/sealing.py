"""Seals values for GitHub: a box of libsodium that only the owner of the public key can open.

By https://docs.github.com/rest/guides/encrypting-secrets-for-the-rest-api. Each repository, environment and
organization has a key of its own for each use, which GitHub may replace.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, NamedTuple

from nacl.public import PublicKey, SealedBox

from secretsync_core.stores.github_secrets.answers import Request
from secretsync_core.stores.github_secrets.transport import Answer

if TYPE_CHECKING:
    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.github_secrets.scope import Scope
    from secretsync_core.stores.github_secrets.transport import Transport


class Key(NamedTuple):
    """A public key, and its name."""

    name: str
    box: SealedBox[PublicKey]

    def seal(self, value: bytes) -> dict[str, str]:
        """A value as a request has it."""
        return {"encrypted_value": base64.b64encode(self.box.encrypt(value)).decode(), "key_id": self.name}


class Sealing:
    """The public key of one place, asked for when it is first needed."""

    def __init__(self, transport: Transport, scope: Scope) -> None:
        self._transport = transport
        self._scope = scope
        self._key: Key | None = None
        self._lock = asyncio.Lock()

    async def key(self, *, other_than: Key | None = None) -> Key:
        """The key; asked for anew where the one that we have is the one that was refused."""
        async with self._lock:
            if self._key is None or self._key is other_than:
                self._key = await self._fetch()
            return self._key

    async def _fetch(self) -> Key:
        request = Request(self._transport.store, self._scope, "show its public key")
        found = await self._transport.ask("stat", "GET", f"{self._scope.base}/public-key", request, _key)
        if isinstance(found, Answer):
            raise found.refusal(request)
        return found


def _key(part: Part) -> Key:
    text = part.text("key")
    try:
        return Key(part.text("key_id"), SealedBox(PublicKey(base64.b64decode(text, validate=True))))
    except (binascii.Error, TypeError, ValueError):  # of PyNaCl's, for a wrong length, both of the latter
        pass
    raise part.wrong("key", "a public key")
