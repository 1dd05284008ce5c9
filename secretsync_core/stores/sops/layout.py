"""Which file a key is in, and where in it: a file for each secret, or one file with all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from secretsync_core.expression.glob import ANY, DEEP, Part, escaped, parts_of
from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.selection import Exclusion, Pattern, Rule, Selection
from secretsync_core.stores.directory.names import LIMITS as FILES
from secretsync_core.stores.directory.names import segments_of
from secretsync_core.stores.fit import check_key, invalid_key
from secretsync_core.stores.sops.document import DOTENV, ENDINGS, INI
from secretsync_core.stores.sops.ini_text import TOP
from secretsync_core.stores.sops.yaml_text import SECTION

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1024 * 1024

LIMITS = StoreLimits(max_bytes=MAX_BYTES, exact_numbers=False)
"""What holds for every file."""


class Layout(Protocol):
    """Where the secrets of one store are."""

    limits: StoreLimits
    only: str  # the name of the one file that there is; empty where there may be many

    def place_of(self, key: str, store: str) -> tuple[str, tuple[str, ...]]:
        """The file of a key, relative to the root, and the names that lead to its object. Raises InvalidSecret."""
        ...

    def secrets_in(self, data: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        """The names that lead to each secret in the one file; none where there may be many files."""
        ...


class FilePerSecret:
    """The fields of a secret are what a file holds; its key is the file's path without its ending."""

    only = ""

    def __init__(self, ending: str) -> None:
        self._ending = ending
        self.limits = replace(LIMITS, key_pattern=FILES.key_pattern, key_rule=FILES.key_rule)
        if form_of(ending) == DOTENV:
            rule = "a variable's name has letters, digits and underscores, and begins with no digit"
            self.limits = replace(
                self.limits, text_only=True, field_pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", field_rule=rule
            )

    def place_of(self, key: str, store: str) -> tuple[str, tuple[str, ...]]:
        """See :class:`Layout`."""
        check_key(key, store, self.limits)
        path = f"{key}{self._ending}"
        segments_of(path, store)
        return path, ()

    def secrets_in(self, _: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        """See :class:`Layout`."""
        return iter(())

    def key_of(self, path: str) -> str:
        """The key of a file."""
        return path.removesuffix(self._ending)

    def files(self, prefix: str, *, recursive: bool) -> Selection:
        """The files in a folder (ending in ``/``, or empty), or below it as well."""
        folders = (*parts_of(escaped(prefix)), *((DEEP,) if recursive else ()))
        ending = Part(f"{ANY.regexp}{parts_of(escaped(self._ending))[0].regexp}", None, "")
        return Selection([Rule(Pattern(folders, ending, chooses=True), (Exclusion(f"**/{self._ending}"),))])


class OneFile:
    """A key is a path inside of the file, which leads to an object: the first that holds more than objects."""

    def __init__(self, name: str) -> None:
        self.only = name
        self.limits = replace(
            LIMITS,
            empty=False,
            key_pattern=FILES.key_pattern,
            key_rule="names separated by single slashes, none of them '.' or '..', without NUL",
            folders_are_keys=False,
        )

    def place_of(self, key: str, store: str) -> tuple[str, tuple[str, ...]]:
        """See :class:`Layout`."""
        check_key(key, store, self.limits)
        names = tuple(key.split("/"))
        if names[0] == SECTION:
            raise invalid_key(key, store, f"the name {SECTION} is that of the section that sops keeps in each file")
        return self.only, names

    def secrets_in(self, data: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        """See :class:`Layout`."""
        return _objects_in(data)


_SECTION = r"[A-Za-z0-9_](?:[A-Za-z0-9_. -]*[A-Za-z0-9_.-])?"


class OneIniFile:
    """A key is the name of a section; what stands above the first one is no secret."""

    def __init__(self, name: str) -> None:
        self.only = name
        self.limits = replace(
            LIMITS,
            empty=False,
            key_pattern=f"{_SECTION}(?:/{_SECTION})*",
            key_rule="names of letters, digits, _, ., - and blanks that begin with a letter, a digit or _ and end with "
            "no blank, separated by single slashes",
            text_only=True,
        )

    def place_of(self, key: str, store: str) -> tuple[str, tuple[str, ...]]:
        """See :class:`Layout`."""
        check_key(key, store, self.limits)
        if key == SECTION:
            raise invalid_key(key, store, f"the name {SECTION} is that of the section that sops keeps in each file")
        if key.upper() == TOP:
            raise invalid_key(key, store, f"{TOP} is what sops calls the values above the first section")
        return self.only, (key,)

    def secrets_in(self, data: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        """See :class:`Layout`."""
        yield from ((name,) for name in data if name != TOP)


def one_file(name: str) -> Layout:
    """How the secrets are in a file of this name."""
    return OneIniFile(name) if form_of(name) == INI else OneFile(name)


def _objects_in(data: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of the objects that hold something other than objects, or nothing."""
    for name, value in data.items():
        if isinstance(value, dict) and is_secret(value):
            yield (*above, name)
        elif isinstance(value, dict):
            yield from _objects_in(value, (*above, name))


def is_secret(value: dict[str, Any]) -> bool:
    """Whether an object is a secret, and no folder."""
    return not value or not all(isinstance(each, dict) for each in value.values())


def form_of(path: str) -> str:
    """The format of a file."""
    return ENDINGS[f".{path.rpartition('.')[2]}"]
