"""A full copy into an empty destination, against the wire limit and against vault-sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import wire
from benchmarks.bench import Bench, say
from benchmarks.ours import Sync
from benchmarks.result import Row, Target, at_least, seconds
from benchmarks.servers import check_copy

if TYPE_CHECKING:
    from benchmarks.servers import Mount

NAME = "copy"
_OF_WIRE = Target(full=0.6)  # at 1,000 secrets the start of our process is most of its time
_OF_PEER = Target(full=5, quick=2)
_ROUNDS = 3


def run(bench: Bench) -> list[Row]:
    """Alternate the wire loop and secretsync, keep the best of each; vault-sync goes once, it takes over a minute."""
    source, count = bench.source, bench.count
    wires: list[float] = []
    ours: list[float] = []
    for number in range(1, _ROUNDS + 1):
        dest = bench.servers.dest.mount()
        wires.append(wire.copy_seconds(source, dest, count, bench.directory("wire")))
        _finish(source, dest, count)
        dest = bench.servers.dest.mount()
        ours.append(Sync(source, dest, bench.directory("copy")).run().seconds)
        _finish(source, dest, count)
        say(f"full copy, round {number}: wire {seconds(wires[-1])}, secretsync {seconds(ours[-1])}")
    dest = bench.servers.dest.mount()
    say("vault-sync: full copy")
    peer = bench.peer.sync(source, dest, bench.directory("vault-sync-copy")).seconds
    _finish(source, dest, count)

    what = f"full copy of {count:,} secrets"
    best, limit = min(ours), min(wires)
    mine = f"{seconds(best)} ({count / best:,.0f}/s)"
    return [
        at_least(
            NAME,
            f"{what}: share of the wire limit",
            mine,
            f"bare GET and PUT loop {seconds(limit)} ({count / limit:,.0f}/s)",
            limit / best,
            _OF_WIRE.at(quick=bench.quick),
        ),
        at_least(
            NAME,
            f"{what}: times as fast",
            mine,
            f"vault-sync {seconds(peer)} ({count / peer:,.0f}/s)",
            peer / best,
            _OF_PEER.at(quick=bench.quick),
        ),
    ]


def _finish(source: Mount, dest: Mount, count: int) -> None:
    check_copy(source, dest, count)
    dest.drop()
