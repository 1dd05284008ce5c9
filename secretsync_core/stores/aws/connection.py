"""The way to a service of AWS: through the gate, in threads of our own, one attempt a request, errors of our own."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from secretsync_core.errors import SecretSyncError, StoreError
from secretsync_core.model.place import Place
from secretsync_core.stores.aws.answers import Request, failure, failures
from secretsync_core.stores.aws.place import identity_of, is_aws, role_of, server_of
from secretsync_core.stores.aws.principal import principal_of
from secretsync_core.stores.aws.quiet import quiet
from secretsync_core.stores.aws.surroundings import login_failure
from secretsync_core.stores.cutting import answers_up_to
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.places import sound
from secretsync_core.stores.threads import Threads, close_threads, done_in
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsync_core.stores.aws.config import AwsConfig
    from secretsync_core.stores.aws.session import Identity
    from secretsync_core.stores.base import StoreContext

T = TypeVar("T")
C = TypeVar("C")

TRUST_SECONDS = 10.0
"""How long credentials that were got anew are not got again, however often they are refused."""

_ACCOUNT_DIGITS = 12

LOOK_SECONDS = 30.0
"""How often ageing credentials are tried to be renewed, where that fails."""


class Account:
    """Who we are at AWS, for as long as a store is open, and the threads that act for us."""

    def __init__(self, config: AwsConfig, context: StoreContext) -> None:
        self.store = context.name
        self.gate = context.gate
        self.width = context.concurrency
        self._config = config
        self._environ = context.environ
        self._bounds = context.within
        self.endurance = context.endurance
        self._threads = Threads("secretsync-aws")
        self._identity: Identity | None = None
        self._former: list[Identity] = []
        self._lock = asyncio.Lock()
        self._trusted_until = 0.0
        self._look_at = 0.0
        self._closed = False
        self._caller = ""

    async def identity(self) -> Identity:
        """Whom to act as. Logs in where nobody has yet, and renews credentials in time."""
        found = self._identity
        if found is None:
            async with self._lock:
                if self._identity is None:
                    self._identity = await self._log_in()
                return self._identity
        if time.monotonic() >= self._look_at and found.is_ageing():
            async with self._lock:
                if time.monotonic() >= self._look_at:
                    self._look_at = time.monotonic() + LOOK_SECONDS
                    await self.gate("login", lambda: self.in_thread(self._by(), found.refresh))
        return found

    async def instead_of(self, refused: Identity) -> Identity | None:
        """After a refusal of its credentials: somebody else to be; ``None`` where there is nobody else."""
        async with self._lock:
            if self._identity is not None and self._identity is not refused:
                return self._identity
            if time.monotonic() < self._trusted_until:
                return None
            found = await self._log_in()
            self._trusted_until = time.monotonic() + TRUST_SECONDS
            if await self.in_thread(self._by(), lambda: found.same_as(refused)):
                self._former.append(found)
                return None
            self._former.append(refused)
            self._identity = found
            return found

    async def place(self, service: str, root: str, partition: str, region: str) -> Place | None:
        """Where the secrets of a service are. Costs one request where only STS can tell the account; never an error."""
        config = self._config
        role = role_of(config.auth)
        account = role[1] if role is not None else await self._number()
        identity = identity_of(config, partition, region, account)
        return sound(Place(service, server_of(config, region), root, identity))

    async def _number(self) -> str:
        if self._config.endpoint_url and not self._config.sts_endpoint_url:
            return ""
        try:
            told = await self.glance("sts", self._by(), lambda sts: sts.get_caller_identity(), kind="login")
        except SecretSyncError:  # the gate lets nothing through any more, which what comes next will tell
            return ""
        self._caller = str((told or {}).get("Arn", ""))
        number = str((told or {}).get("Account", ""))
        return number if len(number) == _ACCOUNT_DIGITS and number.isdecimal() else ""

    async def glance(self, service: str, request: Request, ask: Callable[[Any], T], *, kind: str = "stat") -> T | None:
        """One request that is made once, and nothing to worry about where it fails: None. Raises what the gate says."""
        identity = await self.identity()
        endpoint = self._config.sts_endpoint_url if service == "sts" else None

        async def attempt() -> T | None:
            try:
                return await self.in_thread(request, lambda: identity.glance(service, endpoint, ask))
            except StoreError:
                return None

        return await self.gate(kind, attempt)

    def principal(self) -> str | None:
        """The ARN of the user or role that we are, where it is known and IAM is there to be asked about it.

        Behind an endpoint of one's own is an emulator, of which nothing at AWS is to be asked.
        """
        config = self._config
        if config.endpoint_url and not is_aws(config):
            return None
        role = config.auth.assume_role or config.auth.web_identity
        return role.role_arn if role is not None else principal_of(self._caller)

    async def in_thread(self, request: Request, step: Callable[[], T], *, kind: str = "") -> T:
        """Run something that blocks. What goes wrong in it comes out as an error of ours, with nothing behind it.

        ``kind`` is that of its request, by which its answer may be large or not.
        """
        if self._closed:
            raise StoreError(f"the store {self.store!r} is closed", store=self.store)

        def run() -> T:
            with quiet(), answers_up_to(self.endurance.most(kind)):
                try:
                    return step()
                except failures() as error:
                    failed = failure(request, error)
                except (AttributeError, EOFError, LookupError, OSError, TypeError, ValueError) as error:
                    told = login_failure(self.store, error)
                    if told is None:
                        raise
                    failed = told
            raise failed

        return await done_in(self._threads, run)

    async def aclose(self) -> None:
        """Wait for what somebody still waits for, and close every connection."""
        self._closed = True
        await close_threads(self._threads)
        for identity in (*self._former, self._identity):
            if identity is not None:
                identity.close()

    async def _log_in(self) -> Identity:
        from secretsync_core.stores.aws.session import log_in

        async def attempt() -> Identity:
            return await self.in_thread(
                self._by(), lambda: log_in(self._config, self.store, self._environ, self.width, self._bounds)
            )

        auth = self._config.auth
        asks = auth.assume_role is not None or auth.web_identity is not None
        return await (self.gate("login", attempt) if asks else attempt())

    def _by(self) -> Request:
        return Request(self.store, "log us in")


class Service(Generic[C]):
    """One service of an account, by its boto3 client."""

    def __init__(self, account: Account, name: str, endpoint: str | None) -> None:
        """``name`` is boto3's, ``endpoint`` the address where it is not the usual one."""
        self.account = account
        self._name = name
        self._endpoint = endpoint.rstrip("/") if endpoint else None

    async def open(self) -> Any:
        """Make sure, without asking the service, that a request could be made; gives what is known of the service.

        Raises StoreError where region or credentials are missing, and what a login raises.
        """
        identity = await self.account.identity()
        request = Request(self.account.store, "open")
        return await self.account.in_thread(request, lambda: identity.client(self._name, self._endpoint).meta)

    async def call(self, kind: str, request: Request, ask: Callable[[C], T]) -> T:
        """One request, through the gate; once more with other credentials, if there are, where these are refused.

        ``ask`` makes exactly one call of the client, in a thread.
        """
        identity = await self.account.identity()
        doubt = Doubt()
        try:
            return await doubt.of(self._call(kind, request, identity, ask))
        except CredentialsRefused as error:
            refused = error
        other = await doubt.of(self.account.instead_of(identity))
        if other is None:
            raise refused
        return await doubt.of(self._call(kind, request, other, ask))

    async def _call(self, kind: str, request: Request, identity: Identity, ask: Callable[[C], T]) -> T:
        account = self.account

        async def attempt() -> T:
            client = identity.client
            return await account.in_thread(request, lambda: ask(client(self._name, self._endpoint)), kind=kind)

        return await account.gate(kind, attempt)
