"""Finds what a call is about: the documents, the jobs in them, and the ledger beside them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core import known
from secretsync_core.audit import home
from secretsync_core.errors import UsageError
from secretsync_core.schema.files import is_directory, look_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from secretsync_core.audit.keys import KeyPair
    from secretsync_core.audit.opening import OpenLedger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.schema.documents import Documents, JobDocument

DEFAULT = Path("secretsync")


def uses_files(call: Call) -> bool:
    """Whether this is the paper's own form: --source, --dest and --job. Raises UsageError where it is half of it."""
    files = {"--source": call.source, "--dest": call.dest, "--job": call.job}
    given = [name for name, path in files.items() if path is not None]
    if not given:
        return False
    missing = [name for name in files if name not in given]
    if missing:
        needs = f"{' and '.join(given)} {'needs' if len(given) == 1 else 'need'} {' and '.join(missing)} too"
        raise UsageError(needs, hint="use --source, --dest and --job together")
    if call.names:
        raise UsageError("job names cannot be combined with --source, --dest and --job", hint="leave the names out")
    # From the environment it is only a default, which naming files overrides.
    if call.config is not None and str(call.config) != os.environ.get("SECRETSYNC_CONFIG"):
        raise UsageError("--config cannot be combined with --source, --dest and --job", hint="give one or the other")
    return True


def directory(call: Call) -> Path:
    """The directory with the documents. Raises UsageError where it is not there."""
    path = call.config or DEFAULT
    if is_directory(path):
        return path
    if call.config is None:
        raise UsageError(
            "there is no directory ./secretsync here", hint="run `secretsync init` to create it, or pass --config DIR"
        )
    raise UsageError(
        f"{path} is not a directory" if look_at(path) is not None else f"there is no directory {path}",
        hint="set --config or SECRETSYNC_CONFIG to the directory with the documents",
    )


def read(call: Call) -> Documents:
    """Load and check the documents. Raises DocumentError or UsageError."""
    from secretsync_core.policy import loading

    state = loading.state_of(state_directory(call), call.ledger)
    if uses_files(call) and call.source is not None and call.dest is not None and call.job is not None:
        return loading.load_trio(call.source, call.dest, call.job, environ=os.environ, state=state)
    return loading.load([directory(call)], environ=os.environ, state=state)


def load(call: Call, output: Output) -> Documents:
    """Like ``read``; warnings go to stderr."""
    documents = read(call)
    for problem in documents.warnings:
        if not output.quiet:
            output.located(problem.where, "warning", problem.message, problem.hint)
    return documents


def jobs(call: Call, documents: Documents, output: Output, *, suspended: bool = False) -> list[JobDocument]:
    """The jobs that a call names, or all; those that are suspended only where they are named, or asked for."""
    from secretsync_core.run.suspended import why_suspended

    check_names(call.names, documents)
    if call.names:
        chosen = [documents.jobs[name] for name in dict.fromkeys(call.names)]
        if not suspended:
            for job in chosen:
                if job.spec.suspend:
                    output.note(f"{job.name} is suspended; running it because it was named")
    elif not documents.jobs:
        raise UsageError("the documents define no SyncJob", hint="`secretsync init` writes an example")
    else:
        meant = suspended or uses_files(call)
        chosen = [job for job in documents.jobs.values() if why_suspended(job, on_purpose=meant, hint="") is None]
        left_out = [job.name for job in documents.jobs.values() if job.spec.suspend and job not in chosen]
        if left_out:
            output.note(f"suspended and skipped: {', '.join(left_out)}")
    _check_items(call, chosen)
    return [job for job in chosen if not call.items or _items(job) & set(call.items)]


def check_names(names: Sequence[str], documents: Documents) -> None:
    """Raise UsageError where an argument names no SyncJob of the documents."""
    if which := known.which("JOB", names, documents.jobs):
        raise UsageError(
            f"{which} names no SyncJob", hint=known.hint_of(names, documents.jobs, there="the documents define")
        )


def _items(job: JobDocument) -> set[str]:
    return {item.name for item in job.spec.plan if item.name is not None}


