"""One run of a SyncJob at a time: the lease is held, renewed while the run goes on, and given back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.errors import LeaseHeld, SecretSyncError
from secretsync_core.run.record import LeaseLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from secretsync_core.audit.ledger import Lease, Ledger
    from secretsync_core.run.record import Recorder

LEASE_SECONDS = 60.0
"""How long a lease lasts without being renewed: after so long a dead holder on another machine is taken over."""

_FORGOTTEN_SECONDS = 2 * LEASE_SECONDS

PATIENCE_SECONDS = 3600.0
"""How long a run waits for one that is worth waiting for."""

_LOOK_AGAIN_SECONDS = 1.0


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, where there is such a clock."""


def _never(_: str) -> bool:
    return False


def _now() -> float:
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who takes a lease, and how.

    Attributes:
        holder: the name to take it under; the same name may take it again, so that the steps of one run share it.
        is_dead: whether a holder that stands in our way is known to be gone; then it is taken over at once.
        keep: leave it taken at the end, for the next step of the same run.
        is_worth_waiting_for: whether a holder will give it back before long, so that it is better to wait than to
            fail. A run that holds another job's lease never waits: two of them might wait for each other.
    """

    holder: str
    is_dead: Callable[[str], bool]
    keep: bool = False
    is_worth_waiting_for: Callable[[str], bool] = _never


def is_forgotten(lease: Lease, now: float) -> bool:
    """Whether a lease ended so long before ``now``, in seconds since the epoch, that its holder counts as lost.

    A holder that lives renews it three times as often as it has to, on whatever machine it is.
    """
    return now - lease.expires / 1e6 > _FORGOTTEN_SECONDS


def claim_of_this_process() -> Claim:
    """The claim of a run that begins and ends in this process. Dead holders are known on this machine alone."""
    holder = _holder()
    host = holder.partition("/")[0]
    return Claim(holder, lambda other: died_here(other, host))


@contextlib.asynccontextmanager
async def hold_lease(
    job: str, ledger: Ledger, recorder: Recorder, stop: asyncio.Event, claim: Claim
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Hold the lease of ``job``. A holder that is known to be dead is taken over at once; some are waited for.

    Gives what to await right before each request that changes something at a store: a run that slept for longer than
    its lease, and wakes with a write announced and not yet sent, finds out there. It asks nobody while the lease is
    fresh, and raises LeaseLost where it is another's.

    Raises LeaseHeld where another run holds it. If it is lost meanwhile, ``stop`` is set or the recorder refuses to
    announce the next write, whichever is first, and LeaseHeld is raised at the end.
    """
    holder = claim.holder
    until = time.monotonic() + PATIENCE_SECONDS
    fresh_until = 0.0

    def acquire() -> bool:
        try:
            ledger.leases.acquire(job, holder, LEASE_SECONDS)
        except LeaseHeld:
            current = ledger.leases.find(job)
            if current is not None:
                # In this order: a holder that ends between the two questions is dead by the second.
                if time.monotonic() < until and not holds_another() and claim.is_worth_waiting_for(current.holder):
                    return False
                if not claim.is_dead(current.holder):
                    raise
                ledger.leases.release(job, current.holder)
            # It was given back meanwhile, or is by now.
            ledger.leases.acquire(job, holder, LEASE_SECONDS)
        return True

    def holds_another() -> bool:
        return any(lease.holder == holder for lease in ledger.leases.held())

    asked = _now()
    while not await recorder.call(acquire):
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        asked = _now()
    fresh_until = asked + LEASE_SECONDS
    lost: list[SecretSyncError] = []

    async def renew() -> None:
        nonlocal fresh_until
        asked = _now()
        try:
            await recorder.call(lambda: ledger.leases.renew(job, holder, LEASE_SECONDS))
        except SecretSyncError as error:
            if isinstance(error, LeaseHeld):
                recorder.lose(error)
            lost.append(error)
            stop.set()
            raise
        fresh_until = asked + LEASE_SECONDS

    async def assure() -> None:
        if _now() < fresh_until:
            return
        try:
            await renew()
        except LeaseHeld as error:
            raise LeaseLost(error.message, hint=error.hint) from None

    async def keep() -> None:
        with contextlib.suppress(SecretSyncError):
            while True:
                await asyncio.sleep(LEASE_SECONDS / 3)
                await renew()

    renewing = asyncio.create_task(keep())
    try:
        yield assure
    except LeaseLost as error:
        lost.append(LeaseHeld(error.message, hint=error.hint))
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        if not lost:
            # A ledger that fails now has failed the run already; the lease then ends by itself.
            with contextlib.suppress(SecretSyncError):
                if claim.keep:
                    await recorder.call(lambda: ledger.leases.renew(job, holder, LEASE_SECONDS))
                else:
                    await recorder.call(lambda: ledger.leases.release(job, holder))
    if lost:
        raise lost[0] from None


def _holder() -> str:
    return name_of_this_process(f"{id(asyncio.current_task()):x}")


def name_of_this_process(suffix: str) -> str:
    """Host, process, the moment it began (so that a pid used again is not taken for us), and ``suffix``."""
    return f"{_host()}/{os.getpid()}/{_born(os.getpid()) or 0}/{suffix}"


def _host() -> str:
    """This machine, as far as process ids go: containers with the same host name have process ids of their own."""
    name = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in socket.gethostname())[:60]
    try:
        return f"{name}.{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return name


def died_here(holder: str, host: str | None = None) -> bool:
    """Whether a holder was a process of this machine, ``host``, that is no more. Of others nothing is known."""
    host = host or _host()
    theirs = holder.split("/")
    if len(theirs) != 4 or theirs[0] != host or not theirs[1].isdigit():
        return False
    born = _born(int(theirs[1]))
    return born != int(theirs[2]) if theirs[2].isdigit() and int(theirs[2]) else not _alive(int(theirs[1]))


def _born(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None where it is gone or the system does not tell."""
    try:
        # The second field is the program's name in brackets, which may hold anything, brackets and spaces too.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
