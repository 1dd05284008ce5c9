"""Who answers, and how far that server has got; and what makes a standby leave the answer to the active node.

OpenBao names cluster and position in ``X-Vault-Index``: base64 of ``{"cluster": ..., "value": "<digits>"}``. An index
that no node has reached is ours to make, and with it every node that is not the active one passes a request on. Vault
Enterprise names ``v1:<cluster>:<local>:<replicated>:<signature>``, of writes only: there the latest one is sent back,
which asks for what is at least as new. Two clusters of Vault may hold the same secrets, by performance replication, so
its clusters are not compared.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, NamedTuple

import orjson

from secretsync_core.errors import TwoServers
from secretsync_core.model.place import alias_of
from secretsync_core.model.position import Position
from secretsync_core.stores.vault.cluster import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX = "X-Vault-Index"
_UNREACHED = str(2**63 - 1)
_FORWARD = {"X-Vault-Inconsistent": "forward-active-node"}


class Index(NamedTuple):
    """What an ``X-Vault-Index`` says: OpenBao's cluster and number (None: it is none), or Vault's two numbers."""

    cluster: str
    value: int | None = None
    signed: tuple[int, int] = (0, 0)


def read_index(header: str) -> Index | None:
    """What a header says; None for any form that is not known."""
    try:
        text = base64.b64decode(header, validate=True)
        if text.startswith(b"v1:"):
            _, _, local, replicated, *_ = text.decode().split(":")
            return Index("", None, (int(local), int(replicated)))
        said = orjson.loads(text)
        cluster, value = said["cluster"], said["value"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None
    if not (isinstance(cluster, str) and is_id(cluster) and isinstance(value, str)):
        return None
    is_number = value.isascii() and value.isdecimal() and len(value) <= len(_UNREACHED)
    return Index(cluster, int(value) if is_number else None)


class Course:
    """What the answers of one store said so far.

    Attributes:
        headers: what every request carries, so that it is answered from no older state than could be. Replaced, and
            never changed.
        asks: whether they make every standby pass a request on to the active node.
    """

    def __init__(self, store: str) -> None:
        self.headers: Mapping[str, str] = {}
        self.asks = False
        self._store = store
        self._server = ""
        self._lowest: int | None = None
        self._highest: int | None = None
        self._signed = (-1, -1)
        self._last: tuple[str, bool] | None = None
        self._differ = False

    @property
    def position(self) -> Position | None:
        """Who answered, and how far that server had got, by the answers that were asked of the active node."""
        return Position(alias_of(self._server), self._lowest, self._highest) if self._server else None

    def check(self) -> None:
        """Raise TwoServers where two clusters have answered: nothing more is to be asked of either."""
        if self._differ:
            raise TwoServers(
                f"{self._store} is two clusters behind one address: its answers name both",
                store=self._store,
                hint="let the address lead to one cluster; what was written since is in the ledger",
            )

    def ask_active_node(self, cluster: str) -> None:
        """Ask the active node of a cluster of OpenBao from now on. Another server, or an older one, ignores it."""
        ours = orjson.dumps({"cluster": cluster, "value": _UNREACHED})
        self.headers, self.asks = {INDEX: base64.b64encode(ours).decode(), **_FORWARD}, True

    def heed(self, header: str | None, *, asked: bool, wrote: bool = False) -> None:
        """Take what an answer says; ``asked``: its request carried headers that ask for the active node.

        Raises TwoServers, with ``unanswered`` where a write went who knows where.
        """
        if header is None or self._last == (header, asked):
            return
        index = read_index(header)
        if index is None:
            return
        self._server = self._server or index.cluster
        if index.cluster != self._server:
            self._differ = True
            try:
                self.check()
            except TwoServers as error:
                error.unanswered = wrote
                raise
        self._last = header, asked
        if index.value is None:
            if index.signed >= self._signed:
                self._signed = index.signed
                self.headers = {INDEX: header, **_FORWARD}
            return
        if not self.asks:
            self.ask_active_node(index.cluster)
        if asked:
            value = index.value
            self._lowest = value if self._lowest is None else min(value, self._lowest)
            self._highest = value if self._highest is None else max(value, self._highest)
