"""Keeps one token that works, for as long as a store is open."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import time
from typing import TYPE_CHECKING

from secretsync_core.credentials import describe, resolve
from secretsync_core.endurance import GOODBYE_SECONDS
from secretsync_core.errors import SecretSyncError
from secretsync_core.stores.http import CredentialsRefused, sendable
from secretsync_core.stores.vault.logins import knows_no_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.vault.config import VaultConfig
    from secretsync_core.stores.vault.logins import Lease, Logins

RENEW_AGAIN_SECONDS = 20.0
"""How long after a renewal of the document's token failed it is tried again."""

TRUST_SECONDS = 10.0
"""How long a token that was seen alive is taken for alive, so that many denials cost one look."""

YOUNG_SECONDS = 5.0
"""How long after a login a standby may not have heard of the token yet, and says that it does not know it."""

LAG_SECONDS = 0.25
"""How long it is given to hear of it, before it is asked once more; twice that before it is asked a last time."""

_ASKED_AGAIN = 2

_LEAST_SECONDS = 1.0

_MOST_KNOWN = 1_000

_due: dict[bytes, float] = {}
"""When this process renews a document's token again, by a hash of it and of its store: ``time.monotonic``."""


class Auth:
    """The token of one store: got when it is first needed, renewed at two thirds of its life, replaced when dead.

    The document's is renewed once when it is first used, for runs of seconds never reach two thirds of its life: it
    costs a request of the kind ``renew``, and in one process no other before a third of its life has passed. One that
    cannot be renewed is not asked about again.

    One of a role with ``token_num_uses`` is counted, and replaced when it is used up.
    """

    def __init__(self, config: VaultConfig, context: StoreContext, logins: Logins) -> None:
        self._given = config.auth.token
        self._context = context
        self._logins = logins
        self._token: str | None = None
        self._uses: int | None = None  # for how many more requests our token is good; None: for any number
        self._alive_until = 0.0
        self._young_until = 0.0
        self._bare_is_policy = False  # this server denies by policy in the words that others have for unknown tokens
        self._dead = ""  # the token that the server was seen not to know
        self._lock = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._at_first = asyncio.Event()  # set but while the document's token is renewed for the first time
        self._at_first.set()
        self._where = f"{context.name} {config.address} {config.namespace} {config.mount}"
        self._works = False
        self._renews: Callable[[str], Awaitable[bytes | None]] | None = None

    async def ready(self) -> None:
        """See to it that there is a token. Logs in where there is none yet; whoever comes meanwhile waits for it."""
        while self._token is None or self._uses == 0:
            async with self._lock:
                if self._token is None or self._uses == 0:
                    await self._get()

    def renew_by(self, renews: Callable[[str], Awaitable[bytes | None]]) -> None:
        """Renew the document's token from now on, once it is seen to work; nobody else is sent it for that.

        ``renews`` asks for that, and gives the answer, None where it is refused.
        """
        self._renews = renews
        self._keep_given()

    def works(self) -> None:
        """Note that the server has taken our token."""
        if not self._works:
            self._works = True
            self._keep_given()

    async def token(self) -> str:
        """The token for one request, which is to be sent: one that is good for so many requests is counted."""
        await self.ready()
        assert self._token is not None  # noqa: S101
        if self._uses is not None:
            self._uses -= 1
        return self._token

    async def another_than(self, refused: str, body: bytes, tries: int = 0) -> bool:
        """After a 403 with that body: whether to try again; else it is a policy that denies.

        Mostly with another token. With the same one, after a moment, where the token lives and whoever answered does
        not know it: behind a load balancer that may be a standby. ``tries``: how often this request was tried again.

        Raises CredentialsRefused where the token is dead and there is no way to another one.
        """
        async with self._lock:
            if self._token is not None and self._token != refused:
                return True
            bare = knows_no_token(body) and not self._bare_is_policy
            if not bare and time.monotonic() < self._alive_until:
                return False
            seen_alive = tries > 0 and time.monotonic() < self._alive_until
            if self._dead != refused and (seen_alive or await self._lives(refused)):
                if not bare:
                    return False
                if tries >= _ASKED_AGAIN:
                    self._bare_is_policy = True
                    return False
                await asyncio.sleep(LAG_SECONDS * 2**tries)
                return True
            self._dead = refused
            if self._given is not None and self._read() == refused:
                raise CredentialsRefused(
                    f"{self._context.name} does not know our token: it has expired or was revoked",
                    store=self._context.name,
                    hint=f"put a new one in the {describe(self._given)}",
                )
            await self._get()
            return True

    async def _lives(self, token: str) -> bool:
        """Whether the server knows the token; if so that is taken for granted for a while."""
        asked = time.monotonic()
        lease = await self._logins.look_up(token)
        if lease is None and asked < self._young_until:
            await asyncio.sleep(LAG_SECONDS)
            lease = await self._logins.look_up(token)
        if lease is not None:
            self._alive_until = asked + _trusted(lease)
        return lease is not None

    async def aclose(self) -> None:
        """Stop renewing, and give back a token that we logged in for."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._at_first.wait()
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        token, self._token = self._token, None
        if token is not None and self._given is None and self._uses != 0:
            # It ends by itself, if later, so a store that has gone away is no reason to fail now.
            with contextlib.suppress(SecretSyncError):
                await self._logins.give_back(token)

    async def _get(self) -> None:
        """Read or log in for a token, and see to its renewal."""
        if self._given is not None:
            self._token, self._alive_until = self._read(), 0.0
            self._keep_given()
        else:
            asked = time.monotonic()
            lease = await self._logins.login()
            self._take(lease)
            self._alive_until = asked + _trusted(lease)
            self._keep(_rest(lease), lease)

    def _take(self, lease: Lease) -> None:
        """Use this token from now on."""
        self._token, self._uses = sendable(lease.token, self._context.name), lease.uses
        self._young_until = time.monotonic() + YOUNG_SECONDS

    def _read(self) -> str:
        assert self._given is not None  # noqa: S101
        return sendable(resolve(self._given, self._context.environ, store=self._context.name), self._context.name)

    def _keep_given(self) -> None:
        if self._given is None or self._token is None or self._renews is None or not self._works:
            return
        due = _due.get(self._known_by(self._token), 0.0) - time.monotonic()
        if due <= 0:
            self._at_first.clear()
        if due < math.inf:
            self._keep(due, None)

    def _keep(self, seconds: float, lease: Lease | None) -> None:
        if self._keeper is not None and self._keeper is not asyncio.current_task():
            self._keeper.cancel()
        # One that is good for so many requests is not renewed, which would be one of them.
        lasts = lease is not None and (not lease.seconds or lease.uses is not None)
        self._keeper = None if lasts else asyncio.create_task(self._kept(seconds, lease))

    async def _kept(self, seconds: float, lease: Lease | None) -> None:
        """Renew the token again and again; log in anew where the server does not make its life longer."""
        while True:
            if seconds > 0:
                await asyncio.sleep(seconds)
            try:
                lease = await self._renewed(lease)
            except SecretSyncError:
                # The token may still be good, and if it is not, the next 403 finds out.
                seconds = RENEW_AGAIN_SECONDS if lease is None else max(_LEAST_SECONDS, seconds / 3)
                continue
            finally:
                self._at_first.set()
            if lease is None or not lease.seconds or lease.uses is not None:
                return
            seconds = _rest(lease)

    async def _renewed(self, lease: Lease | None) -> Lease | None:
        token = self._token
        if token is None:
            return None
        if self._given is not None:
            return await self._renewed_given(token)  # its file may hold another one when it dies
        assert lease is not None  # noqa: S101  we have logged in for it
        longer = await self._logins.renew(token) if lease.renewable else None
        if longer is not None and longer.seconds > lease.seconds / 2:
            return longer
        async with self._lock:
            if self._token == token:
                lease = await self._logins.login()
                self._take(lease)
        return lease

    async def _renewed_given(self, token: str) -> Lease | None:
        """The document's token with a longer life; None where the server does not renew it, or need not."""
        assert self._renews is not None  # noqa: S101  nothing is kept before that
        body = await self._renews(token)
        lease = self._logins.renewed(body) if body is not None else None
        lasts = lease is None or not lease.renewable or not lease.seconds
        if len(_due) >= _MOST_KNOWN:
            _due.clear()
        _due[self._known_by(token)] = math.inf if lease is None or lasts else time.monotonic() + lease.seconds / 3
        return None if lasts else lease

    def _known_by(self, token: str) -> bytes:
        return hashlib.sha256(f"{self._where} {token}".encode()).digest()


def _rest(lease: Lease) -> float:
    """How long to wait before a token's life is made longer."""
    return max(_LEAST_SECONDS, lease.seconds * 2 / 3)


def _trusted(lease: Lease) -> float:
    """How long a denial is taken for a policy's, once a token was seen alive: less where its life is short."""
    return min(lease.seconds / 2, TRUST_SECONDS) if lease.seconds else TRUST_SECONDS
