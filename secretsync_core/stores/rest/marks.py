"""Our mark on a secret of a service: a part of a text that people can see there, such as a comment or a tag.

``secretsync.io/owner=vault-to-web.5f0c9a1e2b7d4c36``. It says itself what it is, so that other words, or other tags,
may stand beside it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsync_core.stores.base import MARK_KEY
from secretsync_core.stores.rest.jsonpath import NothingThereError, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_TEXT = 16 * 1024  # of what is looked through, in characters
_MARK = re.compile(rf"(?<![A-Za-z0-9._/-]){re.escape(MARK_KEY)}=([A-Za-z0-9._-]{{1,63}})(?![A-Za-z0-9._-])")


def text_of_mark(mark: str) -> str:
    """What ``{{ mark }}`` stands for; empty where there is no mark.

    Of several that :func:`mark_at` has found, all: an update that repeats them must not leave one alone of them.
    """
    return " ".join(f"{MARK_KEY}={each}" for each in mark.split(",")) if mark else ""


def mark_at(path: str, document: object) -> str:
    """The mark in what a path finds; empty where there is none.

    Where there is nothing, or what is no text, there is no mark: services leave out a comment that is empty. Of several
    that differ none is ours.
    """
    return ",".join(dict.fromkeys(mark for text in _texts_at(path, document) for mark in _MARK.findall(text)))


def _texts_at(path: str, document: object) -> Iterator[str]:
    try:
        found = [each for _, each in parse(path).find(document)]
    except NothingThereError:
        return
    yield from (each[:_LONGEST_TEXT] for each in found if isinstance(each, str))
