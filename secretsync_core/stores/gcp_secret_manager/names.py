"""Which keys there can be, which secrets they name, and what names in answers stand for."""

from __future__ import annotations

import re
from dataclasses import replace

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.keys import Keys

MAX_BYTES = 255

KEY_LIMITS = StoreLimits(
    max_key_bytes=MAX_BYTES,
    key_pattern=r"[A-Za-z0-9_-]+",
    key_rule="letters, digits, '-' and '_', and no '/': a keyTransform can change it, such as"
    " keyTransform: [{regexp: {source: /, target: '-'}}]",
    misnomers=r"(?:.*/)?projects/[^/]+/(?:locations/[^/]+/)?secrets/([^/]+)(?:/versions/[^/]+)?",
    misnomers_rule="a resource name is no key here: write the secret's id, $1; project and location are the"
    " SecretStore's, and where it has a prefix, what follows that",
)


class Names(Keys):
    """The ids below one prefix, of the secrets of one parent."""

    def __init__(self, parent: str, prefix: str, store: str) -> None:
        super().__init__(store, replace(KEY_LIMITS, max_key_bytes=MAX_BYTES - len(prefix)))
        self.parent = parent
        self._prefix = prefix

    def id_of(self, key: str) -> str:
        """The id of a secret. Raises InvalidSecret for a key that cannot be."""
        self.check(key)
        return self._prefix + key

    def name(self, key: str) -> str:
        """The resource name of a secret."""
        return f"{self.parent}/secrets/{self.id_of(key)}"

    def key(self, secret: str) -> str | Gap | None:
        """The key of a secret by its id; None for one that has not the prefix, a Gap for one that no key stands for."""
        if not secret.startswith(self._prefix) or secret == self._prefix:
            return None
        key = secret[len(self._prefix) :]
        if self.holds(key):
            return key
        said = f"{self.store} has a secret with an id for which there is no key; leave it out by exclude"
        return Gap(key, InvalidSecret.code, said, is_key=True)

    def may_hold(self, folder: str) -> bool:
        """Whether there may be anything in a folder: only at the top. Raises InvalidSecret for what is no folder."""
        self.check_folder(folder)
        return not folder


_SECRET = re.compile(r"projects/([^/]+)/(?:locations/([^/]+)/)?secrets/([^/]+)")
_VERSION = re.compile(r"(projects/[^/]+/(?:locations/[^/]+/)?secrets/[^/]+)/versions/([1-9][0-9]{0,9})")


def parts_of(name: str) -> tuple[str, str, str] | None:
    """Project (id or number), location (empty for none) and id in a secret's resource name."""
    found = _SECRET.fullmatch(name)
    return (found[1], found[2] or "", found[3]) if found else None


def version_of(name: str) -> tuple[str, int] | None:
    """The secret's resource name and the number in a version's."""
    found = _VERSION.fullmatch(name)
    return (found[1], int(found[2])) if found else None
