"""Our mark on a variable: the end of its description, which is all that a variable has besides its settings."""

from __future__ import annotations

import re

from secretsync_core.stores.base import MARK_KEY

LONGEST_DESCRIPTION = 255
"""GitLab's own bound (app/models/ci/variable.rb)."""

_LONGEST_MARK = 63
LONGEST_TEXT = LONGEST_DESCRIPTION - len(f" [{MARK_KEY}=]") - _LONGEST_MARK
"""What is left for people."""

_MARK = re.compile(rf" ?\[{re.escape(MARK_KEY)}=([A-Za-z0-9._-]{{1,{_LONGEST_MARK}}})\]\Z")


def mark_of(description: str) -> str:
    """The mark that a description ends with; empty where there is none."""
    found = _MARK.search(description)
    return found[1] if found else ""


def text_of(description: str) -> str:
    """A description without a mark."""
    return _MARK.sub("", description)


def marked(text: str, mark: str) -> str:
    """A description of this text and this mark. Of a text that leaves no room for a mark the end is cut off."""
    if not mark:
        return text
    end = f"[{MARK_KEY}={mark}]"
    return f"{text[: LONGEST_DESCRIPTION - len(end) - 1]} {end}" if text else end
