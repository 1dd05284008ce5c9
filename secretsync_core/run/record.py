"""The run's side of the ledger: one thread that owns it, records that travel together, and the end of a run.

While one batch is being made durable the next gathers, so that a record costs a share of an fsync and not a whole one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.audit.places import Holding
from secretsync_core.audit.record import Draft, Event
from secretsync_core.audit.schema import OUTCOMES
from secretsync_core.errors import LeaseHeld, LedgerError, SecretSyncError
from secretsync_core.model.report import Result
from secretsync_core.run.last_words import DONE, last_words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.places import Binding
    from secretsync_core.model.state import Deleted, KeyState, Origin

T = TypeVar("T")

_MOST_AT_ONCE = 512


class LeaseLost(LedgerError):
    """Another run has taken over: nothing more may be recorded, so nothing more is written."""

    code = "lease-lost"


class Recorder:
    """Appends records to one job's chain, in the order in which they were given.

    After the first failure nothing more is recorded and every call raises that failure, so that nothing more is
    written to any store either. With a ``holder`` anything is recorded only while that one has the job's lease: a run
    that was taken over without its knowing, because it was thought dead or was stopped for long, changes nothing more.
    What came of its last writes is announced anew where the records say otherwise, for the next run to look at.
    """

    def __init__(self, ledger: Ledger, job: str, holder: str = "") -> None:
        self._ledger = ledger
        self._job = job
        self._holder = holder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._waiting: list[tuple[Draft, asyncio.Future[None] | None]] = []
        self._drain: asyncio.Task[None] | None = None
        self._broken: LedgerError | None = None
        self._announced: dict[str, Draft] = {}  # of which nothing is known yet
        self.former: Mapping[str, tuple[str, ...]] = {}
        """By destination, the other names under which the ledger still knows keys of its place."""

    @property
    def holder(self) -> str:
        """Who has to have the job's lease for anything to be recorded; empty for nobody."""
        return self._holder

    async def call(self, work: Callable[[], T]) -> T:
        """Run something else that touches the ledger in the thread that owns it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def under_lease(self, work: Callable[[str], T]) -> T:
        """Run something else that changes the ledger, given the holder, without whose lease it changes nothing."""
        if self._broken is not None:
            raise self._broken
        try:
            return await self.call(lambda: work(self._holder))
        except LeaseHeld as error:
            self.lose(error)
            raise LeaseLost(error.message, hint=error.hint) from None

    def lose(self, error: LeaseHeld) -> None:
        """The lease is known to be lost: nothing more is announced."""
        if self._broken is None:
            self._broken = LeaseLost(error.message, hint=error.hint)

    async def record(self, draft: Draft) -> None:
        """Append a record; returns when it is durable."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._add(draft, future)
        await future

    def later(self, draft: Draft) -> None:
        """Append a record soon; :meth:`flush` waits for it."""
        self._add(draft, None)

    async def state(self) -> dict[str, dict[str, KeyState]]:
        """What the ledger knows of every live key: by destination, by key."""

        def work() -> dict[str, dict[str, KeyState]]:
            state: dict[str, dict[str, KeyState]] = {}
            for (dest, key), held in self._ledger.state.keys(self._job):
                state.setdefault(dest, {})[key] = held
            return self._by_present_names(state) if self.former else state

        return await self.call(work)

    async def deleted(self) -> dict[tuple[str, str], Deleted]:
        """What this job deleted last, by (dest, key); some of it may be live again."""
        found = await self.call(lambda: self._ledger.state.deleted(self._job))
        return {(self._name_now(dest), key): told for (dest, key), told in found.items()} if self.former else found

    async def fingerprints(self, dest: str, keys: Collection[str]) -> dict[str, tuple[str, str]]:
        """The fingerprint and the fields of ours that the ledger holds of each of these keys, as far as it does."""

        def work() -> dict[str, tuple[str, str]]:
            return {
                key: (found, ours)
                for name in self._names(dest)
                for key, found, ours in self._ledger.state.fingerprints(self._job, name, keys)
            }

        return await self.call(work)

    async def origins(self, item: str) -> dict[str, list[Origin]]:
        """What the live keys of a plan item came of, by destination."""

        def work() -> dict[str, list[Origin]]:
            found: dict[str, list[Origin]] = {}
            for dest, origin in self._ledger.state.origins(self._job, item):
                found.setdefault(self._name_now(dest), []).append(origin)
            return found

        return await self.call(work)

    async def origins_of(self, dest: str, keys: Collection[str]) -> dict[str, Origin]:
        """What each of these keys came of, as far as they are live at a destination."""

        def work() -> dict[str, Origin]:
            return {
                key: origin
                for name in self._names(dest)
                for key, origin in self._ledger.state.origins_of(self._job, name, keys)
            }

        return await self.call(work)

    async def overwritten(self, dest: str, keys: Collection[str], seconds: float) -> dict[str, str]:
        """The versions that our latest writes of these keys have replaced, of writes in the last ``seconds``."""
        since = int((time.time() - seconds) * 1_000_000)
        return await self.call(lambda: self._ledger.state.overwritten(self._job, dest, keys, since))

    def _name_now(self, name: str) -> str:
        """What a destination that the ledger calls ``name`` is called now."""
        return next((dest for dest, names in self.former.items() if name in names), name)

    def _names(self, dest: str) -> tuple[str, ...]:
        """The names under which the ledger knows keys of a destination's place, the present one last.

        That is none of them where it was another's before: what the ledger has under it is that one's.
        """
        former = self.former.get(dest, ())
        return (*former, dest) if self._name_now(dest) == dest else former

    def _by_present_names(self, state: dict[str, dict[str, KeyState]]) -> dict[str, dict[str, KeyState]]:
        """The state by what destinations are called now; what is known under the present name counts."""
        found: dict[str, dict[str, KeyState]] = {}
        for name in sorted(state, key=lambda name: self._name_now(name) == name):
            found.setdefault(self._name_now(name), {}).update(state[name])
        return found

    async def bindings_of_others(self) -> list[Binding]:
        """The places that the destinations of other jobs are bound to."""
        return await self.call(lambda: self._ledger.places.of_others(self._job))

    async def holders(self, asked: Collection[Holding]) -> set[Holding]:
        """Those of ``asked`` that the ledger holds."""
        return await self.call(lambda: self._ledger.places.holders(asked))

    async def knows(self, dest: str, key: str) -> bool:
        """Whether the ledger says now that this job holds a key: another one may have taken it over meanwhile."""
        return bool(await self.holders([Holding(self._job, dest, key)]))

    async def hand_over(self, draft: Draft, holder: tuple[str, str, str]) -> None:
        """Append what was done with a key that another job held, and with it the end of that; durable on return."""
        await self.flush()
        try:
            await self.under_lease(
                lambda mine: self._ledger.state.hand_over(self._job, draft, *holder, holder=mine),
            )
        except LeaseLost:
            await self.call(lambda: self._ledger.runs.reopen(self._job, [draft]))
            raise
        finally:
            self._announced.pop(draft.intent, None)

    async def position(self) -> int:
        """The number of the last record: a moment for :meth:`moving`."""

        def work() -> int:
            last = next(iter(self._ledger.records(job=self._job, newest_first=True, limit=1)), None)
            return last.seq if last is not None else 0

        return await self.call(work)

    async def moving(self, since: int) -> set[tuple[str, str]]:
        """The (dest, key) of all that a run has written since a position, or may be writing now."""

        def work() -> set[tuple[str, str]]:
            unsettled = [record.draft for record in self._ledger.runs.unsettled(self._job)]
            found = {(self._name_now(draft.dest), draft.key) for draft in unsettled}
            for record in self._ledger.records(job=self._job, newest_first=True):
                if record.seq <= since:
                    break
                found.add((record.draft.dest, record.draft.key))
            return found

        return await self.call(work)

    async def flush(self) -> None:
        """Wait until everything given so far is durable."""
        while self._drain is not None and not self._drain.done():
            await asyncio.shield(self._drain)
        if self._broken is not None:
            raise self._broken

    async def aclose(self) -> None:
        """Wait for what is under way and end the thread. Does not raise what :meth:`flush` would."""
        if self._drain is not None:
            await asyncio.wait([self._drain])
        if isinstance(self._broken, LeaseLost) and self._announced:
            left = list(self._announced.values())
            with suppress(SecretSyncError):  # they are announced as they are, unless somebody has settled them
                await self.call(lambda: self._ledger.runs.reopen(self._job, left))
        self._thread.shutdown(wait=True)

    def _add(self, draft: Draft, future: asyncio.Future[None] | None) -> None:
        if self._broken is not None and not self._takes(draft):
            raise self._broken
        self._waiting.append((draft, future))
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._append_waiting())

    def _takes(self, draft: Draft) -> bool:
        """Whether this record may be appended: after a lost lease, only what tells of earlier writes.

        Even that is not recorded as it is, see :meth:`_append`.
        """
        return self._broken is None or (isinstance(self._broken, LeaseLost) and _tells(draft))

    async def _append_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            drafts = [draft for draft, _ in batch]
            failure: LedgerError | None = None
            try:
                await self.call(lambda drafts=drafts: self._append(drafts))  # type: ignore[misc]
            except LeaseHeld as error:
                failure = LeaseLost(error.message, hint=error.hint)
            except SecretSyncError as error:
                failure = error if isinstance(error, LedgerError) else LedgerError(error.message, hint=error.hint)
            except Exception as error:  # noqa: BLE001  whatever it is, no write may follow an unrecorded intent
                failure = LedgerError(f"the ledger failed with an unexpected {type(error).__name__}")
            self._keep_open(drafts, recorded=failure is None)
            if failure is not None:
                self._broken, waiting = failure, self._waiting
                self._waiting = [each for each in waiting if self._takes(each[0])]
                batch += [each for each in waiting if not self._takes(each[0])]
            for draft, future in batch:
                if future is not None and not future.done():
                    if failure is None or self._takes(draft):
                        future.set_result(None)
                    else:
                        future.set_exception(failure)

    def _keep_open(self, drafts: Sequence[Draft], *, recorded: bool) -> None:
        """Keep which announcements are open: of each that was made, until an outcome is told."""
        if not self._holder:
            return
        for draft in drafts:
            if draft.event is not Event.INTENDED:
                self._announced.pop(draft.intent, None)
            elif recorded:
                self._announced[draft.intent] = draft

    def _append(self, drafts: Sequence[Draft]) -> None:
        if not self._holder:
            self._ledger.append(self._job, drafts)
            return
        try:
            self._ledger.append(self._job, drafts, holder=self._holder)
        except LeaseHeld:
            self._ledger.runs.reopen(self._job, [draft for draft in drafts if _tells(draft)])
            raise


