"""Reads of many files only what one SyncJob needs: itself and its SecretStores.

A process that runs one of a thousand jobs would otherwise spend most of its time on reading the others. Names stand in
files as they are, so a file whose text lacks one has no document of that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.schema import files
from secretsync_core.schema.yaml_tree import RawDocument, read_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from secretsync_core.errors import Problem


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
    jobs = [raw for raw in reader.with_name(job) if _named(raw, "SyncJob", {job})]
    stores = {name for raw in jobs for name in _stores(raw)}
    raws = [raw for name in stores for raw in reader.with_name(name) if _named(raw, "SecretStore", {name})]
    return [*jobs, *raws], problems + reader.problems


class _Reader:
    """Parses each file once, and only those in which a name stands."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts
        self._parsed: dict[str, list[RawDocument]] = {}
        self.problems: list[Problem] = []

    def with_name(self, name: str) -> Iterator[RawDocument]:
        for file, text in self._texts.items():
            # An escape may write a name in another way.
            if name not in text and "\\" not in text:
                continue
            if file not in self._parsed:
                self._parsed[file], found = read_documents(file, text)
                self.problems += found
            yield from self._parsed[file]


def _named(raw: RawDocument, kind: str, names: set[str]) -> bool:
    metadata = raw.data.get("metadata")
    return raw.data.get("kind") == kind and isinstance(metadata, dict) and metadata.get("name") in names


def _stores(raw: RawDocument) -> Iterator[str]:
    spec = raw.data.get("spec")
    if not isinstance(spec, dict):
        return
    plan, dest = spec.get("plan"), spec.get("dest")
    items = plan if isinstance(plan, list) else []
    given = [spec.get("source"), *(dest if isinstance(dest, list) else [dest])]
    given += [item.get("source") for item in items if isinstance(item, dict)]
    yield from (name for name in given if isinstance(name, str) and name)
