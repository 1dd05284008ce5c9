"""The way of secrets to and from a server: one aiohttp session, one attempt a request, errors of our own."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
from yarl import URL

from secretsync_core.endurance import CONNECT_SECONDS
from secretsync_core.errors import StoreError
from secretsync_core.stores.answers import Part
from secretsync_core.stores.bodies import body_of
from secretsync_core.stores.connecting import TIMEOUT, connection_failure, open_session
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.http import unreachable
from secretsync_core.stores.unanswered import Doubt, ask
from secretsync_core.stores.vault.answers import Request, is_vaults, refusal
from secretsync_core.stores.vault.cluster import cluster_of_index
from secretsync_core.stores.vault.keys import encoded
from secretsync_core.stores.vault.position import INDEX, Course

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping
    from typing import TypeVar

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.vault.auth import Auth
    from secretsync_core.stores.vault.config import VaultConfig

    T = TypeVar("T")

HEALTH_SECONDS = 5  # a server that takes longer to say who it is stays unknown
SCAN_SECONDS = 300  # a server may think this long before it sends the metadata of a whole subtree

_SCAN_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SCAN_SECONDS)

# Requests that only look; the mount, which ``system`` looks at, is the same on every node.
_LOOKS = frozenset({"read", "list", "stat"})

# Answers that whoever asked knows how to take; all others are errors at once, which the gate may repeat.
_FOR_THE_CALLER = frozenset({200, 204, 400, 403, 404, 405})

_TOKENS = 3  # so many other tokens a request is tried with: the second one may be dead by its turn as well

_HEALTH_TIMEOUT = aiohttp.ClientTimeout(total=HEALTH_SECONDS)


class Answer(NamedTuple):
    """One answer that is no 200, or a 200 of which nothing is to be known.

    ``unanswered``: it refuses, and an earlier attempt of the same request may have been carried out.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    unanswered: bool = False

    def refusal(self, request: Request) -> StoreError:
        """The error that this answer stands for, where it is not success."""
        return Doubt(unanswered=self.unanswered).on(refusal(request, self.status, self.body, self.headers))


class Received(NamedTuple):
    """A 200, to be taken apart."""

    request: Request
    body: bytes
    headers: Mapping[str, str]

    def data(self) -> Part:
        """The object in ``data``. Raises MalformedAnswer where there is none."""
        return Part.of_body(self.request, self.body).part("data")


