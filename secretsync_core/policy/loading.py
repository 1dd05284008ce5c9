"""Documents as a process may use them: checked, and within the bounds that its environment sets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.policy.bounds import bounds_of
from secretsync_core.policy.check import check_documents
from secretsync_core.protected import ledger_files
from secretsync_core.schema import loader
from secretsync_core.schema.one_job import read_one_job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.errors import Problem
    from secretsync_core.schema.documents import Documents
    from secretsync_core.schema.yaml_tree import RawDocument


def examine(
    paths: Sequence[Path], *, environ: Mapping[str, str], state: Sequence[str] = ()
) -> tuple[Documents, tuple[Problem, ...]]:
    """What is whole and permitted, and all problems: see :func:`secretsync_core.schema.loader.examine`.

    ``environ`` names the policy. ``state`` are the paths of the ledger and its key.
    """
    bounds = bounds_of(environ, state, documents=paths)
    documents, problems = loader.examine(paths, partial(check_documents, bounds=bounds))
    return _with(documents, state), tuple(sorted({*bounds.problems, *problems}))


def examine_raws(
    raws: Sequence[RawDocument], *, environ: Mapping[str, str], state: Sequence[str] = ()
) -> tuple[Documents, tuple[Problem, ...]]:
    """The same of what was read already, within the bounds that hold now."""
    paths = [Path(raw.file) for raw in raws]
    bounds = bounds_of(environ, state, documents=paths)
    documents, problems = loader.examine_raws(raws, partial(check_documents, bounds=bounds))
    return _with(documents, state), tuple(sorted({*bounds.problems, *problems}))


def examine_job(paths: Sequence[Path], job: str, *, environ: Mapping[str, str], state: Sequence[str] = ()) -> Documents:
    """Of the same what one SyncJob needs: itself and its stores, as whole as they are."""
    raws, unread = read_one_job(paths, job)
    bounds = bounds_of(environ, state, documents=paths)
    documents, _ = loader.examine_raws(raws, partial(check_documents, bounds=bounds))
    broken = replace(documents.broken, unread=tuple(unread))
    return replace(documents, state=tuple(state), broken=broken)


def load(paths: Sequence[Path], *, environ: Mapping[str, str], state: Sequence[str] = ()) -> Documents:
    """The same. Raises DocumentError for what is more than a warning, and UsageError where there is no such path."""
    return loader.or_raise(*examine(paths, environ=environ, state=state))


def load_trio(
    source: Path, dest: Path, job: Path, *, environ: Mapping[str, str], state: Sequence[str] = ()
) -> Documents:
    """The same of three files: see :func:`secretsync_core.schema.loader.load_trio`."""
    bounds = bounds_of(environ, state, documents=[source, dest, job])
    return _with(loader.load_trio(source, dest, job, partial(check_documents, bounds=bounds)), state)


def _with(documents: Documents, state: Sequence[str]) -> Documents:
    return replace(documents, state=tuple(state))


def state_of(directory: Path, ledger: str | Path | None = None) -> tuple[str, ...]:
    """The paths of a ledger and its key: the directory with both, and the ledger where it is elsewhere."""
    return str(directory), *(ledger_files(ledger) if ledger is not None else ())
