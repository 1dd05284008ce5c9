"""From files to definitions: what a code location and a component both do."""

from __future__ import annotations

import contextlib
import gc
import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dagster_shared.libraries import DagsterLibraryRegistry

from secretsync_core import __version__
from secretsync_core.audit.home import DIRECTORY
from secretsync_core.cli.escape import safe
from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_core.policy.loading import examine, examine_job, state_of
from secretsync_core.policy.reading import place_of_policies
from secretsync_core.schema.broken import absent_job
from secretsync_core.schema.files import look_at
from secretsync_dagster.compile import compile_documents
from secretsync_dagster.missing import missing
from secretsync_dagster.naming import document_name
from secretsync_dagster.on_disk import OnDisk
from secretsync_dagster.programs import keep_workers_out_of_dumps
from secretsync_dagster.run_repository import RunRepository

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import dagster as dg

    from secretsync_core.errors import Problem
    from secretsync_dagster.catalog import Translation
    from secretsync_dagster.translator import SecretSyncTranslator

# What *Deployment* shows of a code location beside the version of Dagster.
DagsterLibraryRegistry.register("secretsync", __version__, is_dagster_package=False)


def load(
    paths: Sequence[Path],
    *,
    directory: Path,
    ledger_url: str = "",
    scope: str = "",
    translator: SecretSyncTranslator | None = None,
    translation: Translation | None = None,
    prefix: str = "",
    home: Path | None = None,
) -> dg.Definitions:
    """Read documents and compile those that are whole.

    Args:
        paths: files and directories with documents.
        directory: where the ledger stands, unless ``ledger_url`` says otherwise.
        ledger_url: a path or ``postgresql://…``.
        home: the directory of the ledger and its key; the default is ``.secretsync`` in ``directory``.
        scope, translator, translation, prefix: see :func:`~secretsync_dagster.compile.compile_documents`.
    """
    keep_workers_out_of_dumps()
    for path in paths:
        if look_at(path) is None:
            raise missing(path, scope)
    # Of the environment of this process, and of nothing that a run's config or a document could say.
    state = _state(directory, ledger_url, home)
    read = partial(examine, paths, environ=os.environ, state=state)
    on_disk = OnDisk(paths, read, place_of_policies(os.environ))
    documents, problems = read()
    if os.environ.get(_VALIDATION):
        _fail_a_gate(problems)
    return compile_documents(
        documents,
        problems,
        directory=directory,
        ledger_url=ledger_url,
        scope=scope,
        translator=translator,
        translation=translation,
        prefix=prefix,
        home=home,
        on_disk=on_disk,
    )


def load_for_a_run(paths: Sequence[Path], *, directory: Path, ledger_url: str = "", prefix: str = "") -> RunRepository:
    """What the process of one run needs of :func:`load`: the job that it asks for. No other document is compiled."""
    keep_workers_out_of_dumps()
    state = _state(directory, ledger_url)
    compiled = partial(compile_documents, directory=directory, ledger_url=ledger_url, prefix=prefix, alone=True)

    def one(job: str) -> dg.Definitions:
        return compiled(examine_job(paths, document_name(job), environ=os.environ, state=state))

    def everything() -> dg.Definitions:
        return load(paths, directory=directory, ledger_url=ledger_url, prefix=prefix)

    def gone(job: str) -> dg.Definitions:
        # Of a file that cannot be read nobody knows what stood there: the run knows whether its job did.
        documents, _ = examine(paths, environ=os.environ, state=state)
        absent = absent_job(document_name(job))
        return compiled(replace(absent, broken=replace(absent.broken, unread=documents.broken.unread)))

    return RunRepository(one, everything, gone)


def _state(directory: Path, ledger_url: str, home: Path | None = None) -> tuple[str, ...]:
    # Of the environment of this process, and of nothing that a run's config or a document could say.
    return state_of(home or directory / DIRECTORY, ledger_url)


_VALIDATION = "DAGSTER_IS_DEFS_VALIDATION_CLI"
"""What `dg check defs` and `dagster definitions validate` set: they are asked whether all is well, and nothing runs."""


def _fail_a_gate(problems: Sequence[Problem]) -> None:
    errors = [problem for problem in problems if not problem.warning]
    if errors:
        listed = "\n".join(f"  {safe(f'{one.where}: {one.message}. {one.hint}'.strip())}" for one in errors)
        raise UsageError(f"{plural(len(errors), 'error')} in the documents, as `secretsync validate` says:\n{listed}")


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Keep Python from looking for garbage meanwhile.

    Loading makes a million objects that all stay, and looking through them again and again takes a quarter of its
    time. Every run has to wait for it, since its worker loads all of the documents.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