class Transport:
    """The requests of one store."""

    def __init__(self, config: VaultConfig, context: StoreContext, tls: ssl.SSLContext, auth: Auth) -> None:
        self.store = context.name
        self.mount = config.mount.strip("/")
        self.namespace = config.namespace
        self.width = context.concurrency
        self.cluster = ""  # its id, once an answer has told
        self.endurance = context.endurance
        self._gate = context.gate
        self._auth = auth
        self._base = f"{config.address.rstrip('/')}/v1/"
        self._mount_base = f"{self._base}{encoded(self.mount)}/"
        self._server_name = config.tls.server_name
        self.course = Course(context.name)
        self._course_of: Mapping[str, str] = {}
        self._headers: dict[str, str] = {}
        self._headers_for: str | None = None
        self._proxy = proxy_for(config.address, context.name)
        self._session = open_session(context, tls, proxy=self._proxy, headers={"User-Agent": "secretsync"})

    def within(self, namespace: str) -> Transport:
        """The same way, to the same mount in another namespace: with the same token, session and gate."""
        other = copy.copy(self)
        other.namespace, other._headers_for = namespace, None
        return other

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def call(self, kind: str, method: str, path: str, request: Request, payload: bytes | None = None) -> Answer:
        """One request to ``path`` (encoded, below the mount), of whose 200 nothing is to be known.

        Gives any of ``_FOR_THE_CALLER``, raises for the rest, and for a 200 that is not Vault's.
        """
        return await self._ask(kind, method, self._url(path), request, _done, payload)

    async def ask(
        self,
        kind: str,
        method: str,
        path: str,
        request: Request,
        parse: Callable[[Received], T],
        payload: bytes | None = None,
    ) -> T | Answer:
        """Like ``call``, and gives what ``parse`` makes of a 200.

        It is called within the attempt: an answer that it finds malformed is asked for again.
        """
        return await self._ask(kind, method, self._url(path), request, parse, payload)

    async def system(
        self, kind: str, path: str, request: Request, parse: Callable[[Received], T], payload: bytes | None = None
    ) -> T | Answer:
        """Like ``ask``, for a path that does not stand below the mount: a GET, or a POST of ``payload``."""
        method = "GET" if payload is None else "POST"
        url = URL(self._base + path, encoded=True)
        return await self._ask(kind, method, url, request, parse, payload, again=False)

    async def health(self, *, needed: Request | None = None) -> bytes:
        """What the server says of itself to anybody who asks, without a token; empty where it does not answer.

        With ``needed`` it is no glance: raises StoreUnavailable where nobody answers, or only what stands before it.
        """

        async def attempt() -> bytes:
            # A standby answers with 200 as well, and not every proxy lets its 429 pass as it is.
            url = URL(f"{self._base}sys/health?standbyok=true&perfstandbyok=true", encoded=True)
            try:
                async with self._session.get(
                    url,
                    timeout=TIMEOUT if needed else _HEALTH_TIMEOUT,
                    allow_redirects=False,
                    server_hostname=self._server_name,
                ) as response:
                    body = await body_of(response, self.endurance.most("stat"), needed or self._glance)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                if needed is None:
                    return b""
                failure = self._unreachable(error, needed)
            except StoreError as error:
                if needed is None:
                    return b""
                failure = error
            else:
                # A server that is sealed answers with 503, and says all the same who it is.
                if needed is None or response.status < 500 or body.lstrip().startswith(b"{"):
                    return body
                failure = refusal(needed, response.status, body, response.headers)
            raise failure

        return await self._gate("stat", attempt)

    async def renew(self, token: str) -> bytes | None:
        """Ask for a longer life of the document's token; gives the answer, None where it is refused.

        Beside everything else: what it says of who answers does not count, so that a run costs the same requests
        whether it comes sooner or later; and where nobody answers, that is no reason to give the store up.
        """
        request = Request(self.store, self.mount, "renew our token", namespace=self.namespace)
        url = URL(f"{self._base}auth/token/renew-self", encoded=True)
        headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
        headers |= {} if self.namespace is None else {"X-Vault-Namespace": self.namespace}

        async def attempt() -> tuple[int, bytes]:
            try:
                async with self._session.post(
                    url,
                    data=b"{}",
                    headers=headers,
                    timeout=_HEALTH_TIMEOUT,
                    allow_redirects=False,
                    server_hostname=self._server_name,
                ) as response:
                    return response.status, await body_of(response, self.endurance.most("renew"), request)
            except (aiohttp.ClientError, OSError, TimeoutError, StoreError):
                return 0, b""

        status, body = await self._gate("renew", attempt)
        if status == 200:
            return body
        if status in _FOR_THE_CALLER:
            return None
        raise unreachable(self.store, "it does not renew our token")

    @property
    def _glance(self) -> Request:
        return Request(self.store, self.mount, "say who it is")

    def _url(self, path: str) -> URL:
        return URL(self._mount_base + path, encoded=True)

    async def _ask(
        self,
        kind: str,
        method: str,
        url: URL,
        request: Request,
        parse: Callable[[Received], T],
        payload: bytes | None,
        *,
        again: bool = True,
    ) -> T | Answer:
        answer, unanswered = await self.authorised(
            kind,
            lambda headers: self._attempt(kind, method, url, request, headers, parse, payload),
            _refused,
            again=again,
        )
        return answer._replace(unanswered=True) if unanswered and isinstance(answer, Answer) else answer

    async def stream(
        self,
        method: str,
        path: str,
        request: Request,
        receive: Callable[[Request, aiohttp.ClientResponse], Awaitable[T]],
    ) -> tuple[int, T | None, bytes]:
        """One listing that may be large: its status, what ``receive`` makes of a 200's body, the body of a refusal."""
        url = self._url(path)

        async def attempt(headers: dict[str, str]) -> tuple[int, T | None, bytes]:
            try:
                async with self._session.request(
                    method,
                    url,
                    headers=headers,
                    timeout=_SCAN_TIMEOUT,
                    allow_redirects=False,
                    server_hostname=self._server_name,
                ) as response:
                    self._heed(response, headers)
                    if response.status == 200:
                        return 200, await receive(request, response), b""
                    body = await body_of(response, self.endurance.most("stat"), request)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise self._unreachable(error, request) from None
            refused = refusal(request, response.status, body, response.headers)
            # 501 is how some proxies refuse a verb that they do not know; others have any status for it.
            told = response.status in _FOR_THE_CALLER or (response.status < 500 and not is_vaults(body))
            if response.status == 501 or (told and not refused.retryable):
                return response.status, None, body
            raise refused

        answer, _ = await self.authorised("list", attempt, lambda answer: (answer[0], answer[2]))
        return answer

    async def authorised(
        self,
        kind: str,
        attempt: Callable[[dict[str, str]], Awaitable[T]],
        said: Callable[[T], tuple[int, bytes]],
        *,
        again: bool = True,
    ) -> tuple[T, bool]:
        """Run one attempt through the gate; again with another token, where the one that was sent turns out dead.

        ``said`` gives an answer's status, and its body where it refuses.

        What was read before any answer had named the cluster is read once more: a standby may have told of old times.
        Gives the answer, and for one that refuses whether an earlier attempt may have been carried out.
        """
        await self._auth.ready()
        doubt = Doubt()
        sent, asked = "", False

        async def now() -> T:
            # Taken when its turn has come: a request may wait at the gate for longer than a token lives.
            nonlocal sent, asked
            sent, asked = await self._auth.token(), self.course.asks
            return await attempt(self._with(sent))

        def refuses(answer: T) -> bool:
            return said(answer)[0] >= 400

        answer, doubt.unanswered = await ask(self._gate, kind, now, refuses)
        for tries in range(_TOKENS):
            status, body = said(answer)
            if status != 403 or not await doubt.of(self._auth.another_than(sent, body, tries)):
                break
            answer, unanswered = await doubt.of(ask(self._gate, kind, now, refuses))
            doubt.unanswered = doubt.unanswered or unanswered
        if not refuses(answer):
            self._auth.works()
        if kind in _LOOKS and again and self.course.asks and not asked:
            answer, _ = await ask(self._gate, kind, now, refuses)
        return answer, doubt.unanswered

    def _with(self, token: str) -> dict[str, str]:
        self.course.check()
        if token is not self._headers_for or self._course_of is not self.course.headers:
            self._headers = {"X-Vault-Token": token, "X-Vault-Request": "true", **self.course.headers}
            if self.namespace is not None:
                self._headers["X-Vault-Namespace"] = self.namespace
            self._headers_for, self._course_of = token, self.course.headers
        return self._headers

    async def _attempt(
        self,
        kind: str,
        method: str,
        url: URL,
        request: Request,
        headers: dict[str, str],
        parse: Callable[[Received], T],
        payload: bytes | None,
    ) -> T | Answer:
        if method == "PATCH":
            headers = {**headers, "Content-Type": "application/merge-patch+json"}
        try:
            async with self._session.request(
                method,
                url,
                data=payload,
                headers=headers,
                allow_redirects=False,
                server_hostname=self._server_name,
            ) as response:
                body = await body_of(response, self.endurance.most(kind), request)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error, request) from None
        status = response.status
        self._heed(response, headers, wrote=payload is not None or method == "DELETE")
        if status == 200:
            return parse(Received(request, body, response.headers))
        if status not in _FOR_THE_CALLER:
            raise refusal(request, status, body, response.headers)
        if status == 400:
            refused = refusal(request, status, body, response.headers)
            if refused.retryable:
                raise refused
        return Answer(status, body, response.headers)

    def _heed(self, response: aiohttp.ClientResponse, sent: Mapping[str, str], *, wrote: bool = False) -> None:
        header = response.headers.get(INDEX)
        named = cluster_of_index(header)
        if named and named == sent.get("X-Vault-Token"):
            return  # whoever sends our token back is not to have it printed or kept as a name
        self.cluster = self.cluster or named
        self.course.heed(header, asked=INDEX in sent and self.course.asks, wrote=wrote)

    def _unreachable(self, error: Exception, request: Request) -> StoreError:
        return connection_failure(error, request, proxied=self._proxy is not None)


def _refused(answer: object) -> tuple[int, bytes]:
    return (answer.status, answer.body) if isinstance(answer, Answer) else (200, b"")


def _done(received: Received) -> Answer:
    """A 200 that says no more than that it is done: ``data`` is there, and may be null."""
    root = Part.of_body(received.request, received.body)
    if "data" not in root.fields:
        raise root.wrong("data", "an object or null")
    root.part_or_none("data")
    return Answer(200, received.body, received.headers)
