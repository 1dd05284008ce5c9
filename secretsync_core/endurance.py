"""How much of a store is put up with before it is given up: time, bytes, pages and depth. All bounds stand here.

A server that never ends, on purpose or not, holds a run, its lease and this machine's memory. So each request has a
deadline and each answer a size, and a listing has both and must bring something new. ``spec.limits`` of a SecretStore
sets them; whatever is beyond one ends in an error that names it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from secretsync_core.errors import AnswerTooLarge, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

MIB = 2**20

CONNECT_SECONDS = 10.0
"""How long it may take to be connected."""

READ_SECONDS = 60.0
"""How long a server may be silent in the middle of a request."""

STOP_SECONDS = 10.0
"""How long requests in flight may go on once a run is asked to stop. Then they are cut."""

GOODBYE_SECONDS = 2.0
"""How long each request may take that is made after that: to look what became of a write, to give back a token."""

GIVE_UP_SECONDS = 20.0
"""How long a run that is asked to stop may take in all, whatever holds it. Kubernetes ends a pod after 30."""

LAST_SECONDS = 4.0
"""How long the process has after that to end by itself. A thread in a database or a disk that hangs cannot be ended."""

RETRY_SECONDS = 90.0
"""A request is made again only while its attempts have taken no longer than this: those that get no answer have."""

DEPTH = 200
"""How deep objects and lists may stand in each other in a value: JSON goes through functions that call themselves."""

FOLDERS = 128
"""How deep a folder may be, by the folders around it."""

MOST_FOUND = 5_000_000
"""How much one listing may find."""

_LISTING_TIMES = 5  # an answer of a listing may take so many times as long as another, for it may be of a whole tree
_LISTING_SIZES = 4  # and be so many times as large
_STREAMED_SIZES = 32  # and so many times where it is taken apart as it comes in, and not held


@dataclass(frozen=True, slots=True)
class Endurance:
    """The bounds that one store is held to. Times are in seconds, sizes in bytes.

    Attributes:
        request: how long a request may take until its answer is whole; one of a listing five times as long.
        listing: how long a listing may take, in all its requests.
        answer: how large an answer may be, decompressed; one of a listing four times as large, and thirty-two times
            where it is taken apart as it comes in.
        pages: how many requests of a listing in a row may bring nothing new.
    """

    request: float = 120.0
    listing: float = 4 * 3600.0
    answer: int = 32 * MIB
    pages: int = 10_000

    def seconds(self, kind: str) -> float:
        """How long a request of this kind, as the gate counts it, may take."""
        return self.request * _LISTING_TIMES if kind == "list" else self.request

    def most(self, kind: str, *, streamed: bool = False) -> int:
        """How many bytes the answer to a request of this kind may have."""
        if streamed:
            return self.answer * _STREAMED_SIZES
        return self.answer * _LISTING_SIZES if kind == "list" else self.answer


def too_slow(store: str, seconds: float) -> StoreUnavailable:
    """The error for a request that is not answered, or not to the end, within its time."""
    return StoreUnavailable(
        f"store {store} did not answer a request to the end within {seconds:g} s",
        store=store,
        hint=_hint("request", "if it really needs longer"),
    )


def too_long(store: str, seconds: float) -> StoreError:
    """The error for a listing that is not through within its time."""
    return StoreError(
        f"store {store} did not end a listing within {seconds:g} s",
        store=store,
        hint=_hint("listing", "if there is that much in it; naming a folder in the query helps too"),
    )


def too_large(store: str, action: str, most: int) -> AnswerTooLarge:
    """The error for an answer of more than ``most`` bytes. ``action`` continues ``asked to``."""
    size = f"{most // MIB} MiB" if most >= MIB else f"{most} bytes"
    return AnswerTooLarge(
        f"store {store} answered with more than {size} when asked to {action}",
        store=store,
        hint=_hint("answerMiB", "if it really holds that much"),
    )


def too_many(store: str) -> StoreError:
    """The error for a listing that finds more than any store holds."""
    return StoreError(
        f"store {store} lists more than {MOST_FOUND} secrets",
        store=store,
        hint="name a folder in the query, so that less is listed",
    )


def too_deep(store: str, folder: str) -> StoreError:
    """The error for folders within folders beyond all bounds."""
    start = folder[:40]
    return StoreError(
        f"store {store} has folders more than {FOLDERS} deep in each other, below {start!r}",
        store=store,
        hint="no secrets are kept like that: check the store's address, for something may answer in its place",
    )


class Progress:
    """Sees to it that a listing brings something new, again and again, and ends for all that.

    Also one that nobody asked for by that name: to look at one key, many services have to be listed.
    """

    __slots__ = ("_fruitless", "_listing", "_most", "_shown", "_store", "_until")

    def __init__(self, store: str, endurance: Endurance) -> None:
        """The listing begins now."""
        self._store = store
        self._most = endurance.pages
        self._listing = endurance.listing
        self._until = time.monotonic() + endurance.listing
        self._fruitless = 0
        self._shown: set[str] = set()

    def showed(self, names: Iterable[str]) -> None:
        """Count one page, which showed these names. Raises StoreError after too many that showed none for the first
        time, and where there are more than any store holds."""
        before = len(self._shown)
        self._shown.update(names)
        if len(self._shown) > MOST_FOUND:
            raise too_many(self._store)
        self.made(new=len(self._shown) > before)

    def made(self, *, new: bool) -> None:
        """Count one page or folder, which showed something ``new`` or not. Raises StoreError after too many of the
        latter in a row, and when the listing has taken too long."""
        if time.monotonic() > self._until:
            raise too_long(self._store, self._listing)
        self._fruitless = 0 if new else self._fruitless + 1
        if self._fruitless > self._most:
            raise StoreError(
                f"store {self._store} goes on with a listing, and showed nothing new in {self._most} requests",
                store=self._store,
                hint=_hint("pages", "if so much in it is empty"),
            )


def is_too_deep(found: object, most: int = DEPTH) -> bool:
    """Whether objects and lists stand deeper in each other than that. Calls nothing that calls itself."""
    level: list[Any] = [found]
    for _ in range(most):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def may_be_too_deep(body: bytes, most: int = DEPTH) -> bool:
    """Whether a body has brackets enough for that at all: a quick look that saves most bodies the other one."""
    return body.count(b"{") + body.count(b"[") > most


def of_limits(limits: Mapping[str, float | int | None]) -> Endurance:
    """The bounds that a document sets, by the names above; what is None or missing is as ever."""
    kept: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    return Endurance(**kept)


def _hint(name: str, when: str) -> str:
    return f"{when}, raise limits.{name} of its SecretStore"
