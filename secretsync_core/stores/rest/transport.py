"""The way to a service and back: one host, no redirect, no header and no path but the document's, one attempt each."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp
import orjson
from yarl import URL

from secretsync_core.endurance import DEPTH, is_too_deep, may_be_too_deep
from secretsync_core.errors import InvalidSecret, StoreError
from secretsync_core.hosts import tells_of_the_machine
from secretsync_core.stores.answers import TOO_DEEP, malformed
from secretsync_core.stores.bodies import body_of
from secretsync_core.stores.connecting import connection_failure
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.rest import templates
from secretsync_core.stores.rest.answers import Call, refusal
from secretsync_core.stores.rest.names import is_segment
from secretsync_core.stores.unanswered import Doubt, ask

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.rest.config import HttpConfig, Request
    from secretsync_core.stores.rest.templates import Scalar
    from secretsync_core.stores.rest.tokens import Token

    T = TypeVar("T")

CONNECT_SECONDS = 10
READ_SECONDS = 60

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
_LONGEST_URL = 16_000


class Answer(NamedTuple):
    """One answer whose status the document names. ``unanswered``: an earlier attempt may have been carried out."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    call: Call
    unanswered: bool = False

    def json(self) -> object:
        """The body. Raises MalformedAnswer where it is no JSON."""
        try:
            found = orjson.loads(self.body)
        except ValueError:
            found = _NO_JSON
        if found is _NO_JSON:  # out here, where the error that shows the body does not hang on to ours
            raise malformed(self.call, "the body is not JSON")
        if may_be_too_deep(self.body) and is_too_deep(found, DEPTH):
            raise malformed(self.call, TOO_DEEP)
        return found

    def on(self, error: StoreError) -> StoreError:
        """An error that this answer leads to, with what an earlier attempt left open."""
        return Doubt(unanswered=self.unanswered).on(error)


_NO_JSON = object()


