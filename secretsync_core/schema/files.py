"""Finds the documents' files, and reads them as text, with bounds on both."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING

from secretsync_core.errors import Problem, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 20
"""The largest file."""

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
_SUFFIXES = (".yaml", ".yml")
# What YAML leaves out of its character set; the parser would not say in which line it is.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_BREAK = re.compile("\r\n|\r|\n")


def find(path: Path) -> tuple[list[Path], list[Problem]]:
    """Every document file at ``path``: itself, or all below it in the order of their names.

    Hidden files and directories are left out (also Kubernetes' ``..data``, whose files are linked from outside of it),
    links are followed, and no directory or file is read twice. Raises UsageError where there is no such path.
    """
    facts = look_at(path)
    if facts is None:
        raise UsageError(f"{path} does not exist", hint="Pass a file, or a directory with documents.")
    if not stat.S_ISDIR(facts.st_mode):
        return [path], []
    found: list[Path] = []
    problems: list[Problem] = []
    _walk(path, set(), found, problems)
    return found, problems


def look_at(path: Path) -> os.stat_result | None:
    """What stands at a path; None where nothing does. Raises UsageError where that cannot be told."""
    try:
        return path.stat()
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return None
        raise UsageError(
            f"{path} cannot be looked at: {error.strerror}",
            hint="check the permissions of the directories that it is in",
        ) from None


def is_directory(path: Path) -> bool:
    """Whether a directory stands at a path. Raises UsageError where that cannot be told."""
    facts = look_at(path)
    return facts is not None and stat.S_ISDIR(facts.st_mode)


def _walk(directory: Path, seen: set[tuple[int, int]], found: list[Path], problems: list[Problem]) -> None:
    if _seen_before(directory, seen):
        return
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        problems.append(Problem(str(directory), 0, f"the directory cannot be read: {error.strerror}"))
        return
    for name in names:
        path = directory / name
        try:
            inner = is_directory(path)
        except UsageError as error:
            problems.append(Problem(str(path), 0, error.message.removeprefix(f"{path} "), error.hint))
            continue
        if inner:
            _walk(path, seen, found, problems)
        elif name.lower().endswith(_SUFFIXES) and not _seen_before(path, seen):
            found.append(path)


def _seen_before(path: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        facts = path.stat()
    except OSError:
        return False  # reading it will say what is wrong
    identity = (facts.st_dev, facts.st_ino)
    if identity in seen:
        return True
    seen.add(identity)
    return False


def read(path: Path) -> tuple[str | None, list[Problem]]:
    """A file's text, or what is wrong with it."""
    file = str(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None, [Problem(file, 0, "not a regular file")]
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return None, [Problem(file, 0, f"the file cannot be read: {error.strerror}")]
    if len(data) > MAX_BYTES:
        return None, [Problem(file, 0, "the file is larger than 1 MiB", "Split it into several files.")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(_BREAK.findall(data.decode("latin-1"), 0, error.start)) + 1
        return None, [Problem(file, line, "the file is not UTF-8", "Save it as UTF-8.")]
    if not text.strip():
        return None, [Problem(file, 1, "the file is empty", "Add a document, or remove the file.")]
    match = _UNPRINTABLE.search(text)
    if match:
        line = len(_BREAK.findall(text, 0, match.start())) + 1
        message = f"a control character (U+{ord(match.group()):04X}) that YAML does not allow"
        return None, [Problem(file, line, message, "Write it as an escape within double quotes.")]
    return text, []
