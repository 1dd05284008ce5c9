"""Secrets, which GitHub takes sealed and never shows again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.stores.github_secrets.names import KEY_LIMITS
from secretsync_core.stores.github_secrets.sealing import Sealing
from secretsync_core.stores.github_secrets.shelf import MAX_BYTES, Shelf
from secretsync_core.stores.github_secrets.transport import SEALED

if TYPE_CHECKING:
    from secretsync_core.model.place import Place
    from secretsync_core.secret import SecretValue
    from secretsync_core.stores.github_secrets.config import GithubSecretsConfig
    from secretsync_core.stores.github_secrets.scope import Scope
    from secretsync_core.stores.github_secrets.transport import Transport


class GithubSecrets(Shelf):
    """Lists, looks at versions, writes and deletes; never reads.

    GitHub has one request for creating and updating, without a condition: neither compare-and-set nor create-only.
    """

    LIMITS = replace(KEY_LIMITS, max_bytes=MAX_BYTES, text_only=True, empty=False)

    def __init__(self, config: GithubSecretsConfig, transport: Transport, scope: Scope, place: Place | None) -> None:
        super().__init__(config, transport, scope, place)
        self._sealing = Sealing(transport, scope)

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or replace the secret; gives when that was, which takes a request of its own.

        A refusal may mean that the public key was replaced: where there is another one, it is tried once more.
        """
        blob = self._blob(key, value)
        seen_by = await self._selected.fields()
        request = self._request("write", key)
        public = await self._sealing.key()
        sealed = {**public.seal(blob), **seen_by}
        answer = await self._transport.call("write", "PUT", self._path(key), request, SEALED, sealed)
        if answer.status in (400, 422):
            another = await self._sealing.key(other_than=public)
            if another.name != public.name:
                sealed = {**another.seal(blob), **seen_by}
                again = await self._transport.call("write", "PUT", self._path(key), request, SEALED, sealed)
                answer = again.after(answer)
        if not answer.done:
            raise await self._refused(request, answer)
        return await self._version(key, answer)
