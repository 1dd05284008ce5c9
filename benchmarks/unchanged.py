"""A sync that finds nothing to do: what it asks of the servers, and how long it takes against vault-sync."""

from __future__ import annotations

from benchmarks.bench import Bench, say
from benchmarks.result import Row, Target, at_least, count_at_most, seconds

NAME = "unchanged"
_OF_PEER = Target(full=30, quick=5)
_REQUESTS = 10
_ROUNDS = 3


def run(bench: Bench) -> list[Row]:
    """The best time of three, and the most requests of three."""
    pair = bench.synced
    times, requests, writes = [], [], []
    for number in range(1, _ROUNDS + 1):
        before = pair.source.served(), pair.dest.served()
        times.append(pair.sync.run().seconds)
        served = pair.source.served().since(before[0]).plus(pair.dest.served().since(before[1]))
        requests.append(served.requests)
        writes.append(served.writes)
        say(f"nothing changed, round {number}: secretsync {seconds(times[-1])}, {requests[-1]} requests")
    peer = bench.peer_unchanged.seconds
    what = f"nothing changed in {bench.count:,} secrets"
    return [
        at_least(
            NAME,
            f"{what}: times as fast",
            seconds(min(times)),
            f"vault-sync {seconds(peer)}",
            peer / min(times),
            _OF_PEER.at(quick=bench.quick),
        ),
        count_at_most(NAME, f"{what}: requests to both servers", max(requests), _REQUESTS),
        count_at_most(NAME, f"{what}: writes", max(writes), 0),
    ]
