"""Which keys there can be, and which names they stand for.

A name is a path (``/prod/db``) or a single name (``db``), which the service takes for the same as ``/db`` and tells
without the slash. A key is what follows the path that the document gives.
"""

from __future__ import annotations

import re
from dataclasses import replace

from secretsync_core.errors import InvalidSecret
from secretsync_core.key_rules import common_beginning
from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.aws.names import ANOTHER_ACCOUNT, segment
from secretsync_core.stores.keys import Keys

MAX_LEVELS = 15

MAX_ARN_BYTES = 1011
"""The length of a name, and of what stands before it in its ARN, together."""

LONGEST = MAX_ARN_BYTES - len("arn:aws:ssm:us-east-1:123456789012:parameter/")

_SEGMENT = segment("A-Za-z0-9_-")

_RESERVED = "(?i)(?:aws|ssm).*"


def pattern(levels: int = MAX_LEVELS) -> str:
    """The expression for a key of so many levels at the most."""
    return rf"{_SEGMENT}(?:/{_SEGMENT}){{0,{max(0, levels - 1)}}}"


KEY_LIMITS = StoreLimits(
    max_key_bytes=LONGEST,
    key_pattern=pattern(),
    key_rule="letters, digits and any of _.- in at most 15 folders, path included, none of them empty, '.' or '..'",
    misnomers="arn:(?:[^:]*:)*(?:parameter/)?/?([^:]+)",
    misnomers_rule="an ARN is no key here: write the name, $1, without a slash in front; where the SecretStore has a "
    f"path, what follows that. {ANOTHER_ACCOUNT}",
    reserved=_RESERVED,
    reserved_rule="names that begin with aws or ssm belong to AWS",
)


class Names(Keys):
    """The names below one path."""

    way_out = "give it another name by a keyTransform, or the SecretStore a path"

    def __init__(self, path: str, store: str, *, partition: str = "aws", region: str = "us-east-1") -> None:
        """``partition`` and ``region`` count, for a name and its ARN together have a length."""
        self._root = path.rstrip("/")
        levels = MAX_LEVELS - self._root.count("/")
        before = len(f"arn:{partition}:ssm:{region}:123456789012:parameter") + len(f"{self._root}/")
        # A path begins every name, and no key does.
        whole = ".*" if re.match(_RESERVED, self._root.lstrip("/")) else None
        limits = replace(
            KEY_LIMITS,
            max_key_bytes=MAX_ARN_BYTES - before,
            key_pattern=pattern(levels),
            reserved=whole if self._root else KEY_LIMITS.reserved,
        )
        super().__init__(store, limits)

    @property
    def is_public(self) -> bool:
        """Whether these are parameters that AWS publishes for everybody."""
        return f"{self._root}/".startswith("/aws/")

    def name(self, key: str) -> str:
        """The name of a parameter, as the service tells it. Raises InvalidSecret for a key that cannot be."""
        self.check(key)
        return plain(f"{self._root}/{key}")

    def new_name(self, key: str) -> str:
        """The same for a parameter that is to be written."""
        self.check_new(key)
        return self.name(key)

    def folder(self, prefix: str) -> str:
        """The path of a folder; empty for all that there is."""
        self.check_folder(prefix)
        return f"{self._root}/{prefix}".rstrip("/")

    def common_folder(self, keys: list[str]) -> str:
        """The path of the deepest folder that holds all of ``keys``; empty for all that there is."""
        return f"{self._root}/{common_beginning(keys)}".rpartition("/")[0]

    def key(self, name: str) -> str | Gap | None:
        """The key of a parameter by its name: a Gap for one that no key stands for, None for one beside the path."""
        whole = name if name.startswith("/") else f"/{name}"
        if not whole.startswith(f"{self._root}/"):
            return None
        key = whole[len(self._root) + 1 :]
        if self.holds(key):
            return key
        message = f"{self.store} has the name {name!r}, for which there is no key"
        return Gap(key, InvalidSecret.code, message, is_key=True)


def root_of(path: str) -> str:
    """What stands before every key, in the form in which each name has its slash."""
    return path.rstrip("/") + "/"


def plain(name: str) -> str:
    """A name as the service tells it: without its slash where it is a single one."""
    return name[1:] if name.rfind("/") == 0 else name
