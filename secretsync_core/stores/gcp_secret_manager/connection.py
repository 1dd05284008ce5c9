"""The way to the service: through the gate, in threads of our own, one attempt a request, errors of our own."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

from secretsync_core.errors import StoreError
from secretsync_core.stores.cutting import answers_up_to
from secretsync_core.stores.gcp_secret_manager.answers import Request, failure, failures
from secretsync_core.stores.gcp_secret_manager.place import endpoint
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.quiet import quieted
from secretsync_core.stores.threads import Threads, close_threads, done_in
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.gcp_secret_manager.config import GcpAuth, GcpSecretManagerConfig
    from secretsync_core.stores.gcp_secret_manager.credentials import Identity
    from secretsync_core.stores.gcp_secret_manager.way import Way

T = TypeVar("T")

TRUST_SECONDS = 10.0
"""How long credentials that were got anew are not got again, however often they are refused."""

LOOK_SECONDS = 30.0
"""How often an ageing token is tried to be renewed, where that fails."""

_LIBRARIES = ("google.api_core", "google.auth", "google.cloud.secretmanager_v1", "google.oauth2", "requests", "urllib3")


class Connection:
    """The service, and who we are there, for as long as a store is open."""

    def __init__(self, config: GcpSecretManagerConfig, context: StoreContext) -> None:
        """Raises StoreError for certificates that cannot be used."""
        from secretsync_core.stores.gcp_secret_manager.way import Way

        self.store = context.name
        self.gate = context.gate
        self.endurance = context.endurance
        self._config = config
        self._environ = context.environ
        self._bounds = context.within
        self._way = Way(config, context.name, context.concurrency)
        self._service = _service(config, self._way)
        self._threads = Threads("secretsync-gcp")
        self._identity: Identity | None = None
        self._lock = asyncio.Lock()
        self._trusted_until = self._look_at = 0.0
        self._closed = False

    async def identity(self) -> Identity:
        """Whom to act as. Logs in where nobody has yet, and renews the token in time."""
        found = self._identity
        if found is None:
            async with self._lock:
                if self._identity is None:
                    self._identity = await self._log_in()
                return self._identity
        if time.monotonic() >= self._look_at and found.is_ageing():
            async with self._lock:
                if time.monotonic() >= self._look_at and found.is_ageing():
                    self._look_at = time.monotonic() + LOOK_SECONDS
                    try:
                        await self.gate("login", lambda: self._in_thread(self._by(), found.refresh, "login"))
                    except StoreError:
                        if found.is_dead():
                            raise
        return found

    async def call(self, kind: str, request: Request, ask: Callable[[Any], T]) -> T:
        """One request, through the gate; once more with other credentials, if there are, where these are refused.

        ``ask`` makes exactly one call of the SDK's REST transport, in a thread.
        """
        identity = await self.identity()
        doubt = Doubt()
        try:
            return await doubt.of(self._call(kind, request, identity, ask))
        except CredentialsRefused as error:
            refused = error
        other = await doubt.of(self._instead_of(identity))
        if other is None:
            raise refused
        return await doubt.of(self._call(kind, request, other, ask))

    async def aclose(self) -> None:
        """Wait for what somebody still waits for, and close every connection."""
        self._closed = True
        await close_threads(self._threads)
        self._way.close()

    async def _call(self, kind: str, request: Request, identity: Identity, ask: Callable[[Any], T]) -> T:
        def act() -> T:
            with self._way.acting_as(identity.proof):
                return ask(self._service)

        return await self.gate(kind, lambda: self._in_thread(request, act, kind))

    async def _instead_of(self, refused: Identity) -> Identity | None:
        """After a refusal of its token: somebody else to be; ``None`` where there is nobody else."""
        async with self._lock:
            if self._identity is not None and self._identity is not refused:
                return self._identity
            if time.monotonic() < self._trusted_until:
                return None
            found = await self._log_in()
            self._trusted_until = time.monotonic() + TRUST_SECONDS
            if found.same_as(refused):
                return None
            self._identity = found
            return found

    async def _in_thread(self, request: Request, step: Callable[[], T], kind: str) -> T:
        """Run something that blocks. What goes wrong in it comes out as an error of ours, with nothing behind it."""
        if self._closed:
            raise StoreError(f"the store {self.store!r} is closed", store=self.store)

        def run() -> T:
            with quieted(_LIBRARIES), answers_up_to(self.endurance.most(kind)):
                try:
                    return step()
                except failures() as error:
                    failed = failure(request, error)
            raise failed

        return await done_in(self._threads, run)

    async def _log_in(self) -> Identity:
        from secretsync_core.stores.gcp_secret_manager.credentials import log_in

        def step() -> Identity:
            return log_in(self._config, self.store, self._environ, self._bounds, self._way)

        auth = self._config.auth
        if auth.access_token is not None and auth.impersonate is None:
            return await self._in_thread(self._by(), step, "login")
        return await self.gate("login", lambda: self._in_thread(self._by(), step, "login"))

    def _by(self) -> Request:
        return Request(self.store, "log us in", project=self._config.project, login=_whose(self._config.auth))


def _whose(auth: GcpAuth) -> str:
    """Where a document says whose credentials count, for people."""
    for field, given in (
        ("serviceAccountKey", auth.service_account_key),
        ("credentialConfiguration", auth.credential_configuration),
        ("accessToken", auth.access_token),
    ):
        if given is not None:
            return f"auth.{field}"
    return "application default credentials"


def _service(config: GcpSecretManagerConfig, way: Way) -> Any:
    """The SDK's REST transport.

    Not its client: that one reads variables which lead elsewhere, repeats requests, and turns pages by itself.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceRestTransport,
    )

    nobody: Any = AnonymousCredentials
    transport: Any = SecretManagerServiceRestTransport(host=endpoint(config), credentials=nobody())
    transport._session.close()
    transport._session = way  # there is no other way to say by which connections, and who adds the token
    return transport
