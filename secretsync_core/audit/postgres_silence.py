"""A connection to PostgreSQL that does not wait for ever: a server that says nothing for too long is given up.

A server that is frozen, or behind a network that drops packets, keeps its connections open and answers nothing. Limits
that the server itself keeps do not help then, and those of TCP only where its machine is gone too.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

T = TypeVar("T")


class NoAnswer(psycopg.OperationalError):
    """The server said nothing for as long as we wait; the connection is closed."""


class PatientConnection(psycopg.Connection[tuple[object, ...]]):
    """One that waits ``silence`` seconds for the server's next word, and is closed where none comes."""

    silence = 0.0
    """In seconds; 0 for as long as it takes."""

    def wait(self, gen: Any, *args: Any, **more: Any) -> Any:
        """Wait for what the server answers. Raises NoAnswer."""
        try:
            return super().wait(_listening(gen, self.silence) if self.silence else gen, *args, **more)
        except NoAnswer:
            self.pgconn.finish()  # what was asked may be done yet, so nothing else may be asked here
            raise

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Wait so long within the block, where one statement may take its time."""
        before, self.silence = self.silence, seconds
        try:
            yield
        finally:
            self.silence = before


def _listening(answers: Generator[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """The same answers, unless none comes for so long: psycopg sends a 0 while it waits."""
    until = time.monotonic() + seconds
    try:
        wanted = next(answers)
        while True:
            ready = yield wanted
            if ready:
                until = time.monotonic() + seconds
            elif time.monotonic() > until:
                raise NoAnswer
            wanted = answers.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
