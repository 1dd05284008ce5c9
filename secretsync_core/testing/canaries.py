"""Values that are easy to recognise wherever they turn up, and the search for them.

Put a canary's ``text`` into a secret, let the code under test run, then look through everything that it left: logs,
databases, reports, error texts. A canary is found plain, cut out of its quotes, escaped in any way that leaves letters
and digits alone, in base64 at any offset, in hexadecimal, in UTF-16, reversed, and as its plain SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

CHUNK = 1 << 20  # bytes of a file that are looked at together


class Finding(NamedTuple):
    """One place where a canary was found. Holds no value."""

    where: str  # the file, or "bytes"
    canary: str  # the canary's label
    variant: str
    offset: int  # in bytes; 0 for a file's own name


@dataclass(frozen=True)
class Canary:
    """One unique value. ``label`` tells it apart in findings; ``text`` is the value to hide."""

    label: str
    text: str = field(repr=False)

    @property
    def data(self) -> bytes:
        """The value as a blob."""
        return self.text.encode()

    @property
    def core(self) -> str:
        """The part in the middle that escaping leaves as it is."""
        return self.text[2:-4]

    def variants(self) -> Mapping[str, bytes]:
        """Every form in which it is looked for, by name."""
        return _variants(self)


@lru_cache(maxsize=1024)  # one search looks into many texts for the same canaries
def _variants(canary: Canary) -> Mapping[str, bytes]:
    core = canary.core.encode()
    forms = {
        "core": core,
        "reversed": core[::-1],
        "hex": core.hex().encode(),
        "hex-upper": core.hex().upper().encode(),
        "utf-16-le": canary.core.encode("utf-16-le"),
        "utf-16-be": canary.core.encode("utf-16-be"),
        "url": quote(canary.text, safe="").encode(),
        "url-plus": quote_plus(canary.text).encode(),
        "json": json.dumps(canary.text)[1:-1].encode(),
        "sha256": hashlib.sha256(canary.data).hexdigest().encode(),
    }
    # Three bytes become four letters, so the letters depend on where in the encoded whole the value begins. What
    # does not depend on its neighbours is looked for, at each of the three offsets.
    for offset in range(3):
        padded = b"\0" * offset + core
        usable = padded[: len(padded) - len(padded) % 3]
        skipped = 4 if offset else 0
        forms[f"base64-{offset}"] = base64.b64encode(usable)[skipped:]
        forms[f"base64url-{offset}"] = base64.urlsafe_b64encode(usable)[skipped:]
    return forms


def canary(label: str = "canary") -> Canary:
    """Make a value that never was before: text that JSON, URLs and shells must escape around 160 random bits."""
    return Canary(label, f'"/canary{secrets.token_hex(20)}+ é\\')


def find_in(where: Path | bytes | str, canaries: Iterable[Canary]) -> list[Finding]:
    """Look for canaries in bytes, text, a file, or a directory with everything below it (file names too).

    A string is text to look through, never a path. Links are not followed, and special files are not opened.
    """
    forms = [(each.label, name, form) for each in canaries for name, form in each.variants().items()]
    if isinstance(where, str):
        where = where.encode(errors="surrogatepass")
    if isinstance(where, bytes):
        return list(_in_bytes(where, "bytes", forms))
    files = sorted(where.rglob("*")) if where.is_dir() else [where]
    return [finding for file in files for finding in _in_file(file, forms)]


def _in_bytes(data: bytes, where: str, forms: list[tuple[str, str, bytes]], base: int = 0) -> Iterator[Finding]:
    for label, variant, form in forms:
        offset = data.find(form)
        if offset >= 0:
            yield Finding(where, label, variant, base + offset)


def _in_file(file: Path, forms: list[tuple[str, str, bytes]]) -> Iterator[Finding]:
    for finding in _in_bytes(str(file).encode(errors="surrogateescape"), str(file), forms):
        yield finding._replace(offset=0)
    if file.is_symlink() or not file.is_file():
        return
    overlap = max((len(form) for *_, form in forms), default=1) - 1
    seen: set[tuple[str, str]] = set()
    with file.open("rb") as opened:
        tail, base = b"", 0
        while chunk := opened.read(CHUNK):
            for finding in _in_bytes(tail + chunk, str(file), forms, base - len(tail)):
                if (finding.canary, finding.variant) not in seen:
                    seen.add((finding.canary, finding.variant))
                    yield finding
            base += len(chunk)
            tail = (tail + chunk)[-overlap:] if overlap else b""
