"""Which file a key is: one in each folder, called alike, or the only one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import re2

from secretsync_core.expression.glob import ANY, DEEP, escaped, parts_of
from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.selection import Pattern, Rule, Selection
from secretsync_core.stores.directory.names import LIMITS as FILES
from secretsync_core.stores.directory.names import segments_of
from secretsync_core.stores.dotenv.quoting import NAME
from secretsync_core.stores.fit import check_key

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1024 * 1024

LIMITS = StoreLimits(
    max_bytes=MAX_BYTES,
    text_only=True,
    field_pattern=f"^{NAME}$",
    field_rule="a variable's name has letters, digits and underscores, and begins with no digit",
)
"""What holds for every file."""


class Layout(Protocol):
    """Where the files of one store are."""

    limits: StoreLimits
    only: str  # the name of the one file that there is; empty where there may be many

    def path_of(self, key: str, store: str) -> str:
        """The file of a key, relative to the root. Raises InvalidSecret for what is no key."""
        ...

    def key_of(self, path: str) -> str:
        """The key of a file."""
        ...


class PerFolder:
    """A key is a folder, and its file is the one in it that has the name of all files."""

    only = ""

    def __init__(self, name: str) -> None:
        self._name = name
        self.limits = replace(LIMITS, key_pattern=FILES.key_pattern, key_rule=FILES.key_rule)

    def path_of(self, key: str, store: str) -> str:
        """See :class:`Layout`."""
        check_key(key, store, self.limits)
        segments_of(key, store)
        return f"{key}/{self._name}"

    def key_of(self, path: str) -> str:
        """See :class:`Layout`."""
        return path.removesuffix(f"/{self._name}")

    def files(self, prefix: str, *, recursive: bool) -> Selection:
        """The files of all keys in a folder (ending in ``/``, or empty), or below it as well."""
        folders = (*parts_of(escaped(prefix)), ANY, *((DEEP,) if recursive else ()))
        return Selection([Rule(Pattern(folders, parts_of(escaped(self._name))[0], chooses=True))])

    def told(self, found: Entry | Gap) -> Iterator[Entry | Gap]:
        """What a listing of files says of keys."""
        if isinstance(found, Entry):
            yield found._replace(key=self.key_of(found.key))
            return
        yield found._replace(prefix=self.key_of(found.prefix))
        if found.prefix.endswith("/"):  # a folder that cannot be looked into hides its own file as well
            yield found._replace(prefix=found.prefix[:-1], is_key=True)


class OneFile:
    """The only key is the name of the file."""

    def __init__(self, name: str) -> None:
        self.only = name
        rule = "the store is a single file, whose name is its only key"
        self.limits = replace(LIMITS, key_pattern=f"^{re2.escape(name)}$", key_rule=rule, folders_are_keys=False)

    def path_of(self, key: str, store: str) -> str:
        """See :class:`Layout`."""
        check_key(key, store, self.limits)
        return key

    def key_of(self, path: str) -> str:
        """See :class:`Layout`."""
        return path
