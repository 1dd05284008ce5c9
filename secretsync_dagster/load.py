"""From files to definitions: what a code location and a component both do."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

from secretsync_core.schema.loader import examine
from secretsync_dagster.compile import compile_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import dagster as dg

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
    io_manager: dg.IOManagerDefinition | None = None,
) -> dg.Definitions:
    """Read documents and compile those that are whole.

    Args:
        paths: files and directories with documents.
        directory: where the ledger stands, unless ``ledger_url`` says otherwise.
        ledger_url: a path or ``postgresql://…``.
        scope, translator, translation, prefix, io_manager: see :func:`~secretsync_dagster.compile.compile_documents`.
    """
    documents, problems = examine(paths)
    return compile_documents(
        documents,
        problems,
        directory=directory,
        ledger_url=ledger_url,
        scope=scope,
        translator=translator,
        translation=translation,
        prefix=prefix,
        io_manager=io_manager,
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
