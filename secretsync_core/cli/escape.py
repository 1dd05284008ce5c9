"""Makes names and keys from outside safe to show: they may hold terminal escapes, line breaks or bidi marks."""

from __future__ import annotations

import re

# C0, DEL and C1 controls, line and paragraph separators, lone surrogates, and everything that turns or hides text.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def safe(text: str) -> str:
    """``text`` on one line, with every character that could steer a terminal written as an escape."""
    return _UNSAFE.sub(_escaped, text)


def safe_lines(text: str) -> str:
    """Like ``safe``, but line breaks stay: for texts of ours that may quote a name."""
    return "\n".join(safe(line) for line in text.split("\n"))
