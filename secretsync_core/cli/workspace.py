"""Finds what a call is about: the documents, the jobs in them, and the ledger beside them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.cli.escape import safe
from secretsync_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.audit.keys import KeyPair
    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.schema.documents import Documents, JobDocument

DEFAULT = Path("secretsync")
STATE = ".secretsync"


class Opened(NamedTuple):
    """An open ledger, and the keys that tell values apart in it, the newest first."""

    ledger: Ledger
    fingerprint_key: tuple[bytes, ...]


def uses_files(call: Call) -> bool:
    """Whether this is the paper's own form: --source, --dest and --job. Raises UsageError where it is half of it."""
    files = {"--source": call.source, "--dest": call.dest, "--job": call.job}
    given = [name for name, path in files.items() if path is not None]
    if not given:
        return False
    missing = [name for name in files if name not in given]
    if missing:
        needs = f"{' and '.join(given)} {'needs' if len(given) == 1 else 'need'} {' and '.join(missing)} too"
        raise UsageError(needs, hint="the three files go together")
    if call.names:
        raise UsageError("job names do not go with --source, --dest and --job", hint="the file of --job names the job")
    # From the environment it is only a default, which naming files overrides.
    if call.config is not None and str(call.config) != os.environ.get("SECRETSYNC_CONFIG"):
        raise UsageError("--config does not go with --source, --dest and --job", hint="give one or the other")
    return True


def directory(call: Call) -> Path:
    """The directory with the documents. Raises UsageError where it is not there."""
    path = call.config or DEFAULT
    if path.is_dir():
        return path
    if call.config is None:
        raise UsageError(
            "there is no directory ./secretsync here", hint="`secretsync init` makes one; --config names another"
        )
    raise UsageError(
        f"{path} is not a directory" if path.exists() else f"there is no directory {path}",
        hint="--config (or SECRETSYNC_CONFIG) names the directory with the documents",
    )


def read(call: Call) -> Documents:
    """Load and check the documents. Raises DocumentError or UsageError."""
    from secretsync_core.schema import loader

    if uses_files(call) and call.source is not None and call.dest is not None and call.job is not None:
        return loader.load_trio(call.source, call.dest, call.job)
    return loader.load_directory(directory(call))


def load(call: Call, output: Output) -> Documents:
    """Like ``read``; warnings go to stderr."""
    documents = read(call)
    for problem in documents.warnings:
        if not output.quiet:
            output.located(problem.where, "warning", problem.message, problem.hint)
    return documents


def jobs(call: Call, documents: Documents, output: Output, *, suspended: bool = False) -> list[JobDocument]:
    """The jobs that a call names, or all; those that are suspended only where they are named, or asked for."""
    unknown = [name for name in call.names if name not in documents.jobs]
    if unknown:
        known = ", ".join(sorted(documents.jobs)) or "none"
        raise UsageError(f"there is no SyncJob {', '.join(map(safe, unknown))}", hint=f"the documents have: {known}")
    if call.names:
        chosen = [documents.jobs[name] for name in dict.fromkeys(call.names)]
        if not suspended:
            for job in chosen:
                if job.spec.suspend:
                    output.note(f"{job.name} is suspended; it runs because it was named")
    elif not documents.jobs:
        raise UsageError("the documents hold no SyncJob", hint="`secretsync init` writes an example")
    else:
        chosen = [job for job in documents.jobs.values() if suspended or uses_files(call) or not job.spec.suspend]
        left_out = [job.name for job in documents.jobs.values() if job.spec.suspend and job not in chosen]
        if left_out:
            output.note(f"suspended, left out: {', '.join(left_out)}")
    _check_items(call, chosen)
    return [job for job in chosen if not call.items or _items(job) & set(call.items)]


def _items(job: JobDocument) -> set[str]:
    return {item.name for item in job.spec.plan if item.name is not None}


def _check_items(call: Call, chosen: list[JobDocument]) -> None:
    known = {name for job in chosen for name in _items(job)}
    unknown = [name for name in call.items if name not in known]
    if unknown:
        raise UsageError(
            f"no plan item is named {', '.join(map(safe, unknown))}",
            hint=f"the chosen jobs have: {', '.join(sorted(known)) or 'none'}",
        )


def state_directory(call: Call) -> Path:
    """Where the ledger and its key are kept unless the call or the environment says otherwise."""
    if call.config is not None and call.job is None:
        return call.config / STATE
    return DEFAULT / STATE if call.job is None and DEFAULT.is_dir() else Path(STATE)


def ledger_url(call: Call) -> str | Path:
    """Where the ledger of a call is, or would be."""
    return call.ledger or state_directory(call) / "ledger.db"


def keys(call: Call, *, create: bool = False) -> KeyPair:
    """The keys of the ledger of a call. Raises LedgerMissing where there are none yet and not ``create``."""
    from secretsync_core.audit.keys import load_key

    return load_key(environ=os.environ, directory=state_directory(call), create=create, ledger=ledger_url(call))


@contextlib.contextmanager
def ledger(call: Call, *, write: bool = False, oldest: int | None = None) -> Iterator[Opened]:
    """The ledger of a call, opened; made where there is none and ``write``.

    ``oldest`` is the oldest version of its tables that will do; left out, the oldest that we work with.
    Raises LedgerMissing where there is none and not ``write``, LedgerError where it cannot be used.
    """
    from secretsync_core.audit.keys import is_given
    from secretsync_core.audit.ledger import Ledger, LedgerMissing
    from secretsync_core.audit.schema import USABLE

    url = ledger_url(call)
    # The documents may stand where nothing can be written, as a ConfigMap does.
    if write and (call.ledger is None or not is_given(os.environ)):
        _make(state_directory(call))
    try:
        found = keys(call, create=write)
    except LedgerMissing as error:
        if call.ledger is not None:
            raise
        raise LedgerMissing(f"there is no ledger at {url} yet", hint=error.hint) from None
    opened = Ledger.open(
        url,
        seal_key=found.seal,
        former=found.former_seals,
        read_only=not write,
        oldest=USABLE if oldest is None else oldest,
    )
    try:
        yield Opened(opened, found.fingerprints)
    finally:
        opened.close()


def note_outdated(opened: Opened | None, output: Output) -> None:
    """Say that a ledger's tables could be brought up to date, where they could."""
    if opened is not None and opened.ledger.outdated:
        output.note(opened.ledger.outdated)


@contextlib.contextmanager
def ledger_if_any(call: Call) -> Iterator[Opened | None]:
    """The ledger of a call, to read; None where there is none yet."""
    from secretsync_core.audit.ledger import LedgerMissing

    with contextlib.ExitStack() as stack:
        try:
            opened: Opened | None = stack.enter_context(ledger(call))
        except LedgerMissing:
            opened = None
        yield opened


def _make(home: Path) -> None:
    """Make the directory that holds state, invisible to git: the key beside the ledger is a secret."""
    if home.is_dir():
        return
    from secretsync_core.errors import LedgerError

    try:
        home.mkdir(mode=0o700)
        (home / ".gitignore").write_text("*\n")
    except FileExistsError:
        return
    except OSError as error:
        raise LedgerError(
            f"the directory {home} cannot be made: {error.strerror}",
            hint="--ledger (or SECRETSYNC_LEDGER) can name another place for the ledger",
        ) from None
