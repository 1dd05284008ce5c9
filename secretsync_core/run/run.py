"""A run's hold on everything it works with: the lease, the open stores, the ledger, and the tools made of them.

The command line does a whole run in one hold. An orchestrator gives each step of a run a hold of its own, under one run
id and one lease.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.audit.record import ASIDE, UNDO, Draft, Event
from secretsync_core.errors import SecretSyncError
from secretsync_core.model.report import Result
from secretsync_core.run.binding import find_binding, marks_of, record_binding
from secretsync_core.run.compare import Comparer
from secretsync_core.run.fingerprint import Fingerprinter
from secretsync_core.run.lease import claim_of_this_process, hold_lease
from secretsync_core.run.leftovers import sweep
from secretsync_core.run.opening import open_stores
from secretsync_core.run.positions import keep_positions, known_positions
from secretsync_core.run.record import Recorder
from secretsync_core.run.settling import Settled, settle
from secretsync_core.run.transfer import Transfer
from secretsync_core.run.undoing import Undoing, look_and_decide

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError, Outcome, Report
    from secretsync_core.run.binding import Binding
    from secretsync_core.run.fingerprint import FingerprintKey
    from secretsync_core.run.gate import RetryPolicy
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.lease import Claim
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.written import Written
    from secretsync_core.schema.documents import Documents

T = TypeVar("T", bound=Transfer)


def new_run_id() -> str:
    """A run's id: when it began, in UTC, and a few random digits, so that ids sort by time and never meet."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


class Run:
    """What a run, or a step of it, works with. Made by :func:`open_run`.

    ``settled`` has what became of the writes that earlier runs left open, once :meth:`settle` has looked.
    """

    def __init__(
        self,
        plan: JobPlan,
        ledger: Ledger,
        recorder: Recorder,
        opened: OpenStores,
        fingerprinter: Fingerprinter,
        name: str,
        stop: asyncio.Event,
        binding: Binding,
    ) -> None:
        self.plan = plan
        self.opened = opened
        self.recorder = recorder
        self.name = name
        self.stop = stop
        self.comparer = Comparer(plan, opened, fingerprinter, recorder)
        self.settled = Settled()
        self._begun: set[str] = set()
        self._binding = binding
        self._ledger = ledger
        self._fingerprinter = fingerprinter

    async def settle(self, only: Callable[[Draft], bool] | None = None) -> None:
        """Give the announced writes that earlier runs left open their outcome; ``settled`` has what came of it.

        With ``only`` some of them, which nobody else works on now, and no run is closed.
        """
        self.settled = await settle(
            self.plan.job,
            self.name,
            self._ledger,
            self.recorder,
            self.opened,
            self._fingerprinter,
            only,
            name_now=self._binding.name_now,
        )

    async def sweep(self) -> list[str]:
        """Remove what processes left at the destinations that were killed while they wrote; gives what to tell."""
        return await sweep(self.plan.spec.dest, self.opened)

    async def start(self, undoes: str = "", *, aside: bool = False, plan: str = "") -> None:
        """Record that this run began, unless a step of it did so already and it goes on.

        ``undoes`` is the run that it undoes; ``aside``: it is of no plan item, and says nothing of how the job stands;
        ``plan``: the digest of the saved plan that it carries out.
        """
        await self.recorder.under_lease(
            lambda holder: self._ledger.runs.start(
                self.plan.job, self.name, undoes=undoes, aside=aside, plan=plan, holder=holder
            )
        )
        await record_binding(self.plan.job, self.name, self._binding, self._ledger, self.recorder, self.opened.looked)

    def transfer(self, settled: Callable[[Outcome], None]) -> Transfer:
        """What carries out changes; ``settled`` is told of each outcome."""
        return self._made(Transfer, settled)

    def undoing(self, settled: Callable[[Outcome], None]) -> Undoing:
        """What undoes what another run wrote; ``settled`` is told of each outcome."""
        return self._made(Undoing, settled)

    def _made(self, kind: type[T], settled: Callable[[Outcome], None]) -> T:
        return kind(
            self.plan,
            self.opened,
            self.recorder,
            self._fingerprinter,
            self.comparer,
            run=self.name,
            stop=self.stop,
            settle=settled,
            late=self.settled.not_made,
        )

    def name_now(self, name: str) -> str:
        """What a destination of the ledger's is called now."""
        return self._binding.name_now(name)

    async def look_and_decide(self, written: Sequence[Written]) -> tuple[list[Change], list[ItemError]]:
        """What this run does to undo what another one has ``written``, and the destinations that were not seen."""
        return await look_and_decide(written, self.opened, self._fingerprinter, self.name)

    async def note_items(self, *, out: Collection[str], well: Collection[str], as_before: Collection[str] = ()) -> None:
        """Record which items of the document are out of sync now, and which are well; an empty name is the job."""
        known = self.plan.told_by_items(out)
        await self.recorder.under_lease(
            lambda holder: self._ledger.items.note(
                self.plan.job, self.name, out=known, well=well, as_before=as_before, holder=holder
            )
        )

    async def begin_items(self, items: Collection[str]) -> None:
        """Record, before anything of them is changed, that these items are being worked at: they are out of sync once
        this run is over, whatever ends it, unless it has said more of them by then."""
        known = self.plan.told_by_items(items)
        if known:
            self._begun |= known
            await self.recorder.under_lease(
                lambda holder: self._ledger.items.begin(self.plan.job, self.name, known, holder=holder)
            )

    async def forget(self, dest: str, keys: Collection[str]) -> int:
        """Let the ledger know these keys no longer; gives how many it knew."""
        return await self.recorder.under_lease(
            lambda holder: self._ledger.state.forget(self.plan.job, self.name, dest, keys, holder=holder)
        )

    async def finish_aside(self, report: Report) -> None:
        """Record that this run, which was of no plan item, ended: it says nothing of how the job stands."""
        await self._end(report, ASIDE)

    async def finish_undo(self, report: Report) -> None:
        """Record that this run, which undid another, ended: what it moved is not as the plan wants it any more.

        That makes it no success, whatever it did: its end always says why.
        """
        moved = report.items_with(Result.CREATED, Result.UPDATED, Result.DELETED)
        await self.note_items(out=moved, well=(), as_before=self._begun)
        await self._end(report, report.verdict or UNDO)

    async def keep_positions(self) -> None:
        """Keep in the ledger how far the servers have got that this run has asked."""
        names = [*self.plan.sources, *self.plan.spec.dest]
        await keep_positions(names, self.plan, self.opened, self._ledger, self.recorder)

    async def finish(self, report: Report) -> None:
        """Record that this run ended, and how."""
        # Stopped, it knows of no others than those that it had begun: what it did not reach of them is out of sync.
        names = self._begun if report.stopped else {"", *(item.name for item in self.plan.items)}
        await self.note_items(out=report.out_of_sync, well=names - report.beyond)
        await self._end(report, report.verdict)

    async def _end(self, report: Report, reason: str) -> None:
        await self.recorder.record(
            Draft(Event.RUN_FINISHED, self.name, reason=reason, counts=report.counted, requests=report.asked)
        )
        # The run has ended, whatever becomes of this: without it the next one looks at more.
        with suppress(SecretSyncError):
            await self.recorder.call(lambda: self._ledger.standings.keep(self.plan.job, holder=self.recorder.holder))


