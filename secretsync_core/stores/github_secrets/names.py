"""Which keys there can be: the rules of https://docs.github.com/actions/reference/security/secrets.

GitHub takes a name in any case and keeps it in capitals. Here it has to be in capitals to begin with, so that two keys
never become one, and what a listing shows is what was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret
from secretsync_core.key_rules import key_fault, new_key_fault
from secretsync_core.model.capabilities import StoreLimits
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.fit import invalid_key

if TYPE_CHECKING:
    from collections.abc import Collection

TRANSFORM = 'keyTransform: [{case: Upper}, {replace: {characters: "/.-", with: _}}]'

KEY_LIMITS = StoreLimits(
    key_pattern="[A-Z_][A-Z0-9_]*",
    key_rule=f"names there are capital letters, digits and _, and begin with no digit; {TRANSFORM} makes such names",
    reserved="GITHUB_.*",
    reserved_rule="names that begin with GITHUB_ belong to GitHub; put something in front: keyTransform: [{prefix: …}]",
)


def check(key: str, store: str) -> None:
    """Raise InvalidSecret for a key that cannot be."""
    if fault := key_fault(key, KEY_LIMITS):
        raise invalid_key(key, store, fault)


def check_new(key: str, store: str) -> None:
    """Raise InvalidSecret for a key that cannot be written."""
    if fault := new_key_fault(key, KEY_LIMITS):
        raise invalid_key(key, store, fault)


def sort_out(keys: Collection[str], store: str) -> tuple[list[str], list[Gap]]:
    """The keys that can be, and a Gap for each of the others: nothing is asked about those."""
    good: list[str] = []
    bad: list[Gap] = []
    for key in keys:
        if fault := key_fault(key, KEY_LIMITS):
            bad.append(Gap(key, InvalidSecret.code, invalid_key(key, store, fault).message))
        else:
            good.append(key)
    return good, bad


def is_name(name: str) -> bool:
    """Whether GitHub could call something so: a listing that shows another name is none of GitHub's."""
    return not key_fault(name, KEY_LIMITS)
