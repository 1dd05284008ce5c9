"""The requests of one store: the official client's connections, worked by a few threads, one attempt a request."""

from __future__ import annotations

import asyncio
import ssl
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
import urllib3
from kubernetes.client import ApiClient, Configuration
from urllib3 import exceptions

from secretsync_core.endurance import CONNECT_SECONDS, READ_SECONDS, too_large
from secretsync_core.errors import SecretSyncError, StoreError
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.cutting import TooLargeError, answers_up_to, cuttable
from secretsync_core.stores.http import CredentialsRefused, errors_behind, proxy_failure, unreachable
from secretsync_core.stores.kubernetes.answers import JSON, Answer, Received, is_admission, refusal
from secretsync_core.stores.threads import Threads
from secretsync_core.stores.tls import tls_failure
from secretsync_core.stores.unanswered import Doubt, ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.kubernetes.access import Access, Proof
    from secretsync_core.stores.kubernetes.answers import Request

    T = TypeVar("T")

GLANCE_SECONDS = 5.0  # a cluster that takes longer to say which one it is stays unknown

# What the API's description has for done, by the method; what was written or deleted stands in the body. A 202 to a
# write is a promise: https://kubernetes.io/docs/reference/generated/kubernetes-api.
_SUCCESS = {
    "GET": frozenset({200}),
    "POST": frozenset({200, 201}),
    "PUT": frozenset({200, 201}),
    "DELETE": frozenset({200, 202}),
}
# Refusals that whoever asked knows how to take; all others are errors at once, which the gate may repeat.
_FOR_THE_CALLER = frozenset({401, 404, 409, 410})


