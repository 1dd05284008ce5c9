"""The three ways to run a SyncJob, each reading top to bottom: plan, sync and check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError, Outcome, Report
    from secretsync_core.schema.documents import Documents, JobDocument


@dataclass(frozen=True, slots=True)
class Options:
    """What may be asked of one run.

    Attributes:
        items: only these plan items; empty for all.
        verify: compare values even where versions match.
    """

    items: frozenset[str] = frozenset()
    verify: bool = False


class Observer(Protocol):
    """Told what goes on, as it goes on. Called on the event loop; must not block."""

    def phase(self, name: str) -> None:
        """A phase begins: ``listing``, ``comparing``, ``transferring`` or ``deleting``."""

    def planned(self, total: int) -> None:
        """How many outcomes will follow in this phase."""

    def outcome(self, outcome: Outcome) -> None:
        """One destination secret is settled."""


@dataclass(slots=True)
class Planned:
    """What a sync would do: every change (unchanged ones too), in the order of item and key."""

    job: str
    changes: list[Change]
    warnings: list[str]
    errors: list[ItemError]
    requests: dict[str, dict[str, int]]


async def plan(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger | None,
    *,
    environ: Mapping[str, str],
    options: Options | None = None,
    observer: Observer | None = None,
) -> Planned:
    """Say what a sync would do, without writing anything to any store or to the ledger.

    ``ledger`` may be None where there is none yet. Raises PlanRefused where the plan as a whole must not run.
    """
    raise NotImplementedError


async def sync(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    *,
    environ: Mapping[str, str],
    options: Options | None = None,
    observer: Observer | None = None,
    stop: asyncio.Event | None = None,
) -> Report:
    """Do it. One failed secret does not stop the others; setting ``stop`` finishes what is in flight and returns.

    Raises PlanRefused, LeaseHeld and LedgerError before anything is written; what happens to single items or
    secrets is in the report.
    """
    raise NotImplementedError


async def check(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    *,
    environ: Mapping[str, str],
    options: Options | None = None,
    observer: Observer | None = None,
) -> Report:
    """Look for drift: destination secrets that are not what this job last left there. Reads only destinations.

    Every key that the ledger knows is counted UNCHANGED, or is in ``drifted`` (and counted FAILED with reason
    ``drifted`` or ``removed-outside``); where we may not read, ``drift_unknown`` counts it.
    """
    raise NotImplementedError
