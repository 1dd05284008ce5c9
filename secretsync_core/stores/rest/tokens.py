"""The credential that a document names, read again when the service refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.credentials import describe, resolve
from secretsync_core.stores.http import CredentialsRefused, sendable

if TYPE_CHECKING:
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.rest.config import HttpAuth


class Token:
    """The credential, and the header that has it."""

    def __init__(self, auth: HttpAuth, context: StoreContext) -> None:
        self._auth = auth
        self._context = context
        self._token = ""

    def now(self) -> str:
        """The credential. Raises StoreError where it is not there."""
        self._token = self._token or self._read()
        return self._token

    def header(self, credential: str) -> dict[str, str]:
        """The header that has it."""
        return {self._auth.header: f"{self._auth.prefix}{credential}"}

    async def renew(self, refused: str) -> None:
        """See to another one than the one that was refused. Raises CredentialsRefused where there is none."""
        if self._token != refused:
            return  # somebody has
        self._token = self._read()
        if self._token == refused:
            store = self._context.name
            raise CredentialsRefused(
                f"{store} does not take the credential of auth.token",
                store=store,
                hint=f"put one that is good in the {describe(self._auth.token)}; auth.header and auth.prefix say how"
                " it is sent",
            )

    def _read(self) -> str:
        return sendable(resolve(self._auth.token, self._context.environ, store=self._context.name), self._context.name)
