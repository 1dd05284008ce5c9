"""Reads of many files only what one SyncJob needs: itself and its SecretStores.

A process that runs one of a thousand jobs would otherwise spend most of its time on reading the others. Names stand in
files as they are, so a file whose text lacks one has no document of that name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsync_core.schema import files
from secretsync_core.schema.yaml_tree import read_documents

_ESCAPE = re.compile(r"\\(?:[xuU]|$)", re.MULTILINE)
"""What lets YAML write a name in another way than it is."""

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from secretsync_core.errors import Problem
    from secretsync_core.schema.yaml_tree import RawDocument


def read_one_job(paths: Sequence[Path], job: str) -> tuple[list[RawDocument], list[Problem]]:
    """What was read of every SyncJob of this name and of the SecretStores that they name, and the files' problems.

    Problems are those of the files that could hold one of them. Raises UsageError where there is no such path.
    """
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in paths:
        found, _ = files.find(path)
        for file in found:
            text, unreadable = files.read(file)
            problems += unreadable
            if text is not None:
                texts[str(file)] = text
    reader = _Reader(texts)
    jobs = list(reader.of("SyncJob", job))
    stores = sorted({name for raw in jobs for name in _stores(raw)})
    return [*jobs, *(raw for name in stores for raw in reader.of("SecretStore", name))], problems + reader.problems


class _Reader:
    """Parses each file once, and only those in which a document of a kind and name can stand."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts
        self._parsed: dict[str, list[RawDocument]] = {}
        self.problems: list[Problem] = []

    def of(self, kind: str, name: str) -> Iterator[RawDocument]:
        """The documents of this kind and name."""
        for file, text in self._texts.items():
            if not (kind in text and name in text) and not _ESCAPE.search(text):
                continue
            if file not in self._parsed:
                self._parsed[file], found = read_documents(file, text)
                self.problems += found
            yield from (raw for raw in self._parsed[file] if _is(raw, kind, name))


def _is(raw: RawDocument, kind: str, name: str) -> bool:
    metadata = raw.data.get("metadata")
    return raw.data.get("kind") == kind and isinstance(metadata, dict) and metadata.get("name") == name


def _stores(raw: RawDocument) -> Iterator[str]:
    spec = raw.data.get("spec")
    if not isinstance(spec, dict):
        return
    plan, dest = spec.get("plan"), spec.get("dest")
    items = plan if isinstance(plan, list) else []
    given = [spec.get("source"), *(dest if isinstance(dest, list) else [dest])]
    given += [item.get("source") for item in items if isinstance(item, dict)]
    yield from (name for name in given if isinstance(name, str) and name)