@asynccontextmanager
async def open_run(
    plan: JobPlan,
    documents: Documents,
    ledger: Ledger,
    *,
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey,
    name: str,
    retry: RetryPolicy | None = None,
    stop: asyncio.Event | None = None,
    claim: Claim | None = None,
    sources: bool = True,
    also: Sequence[str] = (),
    goes_on: bool = False,
) -> AsyncIterator[Run]:
    """Take the job's lease and open its stores, ``sources`` too; give both back at the end.

    ``also`` are stores that lead to where destinations were that the job has no longer. ``goes_on``: an earlier step of
    the run has looked whether the job's chain holds.

    Raises LedgerBroken where that does not hold, LeaseHeld where another run of the job is going on, and LedgerError
    where the ledger fails.
    """
    stop, claim = stop or asyncio.Event(), claim or claim_of_this_process()
    recorder = Recorder(ledger, plan.job, claim.holder)
    try:
        if not goes_on:
            await recorder.call(lambda: ledger.standings.check(plan.job))
        reached = await known_positions(ledger, recorder)
        async with (
            hold_lease(plan.job, ledger, recorder, stop, claim) as assure,
            open_stores(
                plan,
                documents,
                environ=environ,
                retry=retry,
                stop=stop,
                sources=sources,
                also=also,
                marks=await marks_of(plan.job, ledger, recorder, fingerprint_key),
            ) as opened,  # fmt: skip
        ):
            opened.reached = reached
            for gate in opened.gates.values():
                gate.before_changes = assure
            dests = tuple(dict.fromkeys((*plan.spec.dest, *also)))
            binding = await find_binding(plan.job, dests, ledger, recorder, opened)
            yield Run(
                plan, ledger, recorder, opened, Fingerprinter(fingerprint_key, binding.names), name, stop, binding
            )
    finally:
        await recorder.aclose()
