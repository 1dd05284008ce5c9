"""One run's hold on everything it works with: the lease, the open stores, the ledger, and the tools made of them.

The command line runs a whole sync in one session. An orchestrator gives each step of a run a session of its own,
under one run id and one lease.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from secretsync_core.audit.record import Draft, Event
from secretsync_core.engine.canonical import Fingerprinter
from secretsync_core.engine.compare import Comparer
from secretsync_core.engine.lease import claim_of_this_process, hold_lease
from secretsync_core.engine.opening import open_stores
from secretsync_core.engine.ownership import owner_marks
from secretsync_core.engine.recorder import Recorder
from secretsync_core.engine.settle import settle
from secretsync_core.engine.survey import survey
from secretsync_core.engine.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.engine.canonical import FingerprintKey
    from secretsync_core.engine.gate import RetryPolicy
    from secretsync_core.engine.lease import Claim
    from secretsync_core.engine.opening import OpenStores
    from secretsync_core.engine.survey import ChangeSet
    from secretsync_core.model.report import Outcome, Report
    from secretsync_core.plan.items import JobPlan
    from secretsync_core.schema.documents import Documents


class Session:
    """What a run, or a step of it, works with. Made by :func:`open_session`."""

    def __init__(
        self,
        plan: JobPlan,
        ledger: Ledger,
        recorder: Recorder,
        opened: OpenStores,
        fingerprinter: Fingerprinter,
        run: str,
        stop: asyncio.Event,
    ) -> None:
        self.plan = plan
        self.opened = opened
        self.recorder = recorder
        self.run = run
        self.stop = stop
        self.comparer = Comparer(plan, opened, fingerprinter, recorder)
        self._ledger = ledger
        self._fingerprinter = fingerprinter

    async def settle_dead_runs(self) -> int:
        """Give the announced writes of runs that were killed their outcome; gives how many there were."""
        return await self._settle(None)

    async def settle_writes(self, only: Callable[[Draft], bool]) -> int:
        """Do so for some of those writes, which nobody else works on now, and end no run."""
        return await self._settle(only)

    async def _settle(self, only: Callable[[Draft], bool] | None) -> int:
        return await settle(
            self.plan.job, self.run, self._ledger, self.recorder, self.opened, self._fingerprinter, only
        )

    async def survey(self, *, verify: bool, keep_unchanged: bool = False) -> ChangeSet:
        """Ask the stores and the ledger, and decide about every key."""
        state = await self.recorder.state()
        return await survey(
            self.plan, self.opened, state, self.comparer, self.recorder, verify=verify, keep_unchanged=keep_unchanged
        )

    async def start(self) -> None:
        """Record that this run began, unless a step of it did so already and it goes on."""
        await self.recorder.call(lambda: self._ledger.runs.start(self.plan.job, self.run))

    def transfer(self, settled: Callable[[Outcome], None]) -> Transfer:
        """What carries out changes; ``settled`` is told of each outcome."""
        return Transfer(
            self.plan,
            self.opened,
            self.recorder,
            self._fingerprinter,
            self.comparer,
            run=self.run,
            stop=self.stop,
            settle=settled,
        )

    async def finish(self, report: Report) -> None:
        """Record that this run ended, and how."""
        well = () if report.stopped else [item.name for item in self.plan.items]
        await self.recorder.call(
            lambda: self._ledger.items.mark(self.plan.job, self.run, out=report.left_out, well=well)
        )
        end = Draft(Event.RUN_FINISHED, self.run, reason=report.verdict, counts=report.counted, requests=report.asked)
        await self.recorder.record(end)


@asynccontextmanager
async def open_session(
    plan: JobPlan,
    documents: Documents,
    ledger: Ledger,
    *,
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey,
    run: str,
    retry: RetryPolicy | None = None,
    stop: asyncio.Event | None = None,
    claim: Claim | None = None,
) -> AsyncIterator[Session]:
    """Take the job's lease and open its stores; give both back at the end.

    Raises LeaseHeld where another run of the job is going on, and LedgerError where the ledger fails.
    """
    stop, claim = stop or asyncio.Event(), claim or claim_of_this_process()
    recorder = Recorder(ledger, plan.job, claim.holder)
    try:
        async with (
            hold_lease(plan.job, ledger, recorder, stop, claim),
            open_stores(
                plan, documents, environ=environ, retry=retry, stop=stop, marks=owner_marks(plan.job, fingerprint_key)
            ) as opened,
        ):
            yield Session(plan, ledger, recorder, opened, Fingerprinter(fingerprint_key), run, stop)
    finally:
        await recorder.aclose()
