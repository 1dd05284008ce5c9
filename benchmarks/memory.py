"""The peak of ten times as many secrets: values are streamed, so only keys and versions may grow with their number."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import secret_data
from benchmarks.bench import Bench, say
from benchmarks.ours import Sync
from benchmarks.result import Row, megabytes, seconds
from benchmarks.servers import check_copy

if TYPE_CHECKING:
    from benchmarks.servers import Mount

NAME = "memory"
_TIMES_AS_MANY = 10
_GROWTH = 1.5


class _Peaks(NamedTuple):
    """The peaks of two runs, and what the keys and versions take that both hold."""

    copy: int
    unchanged: int
    text: int


def run(bench: Bench) -> list[Row]:
    """A full copy and a run that finds nothing to do, at both sizes."""
    few, many = bench.count, bench.count * _TIMES_AS_MANY
    source, dest = bench.servers.source.mount(), bench.servers.dest.mount()
    source.seed(secret_data.secrets(few))
    small = _peaks(bench, source, dest, few)
    dest.drop()

    say(f"seeding {many - few:,} secrets more")
    source.seed((secret_data.key(number), secret_data.value(number)) for number in range(few, many))
    dest = bench.servers.dest.mount()
    large = _peaks(bench, source, dest, many)
    source.drop()
    dest.drop()

    text = large.text - small.text
    print(
        "memory: a sync may hold the key of a secret three times (in the inventory of the source, in that of the",
        "destination, in the ledger's state) and each of its two versions twice (in an inventory and in the state).",
        f"The sizes of these strings (sys.getsizeof) add up to {megabytes(small.text)} for {few:,} secrets and to",
        f"{megabytes(large.text)} for {many:,}, so the peak of {many:,} may be {_GROWTH:g} times that of {few:,}, plus",
        f"{megabytes(text)}.",
        sep="\n",
        flush=True,
    )
    return [
        _row(f"full copy of {many:,}: peak memory", few, small.copy, large.copy, text),
        _row(f"nothing changed in {many:,}: peak memory", few, small.unchanged, large.unchanged, text),
    ]


def _row(what: str, few: int, small: int, large: int, text: int) -> Row:
    bound = _GROWTH * small + text
    return Row(
        NAME,
        what,
        megabytes(large),
        f"{few:,}: {megabytes(small)}; keys and versions {megabytes(text)}",
        f"{(large - text) / small:.2f}",
        f"<= {_GROWTH:g} ({megabytes(bound)})",
        met=large <= bound,
    )


def _peaks(bench: Bench, source: Mount, dest: Mount, count: int) -> _Peaks:
    sync = Sync(source, dest, bench.directory("memory"))
    copy = sync.run()
    check_copy(source, dest, count)
    say(f"memory, {count:,} secrets: full copy {seconds(copy.seconds)}, peak {megabytes(copy.peak_bytes)}")
    unchanged = sync.run()
    peak = megabytes(unchanged.peak_bytes)
    say(f"memory, {count:,} secrets: nothing changed {seconds(unchanged.seconds)}, peak {peak}")
    return _Peaks(copy.peak_bytes, unchanged.peak_bytes, _text_bytes(sync))


def _text_bytes(sync: Sync) -> int:
    """What the keys and version tokens take in memory, read from the ledger's state: all three hold the same ones."""
    total = 0
    for key, source_version, dest_version in sync.state():
        total += 3 * sys.getsizeof(key) + 2 * sys.getsizeof(source_version) + 2 * sys.getsizeof(dest_version)
    return total