def _check_items(call: Call, chosen: list[JobDocument]) -> None:
    items = {name for job in chosen for name in _items(job)}
    if which := known.which("--item", call.items, items):
        raise UsageError(
            f"{which} names no plan item", hint=known.hint_of(call.items, items, there="items of the selected jobs")
        )


def state_directory(call: Call) -> Path:
    """Where the ledger and its key are kept unless the call or the environment says otherwise."""
    if call.config is not None and call.job is None:
        return call.config / home.DIRECTORY
    return DEFAULT / home.DIRECTORY if call.job is None and is_directory(DEFAULT) else Path(home.DIRECTORY)


def ledger_url(call: Call) -> str | Path:
    """Where the ledger of a call is, or would be."""
    return call.ledger or state_directory(call) / home.LEDGER


def keys(call: Call, *, create: bool = False) -> KeyPair:
    """The keys of the ledger of a call. Raises LedgerMissing where there are none yet and not ``create``."""
    from secretsync_core.audit.keys import load_key

    return load_key(environ=os.environ, directory=state_directory(call), create=create, ledger=ledger_url(call))


def ledger(
    call: Call, *, write: bool = False, oldest: int | None = None, reseal: bool = False, keyless: bool = False
) -> AbstractContextManager[OpenLedger]:
    """The ledger of a call, opened; made where there is none and ``write``.

    ``oldest`` is the oldest version of its tables that will do; left out, the oldest that we work with. ``reseal``
    opens it also where a former key has sealed it, only to seal it anew; ``keyless`` to read where its key is lost.
    Raises LedgerMissing where there is none and not ``write``, LedgerError where it cannot be used.
    """
    from secretsync_core.audit.opening import open_ledger
    from secretsync_core.audit.schema import USABLE

    return open_ledger(
        state_directory(call),
        call.ledger,
        environ=os.environ,
        write=write,
        oldest=USABLE if oldest is None else oldest,
        reseal=reseal,
        keyless=keyless,
    )


@contextlib.contextmanager
def ledger_there(call: Call, *, write: bool = True) -> Iterator[OpenLedger]:
    """The ledger of a call, to change what it knows: it must be there. Raises LedgerMissing where it is not."""
    if write:
        with ledger(call):  # to write would make one where the name is mistyped
            pass
    with ledger(call, write=write) as opened:
        yield opened


def note_outdated(opened: OpenLedger | None, output: Output) -> None:
    """Say that a ledger's tables could be brought up to date, where they could."""
    if opened is not None and opened.ledger.outdated:
        output.note(opened.ledger.outdated)
    note_trouble(opened, output)


def note_trouble(opened: OpenLedger | None, output: Output) -> None:
    """Say what keeps a ledger that is read from being written: its key is lost, or its disk is full."""
    if opened is not None:
        for said in (opened.lost, opened.ledger.trouble):
            if said:
                output.error(said)


@contextlib.contextmanager
def ledger_if_any(call: Call, *, keyless: bool = False) -> Iterator[OpenLedger | None]:
    """The ledger of a call, to read; None where there is none yet. ``keyless``: also where its key is lost."""
    from secretsync_core.audit.ledger import LedgerMissing

    with contextlib.ExitStack() as stack:
        try:
            opened: OpenLedger | None = stack.enter_context(ledger(call, keyless=keyless))
        except LedgerMissing:
            opened = None
        yield opened


def fingerprint_key(call: Call, opened: OpenLedger | None) -> tuple[bytes, ...] | None:
    """The keys that values are named by: the ledger's, or those that a new one would have; None where there are none.

    They tell a job's own marks, also where its ledger is lost.
    """
    from secretsync_core.audit.ledger import LedgerMissing

    if opened is not None:
        return opened.fingerprint_key or None
    try:
        return keys(call).fingerprints
    except LedgerMissing:
        return None


def check_adopt(adopt: Collection[str], jobs: Sequence[JobDocument]) -> None:
    """Raise UsageError where keys are to be taken over and it is not said by which job."""
    if adopt and len(jobs) != 1:
        raise UsageError(
            "--adopt takes over keys for one job", hint="name the job, as in `secretsync sync JOB --adopt KEY`"
        )
