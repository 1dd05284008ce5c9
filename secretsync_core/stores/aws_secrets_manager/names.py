"""Which keys there can be, and which names they stand for."""

from __future__ import annotations

from dataclasses import replace

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.aws.names import ANOTHER_ACCOUNT, segment
from secretsync_core.stores.keys import Keys

MAX_BYTES = 512

# The ! stands in the names of secrets that other services of AWS manage: they can be read, and not written.
_SEGMENT = segment("A-Za-z0-9_+=@!-")

KEY_LIMITS = StoreLimits(
    max_key_bytes=MAX_BYTES,
    key_pattern=rf"{_SEGMENT}(?:/{_SEGMENT})*",
    key_rule="letters, digits and any of _+=.@- in folders that are neither empty nor '.' nor '..'",
    slash_hint="to reach names that begin with '/', give the SecretStore prefix: /, and leave out the slash in front",
    misnomers="arn:(?:[^:]*:)*([^:]+?)(?:-[A-Za-z0-9]{6})?",
    misnomers_rule="an ARN is no key here: write the name, $1, without the hyphen and the six characters that AWS puts "
    f"behind it in an ARN; where the SecretStore has a prefix, what follows that. {ANOTHER_ACCOUNT}",
    reserved=".*!.*",
    reserved_rule="only services of AWS make names with a '!'",
)


class Names(Keys):
    """The names below one prefix."""

    def __init__(self, prefix: str, store: str) -> None:
        limits = replace(KEY_LIMITS, max_key_bytes=MAX_BYTES - len(prefix))
        super().__init__(store, replace(limits, slash_hint=StoreLimits().slash_hint) if prefix[:1] == "/" else limits)
        self._prefix = prefix

    def name(self, key: str) -> str:
        """The name of a secret. Raises InvalidSecret for a key that cannot be."""
        self.check(key)
        return self._prefix + key

    def new_name(self, key: str) -> str:
        """The same for a secret that is to be written."""
        self.check_new(key)
        return self._prefix + key

    def folder(self, prefix: str) -> str:
        """How the names of a folder begin."""
        self.check_folder(prefix)
        return self.beginning(prefix)

    def beginning(self, text: str) -> str:
        """How the names of keys begin that begin like this."""
        return self._prefix + text

    def key(self, name: str) -> str | Gap:
        """The key of a secret by its name, or a Gap for a name that no key stands for."""
        key = name.removeprefix(self._prefix)
        if self.holds(key):
            return key
        return Gap(
            key,
            InvalidSecret.code,
            f"{self.store} has the name {name!r}, for which there is no key"
            + (
                "; give the SecretStore a prefix that begins with '/', or leave it out by exclude"
                if name.startswith("/")
                else "; leave it out by exclude"
            ),
            is_key=True,
        )
