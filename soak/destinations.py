"""What both destinations hold, as they were when they were last looked at."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from soak.model import FILES, VAULT

if TYPE_CHECKING:
    from pathlib import Path

    from soak.model import Fields, Place
    from soak.vault import Vault

OURS = ("copy/", "copym/")
"""Folders of the jobs' copies."""

TEMPORARY = ".secretsync-tmp-"


class FileMark(NamedTuple):
    """Tells one file from another at the same path."""

    modified: int
    inode: int
    size: int
    mode: int


class Destinations:
    """The Vault and the directory of files.

    Attributes:
        secrets: what the Vault knows of each key.
        files: by path below the directory.
        history: every version of each key that was ever seen, as ``<number>@<time>``.
    """

    def __init__(self, vault: Vault, directory: Path) -> None:
        self.vault = vault
        self.directory = directory
        self.secrets: dict[str, dict[str, Any]] = {}
        self.files: dict[str, FileMark] = {}
        self.history: defaultdict[str, set[str]] = defaultdict(set)
        self._read: dict[Place, tuple[object, Fields | None]] = {}

    def look(self) -> None:
        """Look at everything."""
        self.secrets = self.vault.details()
        for key in self.secrets:
            self.history[key] |= self.versions(key)
        self.files = {}
        for path in self.directory.rglob("*"):
            if path.is_file():
                about = path.stat()
                mark = FileMark(about.st_mtime_ns, about.st_ino, about.st_size, about.st_mode & 0o777)
                self.files[str(path.relative_to(self.directory))] = mark

    def versions(self, key: str) -> set[str]:
        """The versions that the Vault has of a key now."""
        found = self.secrets.get(key, {"versions": {}})["versions"]
        return {f"{number}@{about['created_time']}" for number, about in found.items()}

    def current(self, key: str) -> str | None:
        """The version of a key in the Vault; None where it is absent or deleted."""
        info = self.secrets.get(key)
        about = info["versions"].get(str(info["current_version"])) if info else None
        if not info or not about or about["deletion_time"] or about["destroyed"]:
            return None
        return f"{info['current_version']}@{about['created_time']}"

    def places(self) -> set[Place]:
        """All that is there of the jobs' folders in the Vault, and all files but temporary ones."""
        there = {(VAULT, key) for key in self.secrets if key.startswith(OURS) and self.current(key)}
        return there | {(FILES, path) for path in self.files if TEMPORARY not in path}

    def held(self, place: Place) -> Fields | None:
        """What is at a place; None where nothing is. It is read once for each version."""
        dest, key = place
        mark = self.current(key) if dest == VAULT else self.files.get(key)
        if mark is None:
            return None
        if self._read.get(place, (None,))[0] != mark:
            self._read[place] = mark, self.vault.get(key) if dest == VAULT else self._file(key)
        return self._read[place][1]

    def _file(self, path: str) -> Fields:
        text = (self.directory / path).read_bytes().decode("utf-8", "replace")
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {"value": text}

    def remove(self, place: Place) -> None:
        """Take a copy away, as its owner would."""
        dest, key = place
        if dest == VAULT:
            self.vault.delete(key)
        else:
            (self.directory / key).unlink(missing_ok=True)
