"""Whether what a store calls a version is, or holds, a part of the value: a server may answer with what it was sent.

A version is kept and shown where the value must not be. Its form alone does not tell: a value may be a number or a UUID
as well. So where both are at hand, they are compared.
"""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING

import orjson

from secretsync_core.errors import MalformedAnswer
from secretsync_core.stores.answers import is_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.secret import SecretValue

SHORTEST = 6
"""Shorter parts of a value are found in versions by chance: a version 3 is no sign of a field that is 3."""


class EchoedVersion(MalformedAnswer):
    """A version shows the value: whoever has that version drops it."""


def refuse_echo(store: str, key: str, version: str | None, value: SecretValue, *, wrote: bool = False) -> None:
    """Raise EchoedVersion, without a word of either, where a version shows a part of the value.

    ``wrote``: the value was sent, and may have been written.
    """
    if version is not None and is_echo(version, value):
        error = EchoedVersion(
            f"{store} names a version of {key} by a part of its value",
            store=store,
            key=key,
            hint="nothing of that version was kept or shown; find out why the server answers with what is secret",
        )
        error.unanswered = wrote
        raise error


def is_echo(version: str, value: SecretValue) -> bool:
    """Whether a version shows a scalar of the value, as it is or in base64, or is a piece of one."""
    parts = [part for part in version.split("@") if len(part) >= SHORTEST and not is_time(part)]
    if not parts:
        return False
    return any(
        _shows(part, text)
        for text in _scalars(value.reveal())
        if len(text) >= SHORTEST and not is_time(text)
        for part in parts
    )


def _shows(part: str, text: str) -> bool:
    if not part.strip("0123456789."):  # numbers, which many texts hold somewhere; a file's version is three of them
        return part == text
    if part in text or _coded(text) in part or text.encode(errors="surrogatepass").hex() in part.lower():
        return True
    return text in part and 2 * len(text) >= len(part)  # a word of it, as "terraform", may be in both by chance


def _coded(text: str) -> str:
    return base64.b64encode(text.encode(errors="surrogatepass")).decode().rstrip("=")


def _scalars(value: object) -> Iterator[str]:
    """Every text, number and run of bytes in a value, as text; of a JSON object that is a blob, those in it too."""
    pending = [value]  # and no recursion: values may be nested deeper than Python lets functions be
    while pending:
        part = pending.pop()
        if isinstance(part, bytes):
            yield part.decode(errors="replace").strip()
            if part.lstrip()[:1] in (b"{", b"["):
                with contextlib.suppress(ValueError):
                    pending.append(orjson.loads(part))
        elif isinstance(part, str):
            yield part.strip()
        elif isinstance(part, dict):
            pending += part.values()
        elif isinstance(part, list):
            pending += part
        elif isinstance(part, int | float) and not isinstance(part, bool):
            yield str(part)
