"""The life of an example: plan, sync, drift, undo and delete, by the very commands that stand in it."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.conftest import Cli
    from support.http import Api

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE = EXAMPLES / "README.md"
VAULT = "https://vault.example.com:8200"

_COMMAND = re.compile(r"^(?:#   )?(secretsync (?P<name>[a-z]+)\b.*?)(?: +#.*)?$", re.MULTILINE)
_JOB = re.compile(r"^(?P<job>[a-z0-9-]+): (?P<told>.*?)--run (?P<run>\S+)$", re.MULTILINE | re.DOTALL)
_WROTE = re.compile(r"\b[1-9]\d* (created|updated|deleted)\b")

Secrets = dict[str, dict[str, Any]]


class There(Protocol):
    """The destinations of an example, as somebody sees and changes them who has nothing to do with SecretSync.

    Where an example has several that name their secrets alike, ``PLACE:`` stands before a name.
    """

    def held(self) -> dict[str, Any]:
        """What is there, by its names."""

    def change(self, name: str) -> None:
        """Give a secret another value."""

    def remove(self, name: str) -> None:
        """Delete a secret."""


class Example:
    """A copy of an example, with the test's servers in place of those that it names.

    Attributes:
        commands: the commands that it gives, by the name of each.
        runs: of the latest sync, the runs of the jobs that wrote something.
    """

    def __init__(
        self, cli: Cli, name: str, replaced: Mapping[str, str], environ: Mapping[str, str], *, page: str = ""
    ) -> None:
        """``page``: the file with the commands, which are given where that is; else they stand in the documents."""
        self.directory = cli.directory / "examples" / name
        shutil.copytree(EXAMPLES / name, self.directory)
        files = {file: file.read_text() for file in [*self.directory.rglob("*.yaml"), *self.directory.rglob("*.md")]}
        for there, here in replaced.items():
            assert any(there in text for text in files.values()), there
            files = {file: text.replace(there, here) for file, text in files.items()}
        for file, text in files.items():
            file.write_text(text)
        given = [files[self.directory / page]] if page else list(files.values())
        self.commands = {found["name"]: found[1] for text in given for found in _COMMAND.finditer(text)}
        self.runs: dict[str, str] = {}
        self._cli, self._environ = cli, dict(environ)
        cli.directory = self.directory if page else cli.directory

    def __call__(self, name: str, *more: str, code: int = 0, run: str = "") -> str:
        """Give one of its commands, and take what it prints; the exit code must be ``code``."""
        words = [word if word != "RUN" else run for word in self.commands[name].split()[1:]]
        ran = self._cli(*words, *more, **self._environ)
        assert ran.code == code, f"{name}: {ran.code}\n{ran.out}{ran.err}"
        if name == "sync":
            found = [each for each in _JOB.finditer(ran.out) if _WROTE.search(each["told"])]
            self.runs = {each["job"]: each["run"] for each in found}
        return ran.out + ran.err


@dataclass
class Life:
    """What becomes of an example's secrets, from the first plan to the last delete.

    Attributes:
        vault: where it reads, and the mount there.
        first: the secrets in Vault at first, and ``made`` what is at the destinations then.
        changed: what somebody changes there, and ``removed`` what somebody removes.
        later: what is new in Vault, or has another value, and ``then`` what is at the destinations then.
        undone: what is there after that is undone, and ``kept`` the jobs of which not all could be put back.
        last: what Vault has at last of some secrets (none: deleted), and ``left`` what is at the destinations then.
        returned: what of that an undo of the deletes brings back.
        rows: the destinations, as the table of the examples' page calls them.
    """

    example: Example
    there: There
    vault: tuple[Api, str]
    first: Secrets
    made: dict[str, Any]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    later: Secrets
    then: dict[str, Any]
    undone: dict[str, Any]
    last: dict[str, dict[str, Any] | None]
    left: dict[str, Any]
    kept: frozenset[str] = frozenset()
    returned: dict[str, Any] = field(default_factory=dict)
    rows: tuple[str, ...] = ()

    def live(self) -> None:
        """All of it."""
        self._is_what_the_page_says()
        self._put(self.first)
        self._is_planned_and_made()
        self._drifts_and_is_mended()
        self._changes_and_is_undone()
        self._is_deleted()

    def _is_what_the_page_says(self) -> None:
        table = dict(re.findall(r"^\| ([^|]+) \|[^|]+\| ([^|]+ \| [^|]+) \|$", PAGE.read_text(), re.MULTILINE))
        for row in self.rows:
            replaced, deleted = (told.startswith("yes") for told in table[row].split(" | "))
            assert (replaced, deleted) == (not self.kept, bool(self.returned)), row

    def _is_planned_and_made(self) -> None:
        before = self.there.held()
        told = self.example("plan")
        assert all(re.search(rf"^  \+ {re.escape(_short(name))}\b", told, re.MULTILINE) for name in self.made), told
        assert self.there.held() == before, "a plan has written"
        self.example("sync")
        assert self.there.held() == before | self.made
        assert " 0 to create, 0 to update, 0 to delete" in self.example("plan")

    def _drifts_and_is_mended(self) -> None:
        self.example("check")
        before = self.there.held()
        for name in self.changed:
            self.there.change(name)
        for name in self.removed:
            self.there.remove(name)
        assert self.there.held() != before
        told = self.example("check", code=10)
        assert told.count("changed outside SecretSync") == len(self.changed), told
        assert told.count("removed outside SecretSync") == len(self.removed), told
        for name in self.changed + self.removed:
            assert re.search(rf"^  ~ {re.escape(_short(name))} ", told, re.MULTILINE), told
        self.example("sync")
        assert self.there.held() == before
        self.example("check")

    def _changes_and_is_undone(self) -> None:
        before = self.there.held()
        others = {name: value for name, value in before.items() if name not in self.made}
        self._put(self.later)
        self.example("sync")
        assert self.there.held() == others | self.then
        for job, run in list(self.example.runs.items()):
            self.example("undo", "--yes", run=run, code=1 if job in self.kept else 0)
        assert self.there.held() == others | self.undone
        # As the page says, the source is put right then, so that the next sync does not do the same again.
        for name in self.later:
            self._set(name, self.first.get(name))
        self.example("sync")

    def _is_deleted(self) -> None:
        before = self.there.held()
        for name, fields in self.last.items():
            self._set(name, fields)
        told = self.example("plan")
        gone = before.keys() - self.left.keys() - {name for name in before if name not in self.made}
        assert all(re.search(rf"^  - {re.escape(_short(name))}\b", told, re.MULTILINE) for name in gone), told
        self.example("sync")
        others = {name: value for name, value in before.items() if name not in self.made and name not in self.then}
        assert self.there.held() == others | self.left
        for run in self.example.runs.values():
            self.example("undo", "--yes", run=run, code=0 if self.returned else 1)
        assert self.there.held() == others | self.left | self.returned

    def _put(self, secrets: Secrets) -> None:
        for name, fields in secrets.items():
            self._set(name, fields)

    def _set(self, name: str, fields: dict[str, Any] | None) -> None:
        api, mount = self.vault
        if fields is None:
            api.call("DELETE", f"{mount}/metadata/{name}")
        else:
            api.put(mount, name, fields)


def _short(name: str) -> str:
    return name.rpartition(":")[2]
