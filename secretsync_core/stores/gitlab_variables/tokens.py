"""The token that the document names, read again when GitLab refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.credentials import describe, resolve
from secretsync_core.stores.http import CredentialsRefused, sendable

if TYPE_CHECKING:
    from secretsync_core.schema.base import Credential
    from secretsync_core.stores.base import StoreContext


class Token:
    """A personal, project or group access token."""

    def __init__(self, given: Credential, context: StoreContext) -> None:
        self._given = given
        self._context = context
        self._token = ""

    def now(self) -> str:
        """The token. Raises StoreError where it is not there."""
        self._token = self._token or self._read()
        return self._token

    def another_than(self, refused: str) -> None:
        """Read it again. Raises CredentialsRefused where it is still the one that was refused."""
        self._token = self._read()
        if self._token == refused:
            raise CredentialsRefused(
                f"{self._context.name} does not know our token: it has expired or was revoked",
                store=self._context.name,
                hint=f"put a new one, with the scope api, in the {describe(self._given)}; the token of a job may not "
                "touch variables",
            )

    def _read(self) -> str:
        return sendable(resolve(self._given, self._context.environ, store=self._context.name), self._context.name)
