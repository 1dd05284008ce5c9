"""The books of a run are closed by whoever sees that nothing of it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from audit.lab import SEAL_KEY, done, intended, started

from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Draft, Event
from secretsync_core.run.record import close_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger in which ``run-1`` holds the lease, and has written one secret and failed at another."""
    with Ledger.open(tmp_path / "ledger.db", seal_key=SEAL_KEY) as opened:
        opened.leases.acquire("job", "me", 60)
        failed = done("b", intent="b")._replace(event=Event.FAILED, reason="access-denied")
        opened.append(
            "job", [started(), intended("a", intent="a"), done("a", intent="a"), intended("b", intent="b"), failed]
        )
        yield opened


def _close(ledger: Ledger) -> bool:
    return close_run(ledger, "job", "run-1", "me", reason="failed")


def test_the_end_is_recorded_once_with_what_was_done(ledger: Ledger) -> None:
    """It has ended, with its reason and its counts; the lease is free; doing it again adds nothing."""
    assert [_close(ledger), _close(ledger)] == [True, False]
    last = ledger.runs.summary("job").last_run
    assert last is not None
    assert (last.reason, last.counts, last.ok) == ("failed", {"created": 1, "failed": 1}, False)
    assert ledger.leases.held() == []
    assert ledger.runs.unfinished("job") == []


def test_the_last_word_on_a_secret_counts(ledger: Ledger) -> None:
    """What failed first and was written by a later step was written."""
    ledger.append("job", [intended("b", intent="again"), done("b", intent="again"), Draft(Event.SKIPPED, "run-1")])
    assert _close(ledger)
    assert ledger.runs.summary("job").last_run.counts == {"created": 2}  # type: ignore[union-attr]


def test_a_write_that_nobody_knows_the_end_of_is_uncertain(ledger: Ledger) -> None:
    """The run has ended, and says so of it; the write stays open, for the next run to look at."""
    ledger.append("job", [intended("b", intent="again"), intended("c")])
    assert _close(ledger)
    last = ledger.runs.summary("job").last_run
    assert last is not None
    assert (last.counts, last.ok) == ({"created": 1, "uncertain": 2}, False)
    assert ledger.runs.unfinished("job") == []
    assert ledger.runs.unsettled_runs("job") == {"run-1": True}
    assert [record.draft.key for record in ledger.runs.unsettled("job")] == ["b", "c"]
    assert ledger.leases.held() == []


def test_another_ones_lease_is_left_alone(ledger: Ledger) -> None:
    """Who took over keeps what is theirs, and records the end of the run itself."""
    ledger.leases.release("job", "me")
    ledger.leases.acquire("job", "next", 60)
    assert not _close(ledger)
    assert ledger.runs.unfinished("job") == ["run-1"]
    assert [lease.holder for lease in ledger.leases.held()] == ["next"]


def test_a_run_that_never_began_is_not_ended(ledger: Ledger) -> None:
    """Nothing is recorded of a run that the ledger does not know."""
    assert not close_run(ledger, "job", "run-2", "me", reason="failed")
    assert ledger.runs.unfinished("job") == ["run-1"]


def test_what_was_written_and_then_found_unchanged_was_written(ledger: Ledger) -> None:
    """A later attempt that finds it in place, and notes its version, has done nothing else with it."""
    found = done("a")._replace(event=Event.SKIPPED, reason="same-value", action="", intent="")
    ledger.append("job", [found])
    assert _close(ledger)
    assert ledger.runs.summary("job").last_run.counts == {"created": 1, "failed": 1}  # type: ignore[union-attr]


def test_what_was_settled_of_another_run_is_that_ones(ledger: Ledger) -> None:
    """A run records what became of an earlier one's write, and counts it as none of its own."""
    ledger.append("job", [done("c", intent="of-another-run")._replace(reason="interrupted")])
    assert _close(ledger)
    assert ledger.runs.summary("job").last_run.counts == {"created": 1, "failed": 1}  # type: ignore[union-attr]


def test_a_run_that_went_on_after_its_end_is_counted_whole(ledger: Ledger) -> None:
    """A step that is tried again begins the run anew: its end tells of what was done before that, too."""
    assert ledger.runs.finish("job", "run-1", reason="failed", counts="created=1 failed=1")
    ledger.append("job", [started(), intended("c", intent="c"), done("c", intent="c")])
    assert _close(ledger)
    assert ledger.runs.summary("job").last_run.counts == {"created": 2, "failed": 1}  # type: ignore[union-attr]


def test_what_is_set_beside_a_new_secret_belongs_to_its_creation(ledger: Ledger) -> None:
    """A secret that the run created, and then gave its tags, is one that it created."""
    tagging = intended("a", intent="tags")._replace(action="update", reason="metadata")
    ledger.append("job", [tagging, tagging._replace(event=Event.DONE)])
    assert _close(ledger)
    assert ledger.runs.summary("job").last_run.counts == {"created": 1, "failed": 1}  # type: ignore[union-attr]
