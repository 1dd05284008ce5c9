"""What the ledger costs: durable records a second, by how many travel together."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from benchmarks import secret_data
from benchmarks.result import Row, seconds
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Draft, Event

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench

NAME = "ledger"
_BATCHES = (1, 32, 512)  # one by one; what 32 writes in flight give; the most that the engine puts together
_SECONDS = 5.0


def run(bench: Bench) -> list[Row]:
    """SQLite with synchronous=FULL: two records a secret, ``intended`` and ``done``."""
    rows = []
    for batch in _BATCHES:
        path = bench.directory("ledger") / "ledger.db"
        records, took = _append(path, batch, 2 * bench.count)
        files = sum(file.stat().st_size for file in path.parent.iterdir())
        rows.append(
            Row(
                NAME,
                f"records a second, {batch} at once (SQLite)",
                f"{records / took:,.0f}",
                f"{records:,} records in {seconds(took)}, {files / records:,.0f} bytes each",
                "",
                "",
                met=None,
            )
        )
    return rows


def _append(path: Path, batch: int, most: int) -> tuple[int, float]:
    drafts = [draft for number in range(most // 2) for draft in _drafts(number)]
    with Ledger.open(path, seal_key=os.urandom(32)) as ledger:
        clock = time.perf_counter()
        done = 0
        while done < most and time.perf_counter() - clock < _SECONDS:
            done += len(ledger.append("everything", drafts[done : done + batch]))
        return done, time.perf_counter() - clock


def _drafts(number: int) -> tuple[Draft, Draft]:
    intended = Draft(
        event=Event.INTENDED,
        run="20260101T000000Z-benchmark",
        intent=f"intent-{number}",
        item="everything",
        dest="dest",
        key=secret_data.key(number),
        action="create",
        reason="new",
        source="source",
        source_key=secret_data.key(number),
        source_version="1@2026-01-01T00:00:00.000000000Z",
        definition="0" * 64,
        fingerprint=f"{number:064x}",
        owned=True,
    )
    return intended, intended._replace(event=Event.DONE, dest_version="1@2026-01-01T00:00:01.000000000Z")
