"""One run of a SyncJob at a time: the lease is held, renewed while the run goes on, and given back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.errors import LeaseHeld, SecretSyncError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.engine.recorder import Recorder

LEASE_SECONDS = 60.0
"""How long a lease lasts without being renewed: after so long a dead holder on another machine is taken over."""


@contextlib.asynccontextmanager
async def hold_lease(job: str, ledger: Ledger, recorder: Recorder, stop: asyncio.Event) -> AsyncIterator[None]:
    """Hold the lease of ``job``. A holder that died on this machine is taken over at once.

    Raises LeaseHeld where another run holds it. If it is lost meanwhile, ``stop`` is set, and LeaseHeld is raised
    at the end.
    """
    holder = _holder()
    host = holder.partition("/")[0]

    def acquire() -> None:
        try:
            ledger.acquire_lease(job, holder, LEASE_SECONDS)
        except LeaseHeld:
            current = ledger.lease(job)
            if current is None or not _is_dead(current.holder, host):
                raise
            ledger.release(job, current.holder)
            ledger.acquire_lease(job, holder, LEASE_SECONDS)

    await recorder.call(acquire)
    lost: list[SecretSyncError] = []

    async def renew() -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await recorder.call(lambda: ledger.renew(job, holder, LEASE_SECONDS))
            except SecretSyncError as error:
                lost.append(error)
                stop.set()
                return

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        if not lost:
            # A ledger that fails now has failed the run already; the lease then ends by itself.
            with contextlib.suppress(SecretSyncError):
                await recorder.call(lambda: ledger.release(job, holder))
    if lost:
        raise lost[0]


def _holder() -> str:
    """Who we are: host, process and the moment that process began, so that a pid used again is not taken for us."""
    host = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in socket.gethostname())[:80]
    return f"{host}/{os.getpid()}/{_born(os.getpid()) or 0}/{id(asyncio.current_task()):x}"


def _is_dead(holder: str, host: str) -> bool:
    """Whether a holder ran on this machine, ``host``, and its process is no more. Of others nothing is known."""
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
