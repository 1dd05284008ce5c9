"""Which keys there can be: names of 1 to 127 letters, digits and dashes, which are the same to Azure in any case.

Here they are in lower case, so that two keys never stand for one secret, and what a listing shows is what was written.
Azure keeps the case in which a name was first written, and finds it by any.
"""

from __future__ import annotations

import re

from secretsync_core.model.capabilities import StoreLimits

MAX_LENGTH = 127

TRANSFORM = 'keyTransform: [{case: Lower}, {replace: {characters: "/_.", with: "-"}}]'

KEY_LIMITS = StoreLimits(
    max_key_bytes=MAX_LENGTH,
    key_pattern="[0-9a-z-]+",
    key_rule="names there are letters, digits and dashes, in lower case here as Azure tells no case apart; "
    f"{TRANSFORM} makes such names",
    misnomers="https://[^/]+/secrets/([0-9A-Za-z-]+)(?:/[0-9A-Za-z]*)?",
    misnomers_rule="an identifier is no key here: write the name, $1, in lower case; a version goes to version:",
)

_is_name = re.compile(r"[0-9A-Za-z-]{1,127}").fullmatch


def key_of(name: str) -> str | None:
    """The key of a secret that Azure calls so; None for what can be no name."""
    return name.lower() if _is_name(name) else None
