"""One secret of a hundred has changed: the requests grow with the change, not with the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import kv, secret_data
from benchmarks.bench import Bench, say
from benchmarks.ours import Sync
from benchmarks.result import Row, count_at_most, seconds
from benchmarks.servers import check_copy

if TYPE_CHECKING:
    from benchmarks.servers import Mount

NAME = "changed"
_FIXED, _EACH = 10, 3


def run(bench: Bench) -> list[Row]:
    """Change every hundredth secret of a source, sync once, count."""
    source, dest = bench.servers.source.mount(), bench.servers.dest.mount()
    source.seed(secret_data.secrets(bench.count))
    sync = Sync(source, dest, bench.directory("changed"))
    sync.run()
    numbers = range(0, bench.count, 100)
    kv.run(_change(source, numbers))

    before = source.served(), dest.served()
    took = sync.run().seconds
    served = source.served().since(before[0]).plus(dest.served().since(before[1]))
    check_copy(source, dest, bench.count)
    say(f"{len(numbers)} changed: secretsync {seconds(took)}, {served.requests} requests")
    source.drop()
    dest.drop()

    what = f"{len(numbers):,} of {bench.count:,} secrets changed ({seconds(took)})"
    return [
        count_at_most(NAME, f"{what}: requests to both servers", served.requests, _FIXED + _EACH * len(numbers)),
        count_at_most(NAME, f"{what}: writes", served.writes, len(numbers)),
    ]


async def _change(source: Mount, numbers: range) -> None:
    async with source.kv() as client:
        await kv.for_each(numbers, lambda n: client.put(secret_data.key(n), secret_data.value(n, edition=1)))
