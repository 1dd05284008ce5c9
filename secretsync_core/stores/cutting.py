"""Connections of urllib3 that another thread can cut, and whose answers have a size: for all clients that block.

A socket's own timeout is for each read, so that a server that sends a byte a second is waited for without end, and a
client that gathers an answer takes all that comes. ``cuttable`` makes connection pools that know of the call in whose
thread they work, whether it is the Kubernetes client, botocore or requests that drives them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

_HERE = threading.local()


class TooLargeError(Exception):
    """An answer of more than ``most`` bytes. Clients wrap it: ``stores.http.errors_behind`` finds it."""

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} bytes")
        self.most = most


class Call:
    """Something that blocks in a thread, for as long as the block runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Any = None
        self._is_cut = False

    def __enter__(self) -> Self:
        _HERE.call = self
        return self

    def __exit__(self, *_: object) -> None:
        _HERE.call = None
        with self._lock:
            self._connection = None

    def cut(self) -> None:
        """Shut the connection that this call waits at, from another thread: it then ends with an error of its own."""
        with self._lock:
            self._is_cut = True
            if self._connection is not None:
                _end(self._connection)

    def uses(self, connection: Any) -> None:
        """Note that it waits at this connection now. Raises ConnectionAbortedError where it was cut."""
        with self._lock:
            self._connection = connection
            if self._is_cut:
                raise ConnectionAbortedError


class Ends(Protocol):
    """Something that a call waits for, and that knows how to end."""

    def cut(self) -> None:
        """End it, from another thread."""
        ...


def belongs(started: Ends) -> None:
    """Note that the call in this thread waits for this now. Raises ConnectionAbortedError where it was cut."""
    call = getattr(_HERE, "call", None)
    if call is not None:
        call.uses(started)


def _end(waited_for: Any) -> None:
    if hasattr(waited_for, "cut"):
        waited_for.cut()
    else:
        _shut(waited_for)


def _shut(connection: Any) -> None:
    sock = getattr(connection, "sock", None)
    sock = getattr(sock, "socket", sock)  # TLS within TLS, to a proxy
    if isinstance(sock, socket.socket):
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which takes its TLS away from under the thread that reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


@contextlib.contextmanager
def answers_up_to(most: int) -> Iterator[None]:
    """Let answers in this thread be no larger than ``most`` bytes, decompressed: one that is raises TooLargeError."""
    _HERE.most = most
    try:
        yield
    finally:
        _HERE.most = None


class _Connection:
    """What is put before the connection class of a client."""

    sock: Any

    def connect(self) -> None:
        _note(self)
        super().connect()  # type: ignore[misc]
        _note(self)

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        _note(self)
        super().putrequest(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        response = super().getresponse(*args, **kwargs)  # type: ignore[misc]
        most = getattr(_HERE, "most", None)
        if most is not None:
            _bound(response, most)
        return response


def _note(connection: _Connection) -> None:
    call = getattr(_HERE, "call", None)
    if call is not None:
        call.uses(connection)


def _bound(response: Any, most: int) -> None:
    """Let a response of urllib3 end in an error when it has given so much."""
    whole = response.stream

    def stream(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        given = 0
        for chunk in whole(*args, **kwargs):
            given += len(chunk)
            if given > most:
                response.close()  # what is still to come would stand before the next answer
                raise TooLargeError(most)
            yield chunk

    response.stream = stream


_made: dict[type, type] = {}


def cuttable(pools: Mapping[str, Any]) -> dict[str, Any]:
    """A client's pool classes, by scheme, as ones whose connections can be cut."""
    return {
        scheme: pool if pool in _made.values() else _made.get(pool) or _made.setdefault(pool, _pool(pool))
        for scheme, pool in pools.items()
    }


def _pool(pool: Any) -> type:
    connection = type(pool.ConnectionCls.__name__, (_Connection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})
