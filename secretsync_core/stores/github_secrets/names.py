"""Which keys there can be: the rules of https://docs.github.com/actions/reference/security/secrets.

GitHub takes a name in any case and keeps it in capitals. Here it has to be in capitals to begin with, so that two keys
never become one, and what a listing shows is what was written.
"""

from __future__ import annotations

from secretsync_core.key_rules import key_fault
from secretsync_core.model.capabilities import StoreLimits

TRANSFORM = 'keyTransform: [{case: Upper}, {replace: {characters: "/.-", with: _}}]'

KEY_LIMITS = StoreLimits(
    key_pattern="[A-Z_][A-Z0-9_]*",
    key_rule=f"names there are capital letters, digits and _, and begin with no digit; {TRANSFORM} makes such names",
    reserved="GITHUB_.*",
    reserved_rule="names that begin with GITHUB_ belong to GitHub; put something in front: keyTransform: [{prefix: …}]",
)


def is_name(name: str) -> bool:
    """Whether GitHub could call something so: a listing that shows another name is none of GitHub's."""
    return not key_fault(name, KEY_LIMITS)
