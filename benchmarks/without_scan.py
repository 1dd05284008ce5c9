"""Nothing changed, and the server has no SCAN, as HashiCorp Vault: it must be asked for the metadata of each secret."""

from __future__ import annotations

from benchmarks.bench import Bench, say
from benchmarks.result import Row, Target, at_least, count_at_most, seconds

NAME = "without-scan"
_OF_PEER = Target(full=5, quick=2)
_ROUNDS = 2


def run(bench: Bench) -> list[Row]:
    """The same mounts and ledger as of ``unchanged``, with tokens whose policy has no SCAN."""
    pair = bench.synced
    times, requests, writes = [], [], 0
    for number in range(1, _ROUNDS + 1):
        before = pair.source.served(), pair.dest.served()
        times.append(pair.sync.run(with_scan=False).seconds)
        served = pair.source.served().since(before[0]).plus(pair.dest.served().since(before[1]))
        requests.append(served.requests)
        writes += served.writes
        say(f"without SCAN, round {number}: secretsync {seconds(times[-1])}, {served.requests:,} requests")
    peer = bench.peer_unchanged.seconds
    what = f"nothing changed in {bench.count:,} secrets"
    return [
        at_least(
            NAME,
            f"{what}, {max(requests):,} requests: times as fast",
            seconds(min(times)),
            f"vault-sync {seconds(peer)}",
            peer / min(times),
            _OF_PEER.at(quick=bench.quick),
        ),
        count_at_most(NAME, f"{what}: writes", writes, 0),
    ]
