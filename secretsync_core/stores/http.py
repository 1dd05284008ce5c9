"""What stores over HTTP have in common: servers out of reach, credentials that are refused, and headers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, RateLimited, SecretFails, StoreError, StoreUnavailable
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.environment import PROXY_HINT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.errors import MalformedAnswer
    from secretsync_core.stores.answers import Call


class Unhealable(StoreUnavailable):
    """The store cannot be reached, and trying again does not help: its certificate is wrong, say."""

    retryable = False
    unanswered = False


class Failing(StoreUnavailable):
    """The store answers with an error of its own (HTTP 500): something of what was asked for may be broken."""


class CredentialsRefused(AccessDenied):
    """Our credentials are missing, wrong or expired: nobody who has them may ask anything.

    A policy's denial is a plain AccessDenied.
    """


class RefusedLogin:
    """A login of one store that was refused: nobody tries it again, or it would be tried once for each request."""

    def __init__(self) -> None:
        self._why: AccessDenied | None = None

    def check(self) -> None:
        """Raise CredentialsRefused where a login was refused."""
        if self._why is not None:
            raise self._error(self._why)

    def note(self, why: AccessDenied) -> CredentialsRefused:
        """Remember it, for whatever reason it was refused; gives the error to raise, as nobody may ask anything."""
        self._why = why
        return self._error(why)

    @staticmethod
    def _error(why: AccessDenied) -> CredentialsRefused:
        return CredentialsRefused(why.message, store=why.store, key=why.key, hint=why.hint)


def unreachable(store: str, why: str, *, hint: str = "", permanent: bool = False) -> StoreUnavailable:
    """The error for a connection that failed; ``permanent`` where trying again cannot help."""
    kind = Unhealable if permanent else StoreUnavailable
    return kind(f"{store} cannot be reached: {why}", store=store, hint=hint)


def proxy_failure(store: str) -> StoreUnavailable:
    """The error for a proxy of the environment that cannot be reached, or refuses to connect us."""
    return unreachable(store, "the proxy does not let us through", hint=PROXY_HINT)


def failing(store: str, action: str, status: int, key: str | None, *, its_own: bool) -> StoreUnavailable:
    """The error for an answer of 500 or more.

    A 500 of the server's ``its_own``, and not a proxy's, to a question about one secret says that the server is there.
    """
    kind = StoreUnavailable
    if its_own and status == 500:
        kind = SecretFails if key is not None and not key.endswith("/") else Failing
    return kind(f"{store} fails to {action} (HTTP {status})", store=store, key=key)


def limited(store: str, whose: str, key: str | None, wait: float | None) -> RateLimited:
    """The error for a rate limit of somebody's. ``wait``: for so many seconds, where the service says that."""
    seconds = "" if wait is None else f" {wait:.0f} s" if wait <= _DAY else " for more than a day"
    return RateLimited(
        f"{store} asks us to wait{seconds}: {whose} rate limit is reached",
        store=store,
        key=key,
        hint="sync again after that, or lower limits.rate and limits.concurrency of the job",
        retry_after=wait,
    )


def redirected(store: str, action: str, status: int, key: str | None, *, hint: str) -> StoreError:
    """The error for a redirect. None is followed: it would hand our token, or a value, to whatever it names."""
    return StoreError(
        f"{store} answers with a redirect (HTTP {status}) when asked to {action}", store=store, key=key, hint=hint
    )


def by_a_proxy(
    store: str,
    whose: str,
    action: str,
    status: int,
    key: str | None,
    *,
    hint: str = "a proxy or firewall in front of it must let this request through",
) -> AccessDenied:
    """The error for a refusal that has not the form of the service's own."""
    return AccessDenied(
        f"{store} refuses to {action} (HTTP {status}), and the answer is not {whose}",
        store=store,
        key=key,
        hint=hint,
    )


_DAY = 86_400
_REDIRECTS = frozenset({301, 302, 307, 308})


def is_redirect(status: int) -> bool:
    """Whether an answer with this status says where the same question would be answered."""
    return status in _REDIRECTS


def refuses(status: int) -> bool:
    """Whether an answer with this status says that nothing was done.

    One that is neither among those that a service gives for done, nor among these, says nothing: a 200 may be a
    proxy's own page, a 202 a promise, and a 303 what comes after something was done.
    """
    return status >= 400 or status in _REDIRECTS


def undecided(call: Call, status: int) -> MalformedAnswer:
    """The error for an answer that says neither that something is done nor that it is refused: only a look tells."""
    return malformed(call, f"HTTP {status} says neither that it is done nor that it is refused")


def retry_after(header: str | None) -> float | None:
    """The seconds to wait for what a Retry-After header asks, as a number or as a date; ``None`` for neither.

    One more than it says: it has whole seconds only, and servers cut fractions off.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header) + 1.0
    moment = date_of(header)
    return None if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds() + 1.0)


def date_of(header: str) -> datetime | None:
    """The moment that a Date or Retry-After header names, in UTC; ``None`` where it names none."""
    try:
        moment = parsedate_to_datetime(header)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, IndexError, TypeError):  # the parser of the standard library raises them all
        return None


def sendable(credential: str, store: str, *, where: str = "token", kind: str = "token") -> str:
    """A credential, if it can stand in a header. Checked here, because the error of the HTTP client would show it."""
    if not credential.isascii() or not credential.isprintable() or " " in credential:
        raise StoreError(
            f"the {where} holds characters that no {kind} can have",
            store=store,
            hint="check that it is the right file",
        )
    return credential


def errors_behind(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it wraps: HTTP libraries do that several times, each in a way of its own."""
    waiting: list[object] = [error]
    for _ in range(20):
        if not waiting:
            return
        found = waiting.pop(0)
        if isinstance(found, BaseException):
            yield found
            more = getattr(found, "kwargs", {})
            waiting += [*found.args, getattr(found, "reason", None), found.__cause__, found.__context__]
            waiting += more.values() if isinstance(more, dict) else []
