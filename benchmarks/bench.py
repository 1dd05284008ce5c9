"""What the benchmarks of one run share: the servers, the peer, and the mounts that are costly to fill."""

from __future__ import annotations

import functools
import itertools
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import secret_data
from benchmarks.ours import Sync
from benchmarks.peer import Peer
from benchmarks.servers import Mount, Servers, check_copy

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.child import Usage


class Pair(NamedTuple):
    """A source, a destination that is its copy, and the sync that made it so."""

    source: Mount
    dest: Mount
    sync: Sync


class Bench:
    """One run of the benchmarks.

    Attributes:
        count: how many secrets.
        quick: few secrets, so that only some ratios say something.
        servers: the two OpenBao servers.
    """

    def __init__(self, servers: Servers, work: Path, tools: Path, *, count: int, quick: bool) -> None:
        """``work`` is emptied by whoever made it; ``tools`` stays from run to run."""
        self.servers, self.count, self.quick = servers, count, quick
        self._work, self._tools = work, tools
        self._numbers = itertools.count(1)

    def directory(self, name: str) -> Path:
        """A new directory to work in."""
        path = self._work / f"{next(self._numbers):02}-{name}"
        path.mkdir(parents=True)
        return path

    @functools.cached_property
    def peer(self) -> Peer:
        """vault-sync."""
        return Peer(self._tools)

    @functools.cached_property
    def source(self) -> Mount:
        """A mount of ``count`` secrets that nobody changes."""
        say(f"seeding {self.count:,} secrets")
        mount = self.servers.source.mount()
        mount.seed(secret_data.secrets(self.count))
        return mount

    @functools.cached_property
    def synced(self) -> Pair:
        """That mount and a copy of it, made by SecretSync."""
        dest = self.servers.dest.mount()
        sync = Sync(self.source, dest, self.directory("synced"))
        say("copying them by secretsync, for the runs that follow")
        sync.run()
        check_copy(self.source, dest, self.count)
        return Pair(self.source, dest, sync)

    @functools.cached_property
    def peer_unchanged(self) -> Usage:
        """vault-sync where nothing has changed, on the very mounts that SecretSync is measured on."""
        pair = self.synced
        say("vault-sync: nothing changed")
        before = pair.dest.served()
        usage = self.peer.sync(pair.source, pair.dest, self.directory("vault-sync-unchanged"))
        written = pair.dest.served().since(before).writes
        if written:
            raise AssertionError(f"vault-sync wrote {written} secrets where none had changed")
        return usage


_started = time.perf_counter()


def say(what: str) -> None:
    """Tell what goes on."""
    print(f"[{time.perf_counter() - _started:5.0f} s] {what}", file=sys.stderr, flush=True)
