"""A store behind a relay that alters its answers, as the source or the destination of a job that deletes."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import re
from typing import TYPE_CHECKING, Any

from matrix.peers import PEERS, Peer
from run.world import World

from secretsync_core.errors import MalformedAnswer
from support.faulty_http import FaultyHttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from secretsync_core.model.report import Report

GONE = object()
"""In place of a value: the field is taken away."""

REMOTE = {peer.name: peer for peer in PEERS if peer.name not in ("file", "dotenv", "sops", "memory", "key-vault")}
"""Those that a relay can stand before: a key vault speaks TLS alone, and has tests of its own for this."""
KEPT = ("k1", "k2", "k3")


def with_value(body: bytes, path: tuple[str | int, ...], value: object) -> bytes:
    """An answer in JSON with another value at ``path``; an empty path is the whole of it.

    A name in a list stands for the entry that has it, wherever that is.
    """
    if not path:
        return json.dumps(value).encode()
    whole: Any = json.loads(body)
    part = whole
    for step in path[:-1]:
        by_name = isinstance(part, list) and isinstance(step, str)
        part = next(each for each in part if each["name"] == step) if by_name else part[step]
    if value is GONE:
        del part[path[-1]]
    else:
        part[path[-1]] = copy.deepcopy(value)
    return json.dumps(whole).encode()


class Altered:
    """A world whose store ``src`` or ``dst`` is a real one behind ``relay``; the other is in memory."""

    def __init__(self, world: World, relay: FaultyHttp, source: str, peer: Peer, *, may_be_empty: bool = False) -> None:
        """``may_be_empty``: an empty object is what the service says of a place without secrets."""
        self.world = world
        self.relay = relay
        self.may_be_empty = may_be_empty
        self._source = source
        self._peer = peer
        self._put: dict[str, set[str]] = {}

    async def put(self, key: str, value: str) -> None:
        """Write to the source."""
        self._put.setdefault(key, set()).add(value)
        payload: Any = {"password": value.encode() if self._source == "kubernetes" else value}
        if self._source in ("secrets-manager", "parameter-store", "google", "github-variables", "gitlab", "http"):
            payload = json.dumps(payload).encode()
        await self.world.put("src", self._peer.named(key), payload)

    async def remove(self, key: str) -> None:
        """Remove it from the source."""
        del self._put[key]
        await self.world.remove("src", self._peer.named(key))

    async def contents(self) -> dict[str, str]:
        """The passwords at the destination."""
        found = await self.world.all("dst")
        return {self._peer.known(key): _password(value) for key, value in found.items()}

    async def start(self, **spec: str) -> None:
        """Copy four secrets by a job that deletes."""
        for key in (*KEPT, "k4"):
            await self.put(key, f"{key}-old")
        plan = "- {name: all, query: {recursive: true}}"
        self.world.job(plan, deletionPolicy="Delete", maxDelete="100%", **spec)
        report = await self.world.sync()
        assert report.ok, report
        assert len(await self.contents()) == 4

    def holds_value(self, part: object) -> bool:
        """Whether a part of an answer holds the value of a secret, or some of it."""
        said = json.dumps(part)
        values = {value for each in self._put.values() for value in each}
        return any(value in said or base64.b64encode(value.encode()).decode() in said for value in values)

    async def check_kept(self) -> None:
        """Every copy is there, each with a value that its source has had."""
        found = await self.contents()
        assert found.keys() == self._put.keys()
        assert all(value in self._put[key] for key, value in found.items())


def _password(value: Any) -> str:
    fields = json.loads(value) if isinstance(value, bytes) else value
    found = fields["password"]
    return found.decode() if isinstance(found, bytes) else str(found)


def codes(report: Report) -> set[str]:
    """The codes of all that went wrong."""
    return {error.code for error in report.errors} | {outcome.code for outcome in report.failures}


MALFORMED = MalformedAnswer.code


@contextlib.asynccontextmanager
async def altered(
    request: pytest.FixtureRequest, patch: pytest.MonkeyPatch, path: Path, peer: str, *, role: str
) -> AsyncIterator[Altered]:
    """A world with an empty store of a kind in the ``role`` of ``src`` or ``dst``."""
    world = World(path, patch)
    section = REMOTE[peer].section(request, path)
    address = re.findall(r"http://[^'\"/ ]+", section)[0]
    async with FaultyHttp(address) as relay:
        world.store(role, section.replace(address, relay.address))
        try:
            source = peer if role == "src" else "memory"
            yield Altered(world, relay, source, REMOTE[peer], may_be_empty=peer == "google")
        finally:
            relay.heal()
            for handle in world._handles.values():
                await handle.aclose()
            world.close()
