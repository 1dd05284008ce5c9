"""Which keys there can be at any service: those that no server on the way can take for another path."""

from __future__ import annotations

import re2

from secretsync_core.model.capabilities import StoreLimits

# A segment is sent escaped. What some proxy or server makes `.`, `..`, `/` or the end of a path of, once it has undone
# that twice, or replaced letters by those that look alike, stands in none.
_LOOK_ALIKES = (  # what Unicode's compatibility forms (NFKC) make one of these of
    r"\x{037E}\x{2024}-\x{2026}\x{2047}-\x{2049}\x{2100}\x{2101}\x{2105}\x{2106}\x{FE14}\x{FE16}\x{FE19}\x{FE30}"
    r"\x{FE52}\x{FE54}\x{FE56}\x{FE5F}\x{FE68}\x{FE6A}\x{FF03}\x{FF05}\x{FF0E}\x{FF0F}\x{FF1B}\x{FF1F}\x{FF3C}"
)
_SPACES = r"\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"  # all of \pZ but the space
_BUT_SLASH = rf"\\\%;?#{_LOOK_ALIKES}{_SPACES}"
_BAD = rf"/{_BUT_SLASH}"
_ANY = rf"[^{_BAD}\pC]"
_FIRST = rf"[^.{_BAD}\pC]"
SEGMENT = rf"\.?{_FIRST}{_ANY}*"

KEY_LIMITS = StoreLimits(
    max_key_bytes=1024,
    key_pattern=rf"{SEGMENT}(?:/{SEGMENT})*",
    key_rule="printable characters without \\ % ; ? #, in folders that are not empty and do not begin with '..',"
    " with no '/' at either end",
)

MISNOMERS = rf"(?s:|.*[{_BUT_SLASH}\pC].*|/.*|.*/|.*//.*|(?:.*/)?\.(?:/.*)?|(?:.*/)?\.\..*)"
"""What no key is, for stores whose documents have a pattern of their own: all that the one above does not take."""

MISNOMERS_RULE = (
    "no key has a backslash, %, ;, ? or # in it, control characters, or folders that are empty or begin with dots"
)

_WHOLE = re2.compile(rf"^(?:{SEGMENT})$")
_LONGEST = 1024


def is_segment(text: str) -> bool:
    """Whether a text is one segment of a path, and can be taken for nothing else, however it is read."""
    return len(text) <= _LONGEST and _is_unicode(text) and _WHOLE.fullmatch(text) is not None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
