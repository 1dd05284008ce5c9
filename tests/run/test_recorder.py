"""Records travel together, in order, and nothing happens after one that could not be made durable."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Draft, Event
from secretsync_core.errors import LedgerError
from secretsync_core.run.record import Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class _Slow:
    """Stands for a ledger: keeps batches, holds them up until told, and fails when told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = threading.Event()
        self.error: Exception | None = None

    def append(self, _: str, drafts: Sequence[Draft]) -> list[int]:
        self.go.wait(5)
        if self.error:
            raise self.error
        self.batches.append([draft.run for draft in drafts])
        return []


def _recorder() -> tuple[_Slow, Recorder]:
    slow = _Slow()
    return slow, Recorder(slow, "job")  # type: ignore[arg-type]


def _draft(run: object) -> Draft:
    return Draft(Event.RUN_STARTED, str(run))


async def test_a_record_returns_only_when_it_is_durable() -> None:
    """As long as the database has not said so, whoever records waits."""
    slow, recorder = _recorder()
    waiting = asyncio.create_task(recorder.record(_draft("a")))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    slow.go.set()
    await waiting
    assert slow.batches == [["a"]]
    await recorder.aclose()


async def test_records_travel_together_and_in_order() -> None:
    """While one batch is under way the next gathers; none is lost, and none overtakes another."""
    slow, recorder = _recorder()
    recorder.later(_draft(0))
    await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(recorder.record(_draft(number))) for number in range(1, 1200)]
    await asyncio.sleep(0.01)
    slow.go.set()
    await asyncio.gather(*waiting)
    assert [run for batch in slow.batches for run in batch] == [str(number) for number in range(1200)]
    assert [len(batch) for batch in slow.batches] == [1, 512, 512, 175]
    await recorder.aclose()


async def test_flush_waits_for_what_was_left_for_later(tmp_path: Path) -> None:
    """After ``flush`` everything given so far stands in the ledger."""
    with Ledger.open(tmp_path / "l.db", seal_key=b"k" * 32) as ledger:
        recorder = Recorder(ledger, "job")
        for number in range(20):
            recorder.later(_draft(f"r{number}"))
        await recorder.flush()
        assert [record.draft.run for record in ledger.records(job="job")] == [f"r{number}" for number in range(20)]
        await recorder.aclose()


@pytest.mark.parametrize("error", [LedgerError("disk full"), OSError("disk full: top secret")])
async def test_a_failing_ledger_stops_everything(error: Exception) -> None:
    """After the first failure everyone who waits and everyone who comes later is told, and nothing more is appended."""
    slow, recorder = _recorder()
    slow.error = error
    waiting = [asyncio.create_task(recorder.record(_draft(number))) for number in range(3)]
    await asyncio.sleep(0.01)
    waiting.append(asyncio.create_task(recorder.record(_draft("late"))))
    await asyncio.sleep(0.01)
    slow.go.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, LedgerError) for result in results)
    assert "top secret" not in str(results)
    slow.error = None
    with pytest.raises(LedgerError):
        await recorder.record(_draft("x"))
    with pytest.raises(LedgerError):
        await recorder.flush()
    with pytest.raises(LedgerError):
        recorder.later(_draft("x"))
    assert slow.batches == []
    await recorder.aclose()


async def test_closing_waits_for_what_is_under_way() -> None:
    """``aclose`` loses nothing that was given before."""
    slow, recorder = _recorder()
    recorder.later(_draft("a"))
    asyncio.get_running_loop().call_later(0.02, slow.go.set)
    await recorder.aclose()
    assert slow.batches == [["a"]]
