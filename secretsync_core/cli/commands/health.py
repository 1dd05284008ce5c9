"""``secretsync health``: could a sync run now? The stores answer and let us in, the ledger and its key are there.

Reads no value and writes nothing, anywhere. Everything is looked at at once, and nothing for longer than it may take,
so that it serves as a probe.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from secretsync_core.audit import keys
from secretsync_core.audit.databases import exists
from secretsync_core.audit.ledger import LedgerMissing
from secretsync_core.cli import event_loop, exits, report_view, workspace
from secretsync_core.cli.escape import safe
from secretsync_core.cli.json_output import error_object, problem_object
from secretsync_core.cli.tables import show, table
from secretsync_core.cli.times import duration
from secretsync_core.counting import plural
from secretsync_core.errors import LedgerBroken, LedgerError, SecretSyncError, StoreError
from secretsync_core.ledger_address import name_of
from secretsync_core.run import health

if TYPE_CHECKING:
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.run.health import Places, StoreHealth
    from secretsync_core.schema.documents import Documents


@dataclass(slots=True)
class LedgerHealth:
    """What was found of the ledger and its key.

    Attributes:
        name: what to call it.
        key: where its key is, or would be.
        there: whether there is a ledger. None yet is no fault: the first sync makes it.
        chains, version: how many chains it has, and the version of its tables.
        note: what could be done about it, where nothing is wrong.
        seconds: how long it took to find out.
        key_error, error: what is wrong with either.
    """

    name: str
    key: str
    there: bool = False
    chains: int = 0
    version: int = 0
    note: str = ""
    seconds: float = 0.0
    key_error: SecretSyncError | None = None
    error: SecretSyncError | None = None


def run(output: Output, call: Call, *, seconds: float) -> int:
    """Look at everything, for at most ``seconds`` each, and tell."""
    documents = workspace.load(call, output)
    where = _places(call, documents, output)

    async def look() -> int:
        stores, (ledger, pending) = await asyncio.gather(
            health.check_stores(documents, where, environ=os.environ, seconds=seconds), _look_at_ledger(call, seconds)
        )
        code = _tell(output, documents, stores, ledger)
        if pending or any(store.pending for store in stores):
            # A thread that waits for an answer cannot be ended, and the interpreter would wait for it. It only looks.
            output.flush()
            sys.stderr.flush()
            os._exit(code)
        return code

    return event_loop.run(look)


def _places(call: Call, documents: Documents, output: Output) -> dict[str, Places]:
    """The stores to look at, and where: those of the jobs that were named, or all that there are."""
    every = call.names == () and not workspace.uses_files(call)
    jobs = workspace.jobs(call, documents, output, suspended=True) if documents.jobs or not every else []
    where = health.places(jobs)
    if every:
        for name in documents.stores:
            where.setdefault(name, health.Places())
    return where


async def _look_at_ledger(call: Call, seconds: float) -> tuple[LedgerHealth, bool]:
    """The ledger's health, and whether the look at it still goes on."""
    found = LedgerHealth(name_of(workspace.ledger_url(call)), keys.where(os.environ, workspace.state_directory(call)))
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            await asyncio.to_thread(_look, call, found)
    except TimeoutError:
        # The thread may still write to what it was given.
        late = LedgerHealth(found.name, found.key, seconds=time.monotonic() - began)
        late.error = LedgerError(
            f"the ledger {found.name} did not answer within {seconds:g} seconds",
            hint="check that its database is up and not locked",
        )
        return late, True
    found.seconds = time.monotonic() - began
    return found, False


def _look(call: Call, found: LedgerHealth) -> None:
    url = workspace.ledger_url(call)
    try:
        pair = workspace.keys(call)
    except LedgerMissing:
        pair = None
    except SecretSyncError as error:
        found.key_error = error
        return
    try:
        found.there = exists(url)
        if not found.there:
            return
        if pair is None:
            found.key_error = LedgerError(
                "the ledger exists, but its key is missing",
                hint=f"set {keys.VARIABLE} or {keys.FILE_VARIABLE} to the key it was created with",
            )
            return
        # Opened only now that it is there: opening makes one where there is none.
        with workspace.ledger(call, write=True) as opened:
            ledger = opened.ledger
            found.name, found.version, found.note = ledger.name, ledger.version, ledger.outdated
            broken = [report for report in ledger.verify_heads() if not report.sound]
            found.chains = len(ledger.jobs())
            ledger.rehearse()
        if broken:
            raise _broken(broken[0].job, broken[0].faults[0].what)
    except SecretSyncError as error:
        found.error = error