class Transport:
    """The requests of one store."""

    def __init__(self, config: HttpConfig, context: StoreContext, tls: ssl.SSLContext, token: Token | None) -> None:
        self.store = context.name
        self.endurance = context.endurance
        self.width = context.concurrency
        self.address = config.address.rstrip("/")
        self._vars = config.vars
        self._headers = config.headers
        self._token = token
        self._gate = context.gate
        self._server_name = config.tls.server_name
        self._proxy = proxy_for(config.address, context.name)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=context.concurrency, ssl=tls, resolver=_Resolver()),
            timeout=_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # what a variable brings in is said by stores.environment alone
            proxy=self._proxy,
            headers={"Accept": "application/json", "User-Agent": "secretsync"},
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(
        self,
        kind: str,
        request: Request,
        call: Call,
        values: Mapping[str, Scalar],
        read: Callable[[Answer], T],
        *,
        passed: tuple[int, ...] = (),
        once: bool = False,
        url: str = "",
    ) -> T | Answer:
        """One request; gives what ``read`` makes of an answer that the document expects, or one that is ``passed``.

        ``read`` is called within the attempt: what it finds malformed is asked for again. ``once``: it is not, nor is
        anything whose answer is lost. ``url``: the whole of it, as an answer gave it; it has to be a :meth:`link`.
        Raises InvalidSecret where a key cannot stand where the document puts it.
        """
        filled = {**self._vars, **values}
        try:
            target = url or self._target(request, filled)
            headers = {
                name: templates.header_of(text, filled) for name, text in {**self._headers, **request.headers}.items()
            }
            payload = templates.body_of(request.payload, filled)
        except templates.UnfitError as error:
            raise self._unfit(error, call) from None
        body = None if request.payload is None else orjson.dumps(payload)
        begun = False

        async def attempt() -> T | Answer | _Unauthorised:
            nonlocal begun
            if begun and once:
                raise StoreError(
                    f"{self.store} did not answer when asked to {call.action}, which is not asked twice",
                    store=self.store,
                    key=call.key,
                    hint=f"what became of it is looked at; with {call.operation}.exists it is asked again",
                )
            begun = True
            try:
                found = await self._attempt(kind, request, target, headers, body, call, read, passed)
            except StoreError as error:
                begun = error.unanswered
                raise
            begun = False
            return found

        doubt = Doubt()
        while True:  # as often as there is another credential than the one that was refused
            found, unanswered = await doubt.of(ask(self._gate, kind, attempt, _is_refusal))
            doubt.unanswered = doubt.unanswered or unanswered
            if not isinstance(found, _Unauthorised):
                return found._replace(unanswered=doubt.unanswered) if isinstance(found, Answer) else found
            if self._token is None:
                raise doubt.on(found.error)
            await doubt.of(self._token.renew(found.sent))

    async def _attempt(
        self,
        kind: str,
        request: Request,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        call: Call,
        read: Callable[[Answer], T],
        passed: tuple[int, ...],
    ) -> T | Answer | _Unauthorised:
        credential = self._token.now() if self._token is not None else ""
        sent = {**headers, **(self._token.header(credential) if self._token is not None else {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        failure: StoreError | None = None
        try:
            async with self._session.request(
                request.verb,
                URL(target, encoded=True),
                data=body,
                headers=sent,
                allow_redirects=False,
                server_hostname=self._server_name,
            ) as response:
                content = await body_of(response, self.endurance.most(kind), call)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            failure = connection_failure(error, call, proxied=self._proxy is not None)
        if failure is not None:  # out here, where an error that shows the answer does not hang on to ours
            raise failure
        answer = Answer(response.status, content, response.headers, call)
        if response.status in request.expect:
            return read(answer)
        if response.status in passed:
            return answer
        refused = refusal(call, response.status, response.headers, in_json=_is_object(content))
        if response.status == 401:
            return _Unauthorised(refused, credential)
        raise refused

    def _target(self, request: Request, values: Mapping[str, Scalar]) -> str:
        target = self.address + templates.path_of(request.path, values) + templates.query_of(request.query, values)
        if not self.is_ours(target):
            raise templates.UnfitError("", "it leads elsewhere")
        return target

    def is_ours(self, target: str) -> bool:
        """Whether a URL, escaped, leads to the document's host and below its path, however it is read."""
        try:
            here, there = urlsplit(self.address), urlsplit(target)
            port = there.port
        except ValueError:
            return False
        if (there.scheme, there.username, there.password, there.fragment) != (here.scheme, None, None, ""):
            return False
        if (there.hostname, port or _PORTS[there.scheme]) != (here.hostname, here.port or _PORTS[here.scheme]):
            return False
        if len(target) > _LONGEST_URL or not target.isascii() or not target.isprintable() or " " in target:
            return False
        segments = there.path.split("/")
        return there.path.startswith(f"{here.path}/") and not any(map(_is_odd, segments))

    def link(self, given: str, page: str, call: Call) -> str:
        """The address of a next page. Raises MalformedAnswer where it is not below the document's address."""
        try:
            target = urljoin(page, given) if _is_link(given) else ""
        except ValueError:
            target = ""
        if not self.is_ours(target):
            raise malformed(call, "its next page is not below the address of the document, to which alone we go")
        return target

    def url_of(self, request: Request, values: Mapping[str, Scalar]) -> str:
        """The address of a request that has been sent."""
        return self._target(request, {**self._vars, **values})

    def _unfit(self, error: templates.UnfitError, call: Call) -> StoreError:
        kind = InvalidSecret if error.name == templates.KEY or call.key else StoreError
        what = f"{{{{ {error.name} }}}}" if error.name in templates.OURS else "the address"
        return kind(
            f"{self.store} cannot be asked to {call.action}: what {what} stands for does not fit there, {error.why}",
            store=self.store,
            key=call.key,
            hint=f"another key, by keyTransform, or another template; {call.told}",
        )


class _Resolver(aiohttp.ThreadedResolver):
    """Looks names up, but for those that lead to where a machine asks for its own credentials."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
        """The addresses of a host, less such. Raises OSError, as for a name that there is not, where none is left."""
        found = await super().resolve(host, port, family)
        others = [each for each in found if not tells_of_the_machine(each["host"].partition("%")[0])]
        if not others:
            raise OSError(errno.EACCES, "Permission denied")
        return others


class _Unauthorised(NamedTuple):
    """An answer that refuses the credential that was ``sent``."""

    error: StoreError
    sent: str


_PORTS = {"http": 80, "https": 443}


def _is_odd(segment: str) -> bool:
    """Whether a segment, once or twice unescaped, could be taken for another path."""
    once = unquote(segment)
    twice = unquote(once)
    return any(part != "" and not is_segment(part) for text in {once, twice} for part in text.split("/"))


def _is_link(given: str) -> bool:
    return bool(given) and given.isascii() and given.isprintable() and not {" ", "\\"} & set(given)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(orjson.loads(body), dict)
    except ValueError:
        return False


def _is_refusal(found: object) -> bool:
    return isinstance(found, (Answer, _Unauthorised))
