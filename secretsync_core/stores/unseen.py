"""One secret's fault is that secret's: what goes wrong with one hides that one, and no other.

A store that looks at many secrets one by one, or takes a page of them apart entry by entry, makes a Gap of what is
wrong with one of them, and goes on with the others. What says something of all of them is raised as ever: that nobody
answers, that we are to wait, that our credentials are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from secretsync_core.errors import (
    AccessDenied,
    AnswerTooLarge,
    InvalidSecret,
    MalformedAnswer,
    SecretFails,
    StoreUnavailable,
)
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.http import CredentialsRefused, Failing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from secretsync_core.errors import StoreError

E = TypeVar("E")
N = TypeVar("N")
T = TypeVar("T")


class Odd(NamedTuple):
    """In place of what a page shows of one secret: why that makes no sense. Nothing is concluded from it."""

    why: str


def one_by_one(entries: Iterable[E], name: Callable[[E], N], take: Callable[[E], T]) -> list[tuple[N, T | Odd]]:
    """What each entry of a page shows, by its name; Odd for one that makes no sense beside that.

    Raises MalformedAnswer for an entry without a name: whose fault it is nobody knows.
    """
    found: list[tuple[N, T | Odd]] = []
    for entry in entries:
        key = name(entry)
        try:
            found.append((key, take(entry)))
        except MalformedAnswer as error:
            found.append((key, Odd(error.message)))
    return found


def odd_gap(key: str, odd: Odd) -> Gap:
    """The Gap for a secret of which a page makes no sense."""
    return Gap(key, MalformedAnswer.code, f"{key}: {odd.why}", is_key=True)


def unseen(key: str, error: StoreError) -> Gap:
    """The Gap for a secret that was looked at by itself, where that ended with ``error``.

    Raises the error where it may be about the others as well.
    """
    if isinstance(error, AccessDenied):
        # What is told without its key is about the place, or about whoever asks.
        of_it = error.key is not None and not isinstance(error, CredentialsRefused)
    elif isinstance(error, StoreUnavailable):
        of_it = error.is_of_one_secret
    else:
        of_it = isinstance(error, (AnswerTooLarge, InvalidSecret))
    if not of_it:
        raise error
    return Gap(key, error.code, error.message, is_key=True)


def may_be_of_one(error: StoreError) -> bool:
    """Whether a request about several secrets may have failed because of one of them: each then tells by itself."""
    return isinstance(error, (Failing, MalformedAnswer, SecretFails))


def must_be_seen(gap: Gap, store: str) -> None:
    """Raise AccessDenied for a secret of which nobody could see whose it is. What has no key is nobody's."""
    if gap.code != InvalidSecret.code:
        raise AccessDenied(gap.message, store=store, key=gap.prefix)
