"""Requests that may have been carried out although no answer came: what is known of that stays with their errors.

The gate knows it, and notes it on the error that it raises (``SecretSyncError.unanswered``). A store that puts another
error in that one's place, or asks again after it, hands the note on by what is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from secretsync_core.errors import SecretSyncError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from secretsync_core.stores.base import RequestGate

T = TypeVar("T")
E = TypeVar("E", bound=SecretSyncError)


class Doubt:
    """Whether one of several requests for the same thing may have been carried out without an answer."""

    __slots__ = ("unanswered",)

    def __init__(self, *, unanswered: bool = False) -> None:
        self.unanswered = unanswered

    async def of(self, request: Awaitable[T]) -> T:
        """Await a request. Its error is noted here, and gets what earlier ones left open."""
        try:
            return await request
        except SecretSyncError as error:
            self.unanswered = self.on(error).unanswered
            raise

    def on(self, error: E) -> E:
        """An error, with what earlier requests left open."""
        error.unanswered = error.unanswered or self.unanswered
        return error


class _RefusedError(StoreError):
    """An answer that refuses, as the gate sees it: only on an error can it note that an earlier attempt got none."""

    def __init__(self, answer: Any) -> None:
        super().__init__("refused")
        self.answer = answer


async def ask(
    gate: RequestGate, kind: str, attempt: Callable[[], Awaitable[T]], is_refusal: Callable[[T], bool]
) -> tuple[T, bool]:
    """Run an attempt whose answer may be a refusal; gives the answer, and whether an earlier attempt got none.

    The latter is told of refusals only: what succeeded is done, however many attempts it took.
    """

    async def told() -> T:
        answer = await attempt()
        if is_refusal(answer):
            raise _RefusedError(answer)
        return answer

    try:
        return await gate(kind, told), False
    except _RefusedError as refused:
        answer: T = refused.answer
        return answer, refused.unanswered