def _tells(draft: Draft) -> bool:
    """Whether a record tells what came of an announced write."""
    return bool(draft.intent) and draft.event in OUTCOMES


# -- Closing a run of which nothing is left ---------------------------------------------------------------------------
#
# A run in one process ends itself. One whose steps are processes of their own may fail in any of them, or lose them,
# and none knows that it was the last; whoever sees the whole run closes it.


def close_run(ledger: Ledger, job: str, run: str, holder: str, *, reason: str, items: Collection[str] = ()) -> bool:
    """Give back the lease that ``holder`` has for a run that is over, and record its end, unless that is done.

    A write that it left announced counts as uncertain: only a look at the destination can tell what became of it, and
    the next run takes that look. ``reason`` is how it ended, in one word. ``items`` are those that it was asked for:
    they are out of sync where it was cut off before it could say how any of them is. Of what it had begun that is
    known already. Gives whether an end was recorded: none is where another run has taken over, which does that itself.
    Raises LedgerError.
    """
    if items and not ledger.runs.began(job, run):
        with suppress(LeaseHeld):  # it never had the lease, or another run has it: that one will tell
            ledger.items.begin(job, run, items, holder=holder)
    return ledger.runs.close(job, run, holder, reason=reason, counts=lambda: told(counts_of(ledger, job, run)))


def told(counts: Mapping[Result, int]) -> str:
    """Counts as the ledger has them."""
    return " ".join(f"{result.value}={count}" for result, count in counts.items() if count)


def counts_of(ledger: Ledger, job: str, run: str) -> Counter[Result]:
    """What the run's records say that it did, by the last word on each secret; nothing of what needed no write."""
    last: dict[tuple[str, str], Result | None] = {
        place: _result(word.told) for place, word in last_words(ledger, job, run).items()
    }
    for record in ledger.runs.unsettled(job):
        if record.draft.run == run:
            last[record.draft.dest, record.draft.key] = Result.UNCERTAIN
    results = list(last.values())
    return Counter({result: results.count(result) for result in (*DONE.values(), Result.FAILED, Result.UNCERTAIN)})


def _result(told: Draft) -> Result | None:
    """What an outcome counts as; None where a policy left the secret alone."""
    if told.event is Event.DONE:
        return DONE.get(told.action)
    return Result.FAILED if told.event is Event.FAILED else None
