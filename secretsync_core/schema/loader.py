"""Reads documents from files, and says everything that is wrong with them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import DocumentError, Problem
from secretsync_core.schema import files
from secretsync_core.schema.broken import broken_of
from secretsync_core.schema.candidates import Candidate, candidate
from secretsync_core.schema.checks import check_all
from secretsync_core.schema.documents import Documents, JobDocument, StoreDocument
from secretsync_core.schema.overlaps import check_overlaps
from secretsync_core.schema.plain_http import warn_of_plain_http
from secretsync_core.schema.yaml_tree import RawDocument, read_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeAlias

    Judge: TypeAlias = Callable[[Sequence[Candidate]], None]


def load_directory(path: Path) -> Documents:
    """Read every ``*.yaml`` and ``*.yml`` below a directory.

    Raises DocumentError with every problem there is, and UsageError where there is no such path.
    """
    return load_files([path])


def load_files(paths: Sequence[Path]) -> Documents:
    """Read files, and all that is below directories, as one configuration. Raises as :func:`load_directory` does."""
    return or_raise(*examine(paths))


def examine(paths: Sequence[Path], judge: Judge | None = None) -> tuple[Documents, tuple[Problem, ...]]:
    """What is whole, and all problems, warnings among them, in the order of file and line.

    A job is whole only if every store it names is. Of two documents with the same name neither is. ``judge`` notes at
    the documents what a policy does not permit.
    """
    raws, problems = _read(paths)
    return _assemble(raws, problems, judge)


def examine_raws(raws: Sequence[RawDocument], judge: Judge | None = None) -> tuple[Documents, tuple[Problem, ...]]:
    """The same of what was read already."""
    return _assemble(raws, [], judge)


def load_trio(source: Path, dest: Path, job: Path, judge: Judge | None = None) -> Documents:
    """Read one SecretStore, another, and one SyncJob that copies from the first to the second.

    ``spec.source`` and ``spec.dest`` may be left out of that job; where they stand, they must name these two stores.
    Raises as :func:`load_directory` does.
    """
    parts = [_read([path]) for path in (source, dest, job)]
    problems = [problem for _, found in parts for problem in found]
    stores = [_only(path, "SecretStore", *part, problems) for path, part in zip((source, dest), parts, strict=False)]
    the_job = _only(job, "SyncJob", *parts[2], problems)
    if the_job is not None:
        _fill_in(the_job, "source", stores[0], problems)
        _fill_in(the_job, "dest", stores[1], problems)
    raws = [raw for found, _ in parts for raw in found]
    if _same_file(source, dest):  # a copy within one store: it is one document, read twice
        raws = parts[0][0] + parts[2][0]
    return or_raise(*_assemble(raws, problems, judge))


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _only(
    path: Path, kind: str, raws: list[RawDocument], found: list[Problem], problems: list[Problem]
) -> RawDocument | None:
    if len(raws) == 1 and raws[0].data.get("kind") == kind:
        return raws[0]
    if len(raws) > 1 or (raws and not found):
        line = raws[-1].line
        problems.append(Problem(str(path), line, f"this file must hold exactly one document, a {kind}"))
    return None


def _fill_in(job: RawDocument, role: str, store: RawDocument | None, problems: list[Problem]) -> None:
    spec = job.data.get("spec")
    metadata = store.data.get("metadata") if store is not None else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(spec, dict) or not isinstance(name, str) or store is None:
        return
    if spec.get(role) is None:
        spec[role] = name
    elif spec[role] != name and spec[role] != [name]:
        line = job.positions.line(("spec", role))
        hint = "Leave it out, or give the file of the store that it names."
        problems.append(Problem(job.file, line, f"spec.{role} is not the SecretStore in {store.file}", hint))


def _read(paths: Sequence[Path]) -> tuple[list[RawDocument], list[Problem]]:
    raws: list[RawDocument] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for path in paths:
        found, unreadable = files.find(path)
        problems += unreadable
        for file in found:
            if str(file) in seen:
                continue
            seen.add(str(file))
            text, unreadable = files.read(file)
            problems += unreadable
            if text is not None:
                documents, broken = read_documents(str(file), text)
                raws += documents
                problems += broken
    if not raws and not problems:
        where = str(paths[0]) if paths else "."
        hint = "Documents are .yaml or .yml files; `secretsync init` writes an example."
        problems.append(Problem(where, 0, "no documents found", hint))
    return raws, problems


def _assemble(
    raws: Sequence[RawDocument], problems: list[Problem], judge: Judge | None = None
) -> tuple[Documents, tuple[Problem, ...]]:
    candidates = [candidate(raw) for raw in raws]
    (judge or warn_of_plain_http)(candidates)
    check_all(candidates)
    check_overlaps(candidates)
    everything = sorted({*problems, *(problem for found in candidates for problem in found.told())})
    whole = _whole(candidates)
    stores = {store.document.name: store.document for store in whole if isinstance(store.document, StoreDocument)}
    jobs = {job.document.name: job.document for job in whole if isinstance(job.document, JobDocument)}
    warnings = tuple(problem for problem in everything if problem.warning)
    unread = tuple(problem for problem in problems if not problem.warning)
    return Documents(stores, jobs, warnings, broken=broken_of(candidates, unread)), tuple(everything)


def _whole(candidates: Sequence[Candidate]) -> list[Candidate]:
    return [found for found in candidates if found.whole]


def or_raise(documents: Documents, problems: tuple[Problem, ...]) -> Documents:
    """The documents. Raises DocumentError where a problem is more than a warning."""
    errors = [problem for problem in problems if not problem.warning]
    if errors:
        raise DocumentError(errors)
    return documents
