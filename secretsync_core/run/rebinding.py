"""What only people can say: that a destination has another place now, and that a job is called otherwise."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from secretsync_core.audit.places import binding_of
from secretsync_core.audit.record import Event
from secretsync_core.counting import plural
from secretsync_core.errors import LedgerError, StoreError, UsageError
from secretsync_core.known import hint_of
from secretsync_core.model.change import Reason
from secretsync_core.model.place import place_of_name
from secretsync_core.run.binding import former_name, parked_name, record_all
from secretsync_core.run.holders import possible_holdings
from secretsync_core.run.lease import claim_of_this_process, hold_lease
from secretsync_core.run.opening import open_named
from secretsync_core.run.record import Recorder
from secretsync_core.run.run import new_run_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.record import Draft
    from secretsync_core.model.place import Place
    from secretsync_core.run.gate import RetryPolicy
    from secretsync_core.schema.documents import Documents, JobDocument


async def rebind(
    job: JobDocument,
    store: str,
    documents: Documents,
    ledger: Ledger,
    *,
    same_secrets: bool,
    environ: Mapping[str, str],
    retry: RetryPolicy | None = None,
) -> tuple[Place | None, Place]:
    """Bind a destination's name to the place where its SecretStore leads now; gives the place of before, and that one.

    With ``same_secrets`` the keys that the ledger knows are at the new place. Otherwise they stay at the old one, as
    orphans. Raises UsageError where ``store`` is no destination of the job, StoreError where it does not open or does
    not say its place, LeaseHeld where a run is going on.
    """
    _needs_places(ledger)
    if store not in job.spec.dest:
        raise UsageError(
            f"STORE is not a destination of SyncJob {job.name}",
            hint=hint_of([store], job.spec.dest, there="its destinations are"),
        )
    async with open_named([store], job.spec.limits, documents, environ=environ, retry=retry) as opened:
        place = opened.get(store).facts.place
    if place is None:
        raise StoreError(f"{store} does not say where it is", store=store)
    known = ledger.places.of(job.name).get(store)
    drafts = [binding_of(run := new_run_id(), store, place)]
    async with _Hold(job.name, ledger) as recorder:
        keys = [key for (dest, key), _ in ledger.state.keys(job.name) if dest == store]
        if same_secrets:
            _check_holders(job.name, store, place, keys, ledger)
        elif (known is None and keys) or (known is not None and not known.is_same(place)):
            # Of a place that is not known only the name is: what stood there is at no place that anybody can open.
            before = known if known is not None else place_of_name(store)
            parked = parked_name(store, before)
            await record_all([*_given_up(job.name, store, run, ledger), binding_of(run, parked, before)], recorder)
            await recorder.under_lease(lambda holder: ledger.state.rename(job.name, run, store, parked, holder=holder))
        await record_all(drafts, recorder)
    return known, place


def _given_up(job: str, store: str, run: str, ledger: Ledger) -> list[Draft]:
    """The end of writes to the old place of which nobody knows what became of them: nobody will look there any more."""
    waiting = [record.draft for record in ledger.runs.unsettled(job) if record.draft.dest == store]
    return [draft._replace(event=Event.FAILED, run=run, reason=Reason.CANNOT_SEE) for draft in waiting]


def _check_holders(job: str, store: str, place: Place, keys: Sequence[str], ledger: Ledger) -> None:
    """Raise UsageError where another job holds a key that would be this job's as well."""
    asked = possible_holdings({store: place}, {store: keys}, ledger.places.of_others(job))
    if held := sorted(ledger.places.holders(asked)) if asked else []:
        raise UsageError(
            f"job {held[0].job} holds {plural(len(held), 'key')} of {store} at {place}, such as {held[0].key}",
            hint=f"--new leaves them to it; `secretsync sync {job} --adopt KEY` takes over single keys",
        )


async def rename_job(old: str, new: str, documents: Documents, ledger: Ledger) -> int:
    """Let the job ``new`` know all that the job ``old`` knew; gives how many keys that were.

    Secrets that carry the old job's mark are the new one's from now on. Raises UsageError where ``old`` is still in
    the documents, ``new`` is not, or the ledger knows no ``old``; LeaseHeld where a run of either is going on.
    """
    _needs_places(ledger)
    if new not in documents.jobs:
        raise UsageError(
            "the documents define no SyncJob with the new name",
            hint="rename it in its document first; the command takes the former name, then the present one",
        )
    still = f"SyncJob {old} is still in the documents, so it keeps its keys"
    if old == new:
        raise UsageError(still, hint="give the job's former name first")
    if old in documents.jobs:
        raise UsageError(
            still,
            hint=f"remove it, if {new} is what it is called now; or take over single keys:"
            f" `secretsync sync {new} --adopt KEY`",
        )
    if old not in ledger.jobs():
        raise UsageError(
            "the ledger has no job with the old name",
            hint=hint_of([old], set(ledger.jobs()) - documents.jobs.keys(), there="jobs that only the ledger has"),
        )
    run = new_run_id()
    async with AsyncExitStack() as stack:
        recorders = {name: await stack.enter_async_context(_Hold(name, ledger)) for name in sorted((old, new))}
        recorder = recorders[new]
        if ledger.runs.unsettled(old):
            raise UsageError(
                f"runs of {old} left writes whose outcome is not known yet",
                hint=f"put SyncJob {old} back and run it once: that settles them",
            )
        names = _names(ledger, old, new)
        known = ledger.places.of(new)
        theirs = [*((names.get(name, name), place) for name, place in ledger.places.of(old).items()), former_name(old)]
        await record_all([binding_of(run, name, place) for name, place in theirs if name not in known], recorder)
        return await recorder.under_lease(lambda holder: ledger.state.take(old, new, run, names, holder=holder))


def _names(ledger: Ledger, old: str, new: str) -> dict[str, str]:
    """What the job ``new`` is to call those destinations of ``old`` whose name is another place to it.

    Raises UsageError where nobody can tell whether they are one place.
    """
    mine, theirs = ledger.places.of(new), ledger.places.of(old)
    used = {dest for (dest, _), _ in ledger.state.keys(old)}
    untold = sorted(dest for dest in used if dest in mine and dest not in theirs)
    if untold:
        raise UsageError(
            f"the ledger does not say where {', '.join(untold)} was when {old} ran last",
            hint=f"put SyncJob {old} back and run it once: that records it",
        )
    return {
        name: parked_name(name, place)
        for name, place in theirs.items()
        if name in mine and not mine[name].is_same(place)
    }


def _needs_places(ledger: Ledger) -> None:
    if not ledger.places.are_kept:
        raise LedgerError(
            f"the ledger {ledger.name} has tables of version {ledger.version}, which keep no places",
            hint="back it up, then run `secretsync audit migrate`",
        )


class _Hold:
    """The lease of a job, and what writes to its chain meanwhile."""

    def __init__(self, job: str, ledger: Ledger) -> None:
        self._job = job
        self._ledger = ledger
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Recorder:
        claim = claim_of_this_process()
        recorder = Recorder(self._ledger, self._job, claim.holder)
        self._stack.push_async_callback(recorder.aclose)
        await self._stack.enter_async_context(hold_lease(self._job, self._ledger, recorder, asyncio.Event(), claim))
        return recorder

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()
