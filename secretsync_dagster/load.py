"""From files to definitions: what a code location and a component both do."""

from __future__ import annotations

import contextlib
import gc
import os
from functools import partial
from typing import TYPE_CHECKING

from secretsync_core.audit.home import DIRECTORY
from secretsync_core.cli.escape import safe
from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_core.policy.loading import examine, state_of
from secretsync_dagster.compile import compile_documents
from secretsync_dagster.on_disk import OnDisk
from secretsync_dagster.programs import keep_workers_out_of_dumps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import dagster as dg

    from secretsync_core.errors import Problem
    from secretsync_dagster.catalog import Translation
    from secretsync_dagster.translator import SecretSyncTranslator


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
    # Of the environment of this process, and of nothing that a run's config or a document could say.
    state = state_of(home or directory / DIRECTORY, ledger_url)
    read = partial(examine, paths, environ=os.environ, state=state)
    on_disk = OnDisk(paths, read)
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
