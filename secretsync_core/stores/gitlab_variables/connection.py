"""The way to GitLab and back: python-gitlab's client in threads, one attempt a request, errors of our own.

Of the client only ``http_request`` is used, told to repeat nothing. What it would raise for a refusal holds the whole
answer, and lacks its headers: our session takes the answer before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import orjson

from secretsync_core.endurance import too_large
from secretsync_core.errors import StoreError
from secretsync_core.stores.answers import Part, malformed
from secretsync_core.stores.cutting import TooLargeError, answers_up_to
from secretsync_core.stores.gitlab_variables.answers import is_gitlabs, refusal, says_no_variable
from secretsync_core.stores.gitlab_variables.tokens import Token
from secretsync_core.stores.http import errors_behind
from secretsync_core.stores.quiet import quieted
from secretsync_core.stores.threads import Threads, close_threads, done_in
from secretsync_core.stores.unanswered import Doubt, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.gitlab_variables.answers import Request
    from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig

T = TypeVar("T")

_LIBRARIES = ("gitlab", "requests", "requests_toolbelt", "urllib3")

SUCCESS = {"get": 200, "post": 201, "put": 200, "delete": 204}
"""What GitLab answers with where it has done what was asked (doc/api/rest/troubleshooting.md, status codes)."""

# Answers that whoever asked knows how to take; all others are errors at once, which the gate may repeat.
_FOR_THE_CALLER = frozenset({301, 302, 307, 308, 400, 401, 404, 409, 422})


class Answer(NamedTuple):
    """One refusal. ``unanswered``: an earlier attempt of the same request may have been carried out."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    unanswered: bool = False

    @property
    def says_absent(self) -> bool:
        """Whether it is GitLab's own word that there is no such variable; any other 404 says nothing of one."""
        return self.status == 404 and says_no_variable(self.body)

    def refusal(self, request: Request) -> StoreError:
        """The error that this answer stands for."""
        return Doubt(unanswered=self.unanswered).on(refusal(request, self.status, self.body, self.headers))


class Connection:
    """The requests of one store."""

    def __init__(self, config: GitlabVariablesConfig, context: StoreContext) -> None:
        """Raises StoreError for certificates that cannot be used."""
        import gitlab

        from secretsync_core.stores.gitlab_variables.way import Way

        assert config.auth.token is not None  # noqa: S101  a choice of one
        self.store = context.name
        self.endurance = context.endurance
        self.address = config.address.rstrip("/")
        self.token = Token(config.auth.token, context)
        self._gate = context.gate
        self._way = Way(config, context.name, context.concurrency)
        self._client = gitlab.Gitlab(self.address, session=self._way, user_agent="secretsync")
        self._threads = Threads("secretsync-gitlab")
        self._closed = False

    async def aclose(self) -> None:
        """Wait for what somebody still waits for, and close every connection."""
        self._closed = True
        await close_threads(self._threads)
        self._way.close()

    async def ask(
        self,
        kind: str,
        verb: str,
        path: str,
        request: Request,
        parse: Callable[[Part], T],
        payload: Mapping[str, Any] | None = None,
    ) -> T | Answer:
        """One request; gives what ``parse`` makes of the object that is answered, or a refusal that one can take.

        ``parse`` is called within the attempt: an answer that it finds malformed is asked for again.
        """

        def read(body: bytes, _: Mapping[str, str]) -> T:
            return parse(Part.of_body(request, body))

        return await self._authorised(kind, verb, path, request, read, payload)

    async def ask_list(
        self, kind: str, path: str, request: Request, parse: Callable[[list[Part], Mapping[str, str]], T]
    ) -> T | Answer:
        """The same of a list of objects, and the headers that tell of its pages."""

        def read(body: bytes, headers: Mapping[str, str]) -> T:
            return parse(_parts(request, body), headers)

        return await self._authorised(kind, "get", path, request, read, None)

    async def delete(self, path: str, request: Request) -> Answer | None:
        """Delete something; None where that is done."""
        return await self._authorised("delete", "delete", path, request, lambda *_: None, None)

    async def _authorised(
        self,
        kind: str,
        verb: str,
        path: str,
        request: Request,
        read: Callable[[bytes, Mapping[str, str]], T],
        payload: Mapping[str, Any] | None,
    ) -> T | Answer:
        sent = self.token.now()

        async def now() -> T | Answer:
            # Taken when its turn has come: a request may wait at the gate for longer than a token lives.
            nonlocal sent
            sent = self.token.now()
            return await self._attempt(kind, verb, path, request, sent, read, payload)

        doubt = Doubt()
        found, doubt.unanswered = await ask(self._gate, kind, now, _refuses)
        if isinstance(found, Answer) and found.status == 401 and is_gitlabs(found.body):
            self._renew(sent, doubt)
            found, unanswered = await doubt.of(ask(self._gate, kind, now, _refuses))
            doubt.unanswered = doubt.unanswered or unanswered
        if isinstance(found, Answer) and found.status == 401:
            raise doubt.on(found.refusal(request))
        return found._replace(unanswered=doubt.unanswered) if isinstance(found, Answer) else found

    def _renew(self, refused: str, doubt: Doubt) -> None:
        try:
            self.token.another_than(refused)
        except StoreError as error:
            raise doubt.on(error) from None

    async def _attempt(
        self,
        kind: str,
        verb: str,
        path: str,
        request: Request,
        token: str,
        read: Callable[[bytes, Mapping[str, str]], T],
        payload: Mapping[str, Any] | None,
    ) -> T | Answer:
        status, headers, body = await self._in_thread(kind, verb, path, request, token, payload)
        if status == SUCCESS[verb]:
            return read(body, headers)
        if 200 <= status < 300:
            # It may be done, by whatever has answered so: only a look can tell.
            raise malformed(request, f"HTTP {status} is no answer to {verb.upper()}")
        if status not in _FOR_THE_CALLER:
            raise refusal(request, status, body, headers)
        return Answer(status, body, headers)

    async def _in_thread(
        self, kind: str, verb: str, path: str, request: Request, token: str, payload: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """What is answered. What goes wrong comes out as an error of ours, with nothing behind it."""
        from secretsync_core.stores.gitlab_variables.way import RefusedAnswer, failure, failures

        if self._closed:
            raise StoreError(f"the store {self.store!r} is closed", store=self.store)

        def run() -> tuple[int, Mapping[str, str], bytes]:
            failed: StoreError
            with quieted(_LIBRARIES), answers_up_to(self.endurance.most(kind)):
                try:
                    answer = self._client.http_request(
                        verb,
                        path,
                        post_data=None if payload is None else dict(payload),
                        extra_headers={"PRIVATE-TOKEN": token, "Accept": "application/json"},
                        obey_rate_limit=False,
                        retry_transient_errors=False,
                        max_retries=0,
                    )
                except RefusedAnswer as refused:
                    return refused.status, refused.headers, refused.body
                except failures() as error:
                    found = next((each for each in errors_behind(error) if isinstance(each, TooLargeError)), None)
                    failed = (
                        failure(request, error) if found is None else too_large(self.store, request.action, found.most)
                    )
                else:
                    return answer.status_code, answer.headers, answer.content
            raise failed

        return await done_in(self._threads, run)


def _refuses(found: object) -> bool:
    return isinstance(found, Answer)


def _parts(request: Request, body: bytes) -> list[Part]:
    """A whole answer, which is a list of objects."""
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise malformed(request, "the body is not a list in JSON")
    return [Part.of(request, "*", each) for each in found]
