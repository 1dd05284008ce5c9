"""Keeps one token that works, for as long as a store is open."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from secretsync_core.credentials import describe, resolve
from secretsync_core.errors import SecretSyncError
from secretsync_core.stores.http import CredentialsRefused, sendable

if TYPE_CHECKING:
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.vault.config import VaultConfig
    from secretsync_core.stores.vault.logins import Lease, Logins

LOOK_AFTER_SECONDS = 20.0
"""How long a token from the document is used before we ask how long it lives: a short sync spends no request on it."""

TRUST_SECONDS = 10.0
"""How long a token that was seen alive is taken for alive, so that many denials cost one look."""

_LEAST_SECONDS = 1.0


class Auth:
    """The token of one store: got when it is first needed, renewed at two thirds of its life, replaced when dead."""

    def __init__(self, config: VaultConfig, context: StoreContext, logins: Logins) -> None:
        self._given = config.auth.token
        self._context = context
        self._logins = logins
        self._token: str | None = None
        self._alive_until = 0.0
        self._lock = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """The token to send. Logs in where there is none yet; whoever comes meanwhile waits for the same login."""
        if self._token is None:
            async with self._lock:
                if self._token is None:
                    await self._get()
        assert self._token is not None  # noqa: S101
        return self._token

    async def instead_of(self, refused: str) -> str | None:
        """After a 403: another token to try with, or ``None`` where this one lives and it is a policy that denies.

        Raises CredentialsRefused where the token is dead and there is no way to another one.
        """
        async with self._lock:
            if self._token is not None and self._token != refused:
                return self._token
            if time.monotonic() < self._alive_until:
                return None
            asked = time.monotonic()
            if (lease := await self._logins.look_up(refused)) is not None:
                self._alive_until = asked + _trusted(lease)
                return None
            if self._given is not None and self._read() == refused:
                raise CredentialsRefused(
                    f"{self._context.name} does not know our token: it has expired or was revoked",
                    store=self._context.name,
                    hint=f"put a new one in the {describe(self._given)}",
                )
            await self._get()
            return self._token

    async def aclose(self) -> None:
        """Stop renewing, and give back a token that we logged in for."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        token, self._token = self._token, None
        if token is not None and self._given is None:
            # It ends by itself, if later, so a store that has gone away is no reason to fail now.
            with contextlib.suppress(SecretSyncError):
                await self._logins.give_back(token)

    async def _get(self) -> None:
        """Read or log in for a token, and see to its renewal."""
        if self._given is not None:
            self._token = self._read()
            self._keep(LOOK_AFTER_SECONDS, None)
        else:
            asked = time.monotonic()
            lease = await self._logins.login()
            self._token = sendable(lease.token, self._context.name)
            self._alive_until = asked + _trusted(lease)
            self._keep(_rest(lease), lease)

    def _read(self) -> str:
        assert self._given is not None  # noqa: S101
        return sendable(resolve(self._given, self._context.environ, store=self._context.name), self._context.name)

    def _keep(self, seconds: float, lease: Lease | None) -> None:
        if self._keeper is not None and self._keeper is not asyncio.current_task():
            self._keeper.cancel()
        self._keeper = (
            None if lease is not None and not lease.seconds else asyncio.create_task(self._kept(seconds, lease))
        )

    async def _kept(self, seconds: float, lease: Lease | None) -> None:
        """Renew the token again and again; log in anew where the server does not make its life longer."""
        while True:
            await asyncio.sleep(seconds)
            try:
                lease = await self._renewed(lease)
            except SecretSyncError:
                # The token may still be good, and if it is not, the next 403 finds out.
                seconds = max(_LEAST_SECONDS, seconds / 3)
                continue
            if lease is None or not lease.seconds:
                return
            seconds = _rest(lease)

    async def _renewed(self, lease: Lease | None) -> Lease | None:
        token = self._token
        if token is None:
            return None
        if lease is None:  # a token from the document, of which we know nothing yet
            lease = await self._logins.look_up(token)
            return lease if lease is not None and lease.renewable else None
        longer = await self._logins.renew(token) if lease.renewable else None
        if longer is not None and longer.seconds > lease.seconds / 2:
            return longer
        if self._given is not None:
            return longer  # nothing else to be done for it; its file may hold another one when it dies
        async with self._lock:
            if self._token == token:
                lease = await self._logins.login()
                self._token = sendable(lease.token, self._context.name)
        return lease


def _rest(lease: Lease) -> float:
    """How long to wait before a token's life is made longer."""
    return max(_LEAST_SECONDS, lease.seconds * 2 / 3)


def _trusted(lease: Lease) -> float:
    """How long a denial is taken for a policy's, once a token was seen alive: less where its life is short."""
    return min(lease.seconds / 2, TRUST_SECONDS) if lease.seconds else TRUST_SECONDS
