"""Which keys and values there can be, by GitLab's own source (app/models/concerns/ci) and documentation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.key_rules import key_fault
from secretsync_core.model.capabilities import StoreLimits

if TYPE_CHECKING:
    from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig

TRANSFORM = 'keyTransform: [{case: Upper}, {replace: {characters: "/.-", with: _}}]'

KEY_LIMITS = StoreLimits(
    key_pattern="[A-Za-z0-9_]+",
    key_rule=f"names there are letters, digits and _; {TRANSFORM} makes such names",
    max_key_bytes=255,
)
"""has_variable.rb."""

LIMITS = replace(KEY_LIMITS, text_only=True, empty=False)
"""Of values: text; how long one may be nothing tells, but for instances. That one may be empty nothing tells either."""

# maskable.rb: REGEX where references in a value are expanded, MASK_AND_RAW_REGEX where they are not.
_NOT_MASKABLE = r"[^a-zA-Z0-9_+=/@:.~-]|(?s)\A.{0,7}\z"
_NOT_MASKABLE_RAW = r"[\t\n\v\f\r \x00]|(?s)\A.{0,7}\z"
_NUL = r"\x00"

_HOW = "write it with visibility: Visible"
RAW_RULE = f"spaces or line breaks, or is shorter than 8 characters, and GitLab cannot mask that in jobs' logs; {_HOW}"
EXPANDED_RULE = (
    "other characters than letters, digits and _ + = / @ : . ~ -, or is shorter than 8, and GitLab cannot mask that in "
    f"jobs' logs; set raw: true, or {_HOW}"
)

HIDDEN_RULE = "GitLab hides variables only as they are made: delete it there, or leave it to visibility: Masked"

INSTANCE_CHARACTERS = 10_000
"""instance_variable.rb; of projects and groups nothing is told."""


def limits_of(config: GitlabVariablesConfig) -> StoreLimits:
    """What the store of a document takes."""
    if config.visibility == "Visible":
        excluded, rule = _NUL, "the character NUL"
    elif config.raw:
        excluded, rule = _NOT_MASKABLE_RAW, RAW_RULE
    else:
        excluded, rule = _NOT_MASKABLE, EXPANDED_RULE
    return replace(LIMITS, excluded=excluded, excluded_rule=rule)


def is_name(name: str) -> bool:
    """Whether GitLab could call something so: a listing that shows another name is none of GitLab's."""
    return not key_fault(name, KEY_LIMITS)
