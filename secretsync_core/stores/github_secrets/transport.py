"""The way to GitHub and back: one aiohttp session, one attempt a request, no redirect followed, errors of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import orjson
from yarl import URL

from secretsync_core.stores.answers import Part
from secretsync_core.stores.bodies import body_of
from secretsync_core.stores.connecting import connection_failure, open_session
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.github_secrets.answers import is_githubs, refusal
from secretsync_core.stores.http import refuses, undecided
from secretsync_core.stores.unanswered import Doubt, ask

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Mapping
    from typing import Any, Protocol, TypeVar

    from secretsync_core.errors import StoreError
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.github_secrets.answers import Request
    from secretsync_core.stores.github_secrets.config import GithubSecretsConfig

    T = TypeVar("T")

    class Auth(Protocol):
        """Who we are."""

        async def token(self) -> str:
            """The token for one request."""
            ...

        async def another_than(self, refused: str) -> None:
            """See to another token than the one that was refused. Raises CredentialsRefused where there is none."""
            ...

        async def aclose(self) -> None:
            """Give back what we logged in for."""
            ...


# Refusals that whoever asked knows how to take; all others are errors at once, which the gate may repeat.
_FOR_THE_CALLER = frozenset({301, 302, 307, 308, 400, 401, 404, 409, 422})

# What GitHub's description of its API has for done.
SHOWN = frozenset({200})
SEALED = frozenset({201, 204})  # a secret was created, or replaced
CREATED = frozenset({201})
DONE = frozenset({204})

API = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "secretsync",
}


class Answer(NamedTuple):
    """One answer.

    Attributes:
        done: whether it says that what was asked is done; else it refuses.
        unanswered: it refuses, and an earlier attempt of the same request may have been carried out.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    done: bool
    unanswered: bool = False

    def after(self, other: Answer) -> Answer:
        """This answer, which may not be the last word on what an earlier one left open."""
        return self._replace(unanswered=self.unanswered or other.unanswered)

    def refusal(self, request: Request) -> StoreError:
        """The error that this answer stands for, where it is not success."""
        return Doubt(unanswered=self.unanswered).on(refusal(request, self.status, self.body, self.headers))


class Transport:
    """The requests of one store."""

    def __init__(self, config: GithubSecretsConfig, context: StoreContext, tls: ssl.SSLContext) -> None:
        self.store = context.name
        self.endurance = context.endurance
        self.auth: Auth | None = None
        self.address = config.address.rstrip("/")
        self._gate = context.gate
        self._server_name = config.tls.server_name
        self._proxy = proxy_for(config.address, context.name)
        self._session = open_session(context, tls, proxy=self._proxy, headers=API)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def ask(
        self,
        kind: str,
        method: str,
        path: str,
        request: Request,
        parse: Callable[[Part], T],
        payload: Mapping[str, Any] | None = None,
    ) -> T | Answer:
        """One request; gives what ``parse`` makes of a 200, and the Answer where it is one of ``_FOR_THE_CALLER``.

        ``parse`` is called within the attempt: an answer that it finds malformed is asked for again.
        """

        def read(answer: Answer) -> T | Answer:
            return parse(Part.of_body(request, answer.body))

        return await self._authorised(kind, method, path, request, SHOWN, read, payload)

    async def call(
        self,
        kind: str,
        method: str,
        path: str,
        request: Request,
        done: Collection[int],
        payload: Mapping[str, Any] | None = None,
    ) -> Answer:
        """One request of whose success nothing but itself is to be known, by the statuses that stand for ``done``."""
        return await self._authorised(kind, method, path, request, done, lambda answer: answer, payload)

    async def as_app(
        self,
        method: str,
        path: str,
        request: Request,
        done: Collection[int],
        token: Callable[[], str],
        read: Callable[[Answer], T],
        payload: Mapping[str, Any] | None = None,
    ) -> T | Answer:
        """One request by another token than ours: a login, or the end of one."""

        async def attempt() -> T | Answer:
            return await self._attempt("login", method, path, request, done, token(), read, payload)

        found, unanswered = await ask(self._gate, "login", attempt, _refuses)
        return found._replace(unanswered=unanswered) if isinstance(found, Answer) else found

    async def _authorised(
        self,
        kind: str,
        method: str,
        path: str,
        request: Request,
        done: Collection[int],
        read: Callable[[Answer], T],
        payload: Mapping[str, Any] | None,
    ) -> T | Answer:
        auth = self.auth
        assert auth is not None  # noqa: S101  set when the store is opened
        sent = await auth.token()

        async def now() -> T | Answer:
            # Taken when its turn has come: a request may wait at the gate for longer than a token lives.
            nonlocal sent
            sent = await auth.token()
            return await self._attempt(kind, method, path, request, done, sent, read, payload)

        doubt = Doubt()
        found, doubt.unanswered = await ask(self._gate, kind, now, _refuses)
        if isinstance(found, Answer) and found.status == 401 and is_githubs(found.body):
            await doubt.of(auth.another_than(sent))
            found, unanswered = await doubt.of(ask(self._gate, kind, now, _refuses))
            doubt.unanswered = doubt.unanswered or unanswered
        if isinstance(found, Answer) and found.status == 401:
            if is_githubs(found.body):
                await doubt.of(auth.another_than(sent))
            raise doubt.on(found.refusal(request))
        return found._replace(unanswered=doubt.unanswered) if isinstance(found, Answer) else found

    async def _attempt(
        self,
        kind: str,
        method: str,
        path: str,
        request: Request,
        done: Collection[int],
        token: str,
        read: Callable[[Answer], T],
        payload: Mapping[str, Any] | None,
    ) -> T | Answer:
        headers = {"Authorization": f"Bearer {token}"}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                URL(self.address + path, encoded=True),
                data=None if payload is None else orjson.dumps(payload),
                headers=headers,
                allow_redirects=False,
                server_hostname=self._server_name,
            ) as response:
                body = await body_of(response, self.endurance.most(kind), request)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise connection_failure(error, request, proxied=self._proxy is not None) from None
        status = response.status
        if status in done:
            return read(Answer(status, body, response.headers, done=True))
        if not refuses(status):
            raise undecided(request, status)
        if status not in _FOR_THE_CALLER:
            raise refusal(request, status, body, response.headers)
        return Answer(status, body, response.headers, done=False)


def _refuses(found: object) -> bool:
    return isinstance(found, Answer) and not found.done
