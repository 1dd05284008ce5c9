"""From files to definitions: what a code location and a component both do."""

from __future__ import annotations

import contextlib
import gc
import os
from typing import TYPE_CHECKING

from dagster_shared.libraries import DagsterLibraryRegistry

from secretsync_core import __version__
from secretsync_core.audit.home import DIRECTORY
from secretsync_core.policy.loading import examine, state_of
from secretsync_core.schema.files import look_at
from secretsync_dagster.compile import compile_documents
from secretsync_dagster.missing import missing
from secretsync_dagster.programs import keep_workers_out_of_dumps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import dagster as dg

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
    documents, problems = examine(paths, environ=os.environ, state=state_of(home or directory / DIRECTORY, ledger_url))
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
    )


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
