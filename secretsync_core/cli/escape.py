"""Makes names and keys from outside safe to show: they may hold terminal escapes, line breaks or bidi marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.unsafe_characters import UNSAFE

if TYPE_CHECKING:
    import re

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
    return UNSAFE.sub(_escaped, text)


def safe_lines(text: str) -> str:
    """Like ``safe``, but line breaks stay: for texts of ours that may quote a name."""
    return "\n".join(safe(line) for line in text.split("\n"))


def safe_json(data: bytes) -> bytes:
    """JSON in UTF-8 with every such character of its texts as JSON's own escape: for a terminal as for a program."""
    if data.isascii() and b"\x7f" not in data:
        return data
    return UNSAFE.sub(_escaped_in_json, data.decode()).encode()


def _escaped_in_json(match: re.Match[str]) -> str:
    # JSON itself allows no control character of C0 within a text: what there is of them lays it out.
    if match[0] < " ":
        return match[0]
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
