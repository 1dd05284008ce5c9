"""What no document may name, whatever a policy says: the ledger, its key, the policy, and what Python runs."""

from __future__ import annotations

import os
import re
import site
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.ledger_address import BESIDE, file_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STATE_DIRECTORY = ".secretsync"
"""What the directory with a ledger and its key is called, wherever it is; audit.home makes it."""

KEY_FILE_VARIABLE = "SECRETSYNC_KEY_FILE"
LEDGER_VARIABLE = "SECRETSYNC_LEDGER"

OUR_VARIABLES = frozenset(
    {
        "SECRETSYNC_KEY",
        KEY_FILE_VARIABLE,
        LEDGER_VARIABLE,
        "SECRETSYNC_CONFIG",
        "SECRETSYNC_POLICY",
        "SECRETSYNC_ALLOW_EXEC",
        "PGPASSWORD",
        "PGPASSFILE",
    }
)
"""The variables that hold the ledger's key or the way to it, or that set our own bounds."""

AWS_FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")

OTHERS_VARIABLES = ("DAGSTER_",)
"""How the variables of the orchestrator begin: its database's password is among them."""

_PIPE = re.compile(r"/proc/[^/]+/fd/pipe:.*")


def is_our_variable(name: str) -> bool:
    """Whether a variable is ours or the orchestrator's, and so no document's."""
    return name in OUR_VARIABLES or name.startswith(OTHERS_VARIABLES)


class Protected(NamedTuple):
    """Real paths that no credential and no store may be.

    Attributes:
        paths: directories, with all below them, and files.
        files: the same files by device and number, so that another link to one is no way around.
        aws: where AWS's SDK looks up credentials and programs; files of credentials may be there, and no store.
    """

    paths: tuple[str, ...]
    files: frozenset[tuple[int, int]]
    aws: tuple[str, ...] = ()

    def forbids_file(self, path: str, opened: int | None = None) -> str:
        """What a file is that may not be read; empty for any other. Links are followed.

        ``opened`` is its descriptor where it is open: then that very file is looked at.
        """
        real = real_path(path)
        if STATE_DIRECTORY in Path(real).parts or any(is_within(real, place) for place in self.paths):
            return "holds the ledger, its key or the policy"
        if real.startswith("/proc/") and not _PIPE.fullmatch(real):
            return "is a view of running programs"
        if _number(real if opened is None else opened) in self.files:
            return "holds the ledger, its key or the policy"
        return ""

    def forbids_directory(self, path: str) -> str:
        """What a directory is, or has in it, that no store may be of; empty for any other. Links are followed."""
        # As it is written: `/proc/self/root/x` is another name of /x, which every process reads differently.
        if is_within("/" + os.path.abspath(path).lstrip("/"), "/proc"):  # noqa: PTH100  the dots go, no link is followed
            return "is a view of running programs"
        real = real_path(path)
        if fault := self.forbids_file(real):
            return fault
        if is_within("/proc", real):
            return "has a view of running programs in it"
        if any(is_within(place, real) for place in self.paths) or os.path.lexists(Path(real, STATE_DIRECTORY)):
            return "has the ledger, its key or the policy in it"
        if is_ours_elsewhere(self, real):
            return "holds the ledger, its key or the policy, by another mount"
        for place in _code():
            if is_within(real, place) or is_within(place, real):
                return "is where Python loads programs from, or has such a directory in it"
        for place in self.aws:
            if is_within(real, place):
                return "is where AWS's SDK looks up credentials and programs"
            if is_within(place, real) and os.path.lexists(place):
                return f"has {place} in it, where AWS's SDK looks up credentials and programs"
        return ""


def protect(environ: Mapping[str, str], places: Iterable[str]) -> Protected:
    """What is protected: what the environment names, and ``places`` (the state directory, the policy)."""
    named = [environ.get(KEY_FILE_VARIABLE, ""), *ledger_files(environ.get(LEDGER_VARIABLE, "")), *places]
    if dagster := environ.get("DAGSTER_HOME"):
        named.append(f"{dagster}/dagster.yaml")  # which can name a program for every run
    paths = tuple(dict.fromkeys(real_path(Path(name).expanduser()) for name in named if name))
    files = [each for path in paths for each in _files(path)]
    numbers = frozenset(number for file in files if (number := _number(file)) is not None)
    aws = ["~/.aws", *(environ.get(name, "") for name in AWS_FILES)]
    return Protected(paths, numbers, tuple(real_path(os.path.expanduser(name)) for name in aws if name))  # noqa: PTH111  Path's fails where there is no home


def ledger_files(place: str | Path) -> tuple[str, ...]:
    """The files of a ledger, by whatever way its place is written; none for a server, whose URL holds a password."""
    file = file_of(place)
    if file is None:
        return ()
    # SQLite keeps the others beside the file itself, where that is reached by a link.
    return tuple(f"{each}{suffix}" for each in dict.fromkeys((str(file), real_path(file))) for suffix in BESIDE)


def real_path(path: str | Path) -> str:
    """A path with every link on it followed; as it is where a link may not even be read, and so leads us nowhere."""
    try:
        return os.path.realpath(path)
    except OSError:
        return os.path.abspath(path)  # noqa: PTH100  not Path.absolute, which keeps the dots


def is_within(path: str, place: str) -> bool:
    """Whether a real path is another one, or below it."""
    return path == place or path.startswith(place.rstrip("/") + "/")


def _files(path: str) -> list[str]:
    """A file, or those of a directory, not of those below it: it is a state directory, or one with policies."""
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if entry.is_file()]
    except OSError:
        return [path]


def _number(file: str | int) -> tuple[int, int] | None:
    try:
        facts = os.stat(file)  # noqa: PTH116  it may be a descriptor
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


@lru_cache(maxsize=1)
def _code() -> tuple[str, ...]:
    """The directories that Python loads installed packages from, where a file can make it run anything."""
    known = sysconfig.get_paths()
    named = [known["purelib"], known["platlib"], known["stdlib"], *site.getsitepackages()]
    if site.ENABLE_USER_SITE:  # not in a virtual environment, where nothing is loaded from there
        named.append(site.getusersitepackages())
    named.append(str(Path(__file__).resolve().parent))
    return tuple(dict.fromkeys(map(real_path, named)))


# -- The same by another way: a hard link, or another mount

NOTHING = Protected((), frozenset())


def is_ours(protected: Protected, facts: os.stat_result) -> bool:
    """Whether a file that somebody opened is protected, by whatever path it was come to.

    One with several names is looked at anew: the ledger may be younger than ``protected``.
    """
    number = facts.st_dev, facts.st_ino
    if number in protected.files:
        return True
    return facts.st_nlink > 1 and number in {_number(file) for path in protected.paths for file in _files(path)}


def numbers_of(protected: Protected) -> frozenset[tuple[int, int]]:
    """The protected directories, and the files that are protected by their own path, by device and number."""
    return frozenset(number for path in protected.paths if (number := _number(path)) is not None)


def is_ours_elsewhere(protected: Protected, real: str) -> bool:
    """Whether a directory is a protected one, is in one, or has a protected file in it, by another mount."""
    numbers = numbers_of(protected)
    if any(_number(str(path)) in numbers for path in (Path(real), *Path(real).parents)):
        return True
    return any(_number(str(Path(real, Path(path).name))) in numbers for path in protected.paths)