class Client:
    """Talks to one API server."""

    def __init__(self, access: Access, context: StoreContext) -> None:
        self.store = context.name
        self.width = context.concurrency
        self._access = access
        self._gate = context.gate
        self.endurance = context.endurance
        self._threads = Threads(f"kubernetes-{context.name}")
        self._api = ApiClient(_configuration(access, context.concurrency))
        self._pool: urllib3.PoolManager = self._api.rest_client.pool_manager
        # Only a context of our own takes a client's key that is in no file.
        self._pool.connection_pool_kw["ssl_context"] = access.tls
        self._pool.pool_classes_by_scheme = cuttable(self._pool.pool_classes_by_scheme)
        self._certificate = ""
        self._lock = threading.Lock()

    async def aclose(self) -> None:
        """Close every connection. Requests that nobody waits for any more are cut."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._api.close()
        self._pool.clear()  # not every version's close() does

    async def call(
        self, kind: str, request: Request, parse: Callable[[Received], T], payload: Any = None, *, accept: str = JSON
    ) -> T | Answer:
        """One request; gives what ``parse`` makes of a success, any of ``_FOR_THE_CALLER``, raises for the rest.

        ``parse`` is called within the attempt: an answer that it finds malformed is asked for again.
        """
        body = None if payload is None else orjson.dumps(payload)
        sent: Proof | None = None

        def blocking() -> Answer:
            nonlocal sent
            # Taken when its turn has come: a request may wait at the gate for longer than a token lives.
            sent = self._access.proof()
            return self._send(kind, request, sent, body, accept)

        async def attempt() -> T | Answer:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, blocking)
            return parse(Received(request, answer.body, answer.status)) if _is_done(request, answer) else answer

        doubt = Doubt()
        answer, doubt.unanswered = await ask(self._gate, kind, attempt, _refuses)
        if _is_unknown(answer) and await doubt.of(self._another(sent)):
            answer, unanswered = await doubt.of(ask(self._gate, kind, attempt, _refuses))
            doubt.unanswered = doubt.unanswered or unanswered
        if _is_unknown(answer):
            refused = CredentialsRefused(
                f"{self.store} does not know our credential: it has expired, or was never valid",
                store=self.store,
                hint=self._access.advice(),
            )
            raise doubt.on(refused)
        return answer._replace(unanswered=True) if doubt.unanswered and isinstance(answer, Answer) else answer

    async def glance(self, request: Request) -> bytes:
        """One request that is made once, and nothing to worry about where it fails: empty for anything but a 200."""

        def blocking() -> bytes:
            try:
                answer = self._send("stat", request, self._access.proof(), None, JSON, GLANCE_SECONDS)
            except StoreError:
                return b""
            return answer.body if answer.status == 200 else b""

        async def attempt() -> bytes:
            return await asyncio.get_running_loop().run_in_executor(self._threads, blocking)

        try:
            return await self._gate("stat", attempt)
        except SecretSyncError:  # the gate lets nothing through any more, which what comes next will tell
            return b""

    async def _another(self, refused: Proof | None) -> bool:
        assert refused is not None  # noqa: S101  an answer came to what was sent
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._access.another, refused)

    def _send(
        self,
        kind: str,
        request: Request,
        proof: Proof,
        body: bytes | None,
        accept: str,
        seconds: float | None = None,
    ) -> Answer:
        self._show(proof)
        headers = {"Accept": accept, "User-Agent": "secretsync"}
        if proof.header:
            headers["Authorization"] = proof.header
        if body is not None:
            headers["Content-Type"] = JSON
        failure: StoreError | None = None
        try:
            with answers_up_to(self.endurance.most(kind)):
                response = self._pool.request(
                    request.method,
                    self._access.server + request.path,
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=seconds or CONNECT_SECONDS, read=seconds or READ_SECONDS),
                    redirect=False,
                    retries=False,
                    preload_content=False,
                )
                answer = Answer(response.status, b"".join(response.stream()), response.headers)
        except TooLargeError as error:
            failure = too_large(self.store, request.action, error.most)
        except (exceptions.HTTPError, OSError) as error:
            failure = self._failure(error)
        except (OverflowError, ValueError):  # a Content-Length beyond all bounds, say
            failure = malformed(request, "it is not HTTP")
        if failure is not None:  # out here, where nothing of the request hangs on to it
            raise failure
        if not _is_done(request, answer) and answer.status not in _FOR_THE_CALLER:
            raise refusal(request, answer)
        return answer

    def _show(self, proof: Proof) -> None:
        """Give up connections that were made with another client certificate."""
        if proof.certificate != self._certificate:
            with self._lock:
                if proof.certificate != self._certificate:
                    self._pool.clear()
                    self._certificate = proof.certificate

    def _failure(self, error: BaseException) -> StoreError:
        root = _root(error)
        if isinstance(root, ssl.SSLError):
            return tls_failure(root, self.store)
        if isinstance(error, exceptions.NameResolutionError):
            return unreachable(self.store, "its name is not known", hint="check the server's address")
        if isinstance(error, exceptions.NewConnectionError):
            return unreachable(self.store, root.strerror or "the connection fails")
        if isinstance(error, (exceptions.TimeoutError, TimeoutError)):  # also a base of the two above
            return unreachable(self.store, "it does not answer in time")
        if isinstance(error, exceptions.ProxyError):
            return proxy_failure(self.store)
        if isinstance(error, (exceptions.ProtocolError, OSError)):
            return unreachable(self.store, "the connection was cut")
        return unreachable(self.store, "the connection fails")


def _is_done(request: Request, answer: Answer) -> bool:
    return answer.status in _SUCCESS[request.method]


def _status(answer: object) -> int:
    return answer.status if isinstance(answer, Answer) else 200


def _is_unknown(answer: object) -> bool:
    """Whether the server does not know who we are. A policy may answer with the same status."""
    return isinstance(answer, Answer) and answer.status == 401 and not is_admission(answer)


def _refuses(answer: object) -> bool:
    return _status(answer) >= 400


def _configuration(access: Access, width: int) -> Configuration:
    configuration = Configuration()
    configuration.host = access.server
    configuration.tls_server_name = access.server_name
    if access.proxy is not None:  # and none that the client finds in a variable by itself, nor an exception
        who, _, where = access.proxy.partition("://")[2].rpartition("@")
        configuration.proxy = f"{access.proxy.partition('://')[0]}://{where}"
        # urllib3 does not take a user out of the address.
        configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=unquote(who)) if who else None
    else:
        configuration.proxy = None
    configuration.no_proxy = ""
    configuration.retries = False
    configuration.connection_pool_maxsize = width
    return configuration


def _root(error: BaseException) -> OSError:
    """The error of the socket or of the TLS library that urllib3 wraps."""
    found = (
        each
        for each in errors_behind(error)
        if isinstance(each, OSError) and not isinstance(each, exceptions.HTTPError)
    )
    return next(found, OSError())
