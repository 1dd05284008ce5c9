"""What the ledger keeps of a job beside its runs: items that are out of sync, and the last look for drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit.schema import WITH_RUNS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from secretsync_core.audit.drift import Look
    from secretsync_core.audit.items import OutOfSync
    from secretsync_core.audit.ledger import Ledger, RunSummary
    from secretsync_core.schema.documents import JobDocument


class Findings(NamedTuple):
    """``out_of_sync`` has the job's items, and an empty name for the job as a whole; ``look`` is None before any."""

    out_of_sync: Sequence[OutOfSync]
    look: Look | None


def findings(job: JobDocument, ledger: Ledger) -> Findings | None:
    """What is kept of ``job``; None where the ledger's tables are of a version that keeps no such thing."""
    if ledger.version < WITH_RUNS:
        return None
    return Findings(out_of_sync(job, ledger), ledger.drift.last_look(job.name))


def out_of_sync(job: JobDocument, ledger: Ledger) -> list[OutOfSync]:
    """What is out of sync of ``job`` as its document is now: items, and an empty name for the job as a whole.

    What an earlier run left out stays out until a run has put it right, also if the runs between had other items. An
    item that the document has no longer is left out here: no run will ever put it right.
    """
    names = names_of(job)
    return [each for each in ledger.items.out_of_sync(job.name) if each.item in names]


def names_of(job: JobDocument) -> set[str]:
    """All of ``job`` that can be out of sync: its items, and an empty name for the job as a whole."""
    return {"", *(item.name or "" for item in job.spec.plan)}


def is_in_sync(last: RunSummary | None, out: Collection[str]) -> bool:
    """Whether a job is in sync, by its ``last`` run and what any run left ``out``: that one may have had other items.

    A job that never ran is not, nor one whose last run was cut off: nobody knows what that one left behind.
    """
    return last is not None and last.ok and not out
