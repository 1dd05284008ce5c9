"""The ledger in PostgreSQL instead of SQLite: what it does to a full copy and to a run that finds nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import databases
from benchmarks.bench import say
from benchmarks.ours import Sync
from benchmarks.result import Row, at_most, seconds
from benchmarks.servers import check_copy

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME = "postgres"
_ROUNDS = 2


def run(bench: Bench) -> list[Row]:
    """A real PostgreSQL on this machine, alternating with SQLite; the best of two."""
    copies: dict[str, list[float]] = {"SQLite": [], "PostgreSQL": []}
    unchanged: dict[str, list[float]] = {"SQLite": [], "PostgreSQL": []}
    with databases.postgres() as server:
        for _ in range(_ROUNDS):
            for name, url in {"SQLite": "", "PostgreSQL": server.database()}.items():
                dest = bench.servers.dest.mount()
                sync = Sync(bench.source, dest, bench.directory(name.lower()), ledger=url)
                copies[name].append(sync.run().seconds)
                check_copy(bench.source, dest, bench.count)
                unchanged[name].append(sync.run().seconds)
                dest.drop()
                say(f"{name}: copy {seconds(copies[name][-1])}, nothing changed {seconds(unchanged[name][-1])}")
    return [
        _row(f"full copy of {bench.count:,} secrets", copies),
        _row(f"nothing changed in {bench.count:,} secrets", unchanged),
    ]


def _row(what: str, times: dict[str, list[float]]) -> Row:
    mine, base = min(times["PostgreSQL"]), min(times["SQLite"])
    return at_most(
        NAME,
        f"{what}, ledger in PostgreSQL: times as long",
        seconds(mine),
        f"SQLite {seconds(base)}",
        mine / base,
        None,
    )