def _broken(job: str, what: str) -> LedgerError:
    return LedgerBroken(
        f"{f'the chain of {job}' if job else 'the ledger'} is broken: {what}",
        hint="run `secretsync audit verify` for details, and keep the ledger unchanged for the investigation",
    )


def _tell(output: Output, documents: Documents, stores: list[StoreHealth], ledger: LedgerHealth) -> int:
    wrong = [error for error in (*(store.error for store in stores), ledger.key_error, ledger.error) if error]
    code = exits.gravest([*(exits.STORE for store in stores if store.error), *(error.exit_code for error in wrong)])
    if output.json:
        output.document(_object(documents, stores, ledger, code))
    elif not output.quiet:
        _show(output, documents, stores, ledger)
    for store in stores:
        report_view.show_warnings(store.warnings, output)
    for error in wrong:
        output.failure(error)
    if ledger.note:
        output.note(ledger.note)
    return code


def _show(output: Output, documents: Documents, stores: list[StoreHealth], ledger: LedgerHealth) -> None:
    grid = table("CHECK", "STATE", "TIME", "DETAILS")
    for store in stores:
        document = documents.stores[store.store]
        told = f"{document.provider}, {document.permissions.value}: {', '.join(store.asked) or 'not reached'}"
        grid.add_row(f"store {store.store}", _state(store.error), duration(store.seconds), safe(told))
    grid.add_row("ledger key", _state(ledger.key_error), "", safe(ledger.key))
    grid.add_row("ledger", _ledger_state(ledger), duration(ledger.seconds), safe(_ledger_told(ledger)))
    show(grid, output)
    output.flush()


def _ledger_state(ledger: LedgerHealth) -> tuple[str, str]:
    if ledger.key_error and not ledger.error:
        return "unknown", "yellow"
    return _state(ledger.error)


def _ledger_told(ledger: LedgerHealth) -> str:
    if ledger.error or ledger.key_error:
        return ledger.name
    if not ledger.there:
        return f"{ledger.name}: none yet, the first sync creates it"
    return f"{ledger.name}: {plural(ledger.chains, 'chain')}, writable"


def _state(error: SecretSyncError | None) -> tuple[str, str]:
    if error is None:
        return "ok", "green"
    return ("failed" if error.code in _VAGUE else error.code), "bold red"


_VAGUE = (SecretSyncError.code, StoreError.code, LedgerError.code)


def _object(documents: Documents, stores: list[StoreHealth], ledger: LedgerHealth, code: int) -> dict[str, Any]:
    return {
        "ok": code == exits.OK,
        "stores": [
            {
                "store": store.store,
                "provider": documents.stores[store.store].provider,
                "permissions": documents.stores[store.store].permissions.value,
                "ok": store.error is None,
                "asked": store.asked,
                "seconds": round(store.seconds, 3),
                "requests": dict(store.requests),
                "warnings": store.warnings,
                "error": error_object(store.error) if store.error else None,
            }
            for store in stores
        ],
        "key": {
            "where": ledger.key,
            "ok": ledger.key_error is None,
            "error": error_object(ledger.key_error) if ledger.key_error else None,
        },
        "ledger": {
            "name": ledger.name,
            "exists": None if ledger.key_error and not ledger.there else ledger.there,
            "ok": None if ledger.key_error and not ledger.error else ledger.error is None,
            "chains": ledger.chains,
            "version": ledger.version or None,
            "seconds": round(ledger.seconds, 3),
            "error": error_object(ledger.error) if ledger.error else None,
        },
        "warnings": [problem_object(problem) for problem in documents.warnings],
        "exitCode": code,
    }
