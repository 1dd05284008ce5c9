"""How the ledger names what a key was made of, in one short text; and what such a text says.

===================  ==================================================
one source           its key: ``billing/db``
``split: fields``    its key and the field: ``billing/db#user``
``combine``          the keys of all sources, as a JSON list
===================  ==================================================

Where that is too long the text is cut off or left out: it then says nothing for sure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.model.plan import SourceRef

LONGEST = 2048
"""How many characters the ledger takes."""


class Sources(NamedTuple):
    """What a key was made of: the source's keys and, with ``split``, the one field."""

    keys: tuple[str, ...]
    field: str | None = None


def unrecordable(key: str) -> str:
    """Why the ledger could not name a key; empty where it can."""
    if len(key) > LONGEST:
        return f"longer than {LONGEST} characters"
    return "" if key.isprintable() else "it holds characters that cannot be printed"


def name_sources(sources: Sequence[SourceRef], *, combined: bool) -> str:
    """The sources of a destination key as the ledger names them; empty where they cannot be named."""
    if combined:
        text = json.dumps([ref.key for ref in sources])
        return text if len(text) <= LONGEST else ""
    if not sources:
        return ""
    ref = sources[0]
    name = ref.key if ref.field is None else split_source(ref.key, ref.field)
    return name if not unrecordable(name) else name.encode("unicode_escape", "surrogatepass").decode()[:LONGEST]


def read_sources(text: str, *, combined: bool, split: bool) -> Sources | None:
    """What :func:`name_sources` was given, for an item of that kind; None where the text does not say for sure."""
    if not text or len(text) >= LONGEST:
        return None
    if combined:
        try:
            keys = json.loads(text)
        except ValueError:
            return None  # recorded by an item that did not combine
        return Sources(tuple(keys)) if isinstance(keys, list) and all(isinstance(key, str) for key in keys) else None
    key, field = unsplit(text) if split else (text, None)
    if "\\" not in key:
        return Sources((key,), field)
    # A backslash of its own, or one of the escapes that stand for what cannot be printed: it may be either.
    try:
        unescaped = key.encode("ascii").decode("unicode_escape")
    except UnicodeError:
        return Sources((key,), field)
    return Sources(tuple(dict.fromkeys((key, unescaped))), field)


def split_source(key: str, field: str) -> str:
    """A source's key and field as the ledger names them: ``billing/db#user``."""
    return f"{key}#{field.replace('%', '%25').replace('#', '%23')}"


def unsplit(source_key: str) -> tuple[str, str]:
    """The key and the field that :func:`split_source` was given."""
    key, _, field = source_key.rpartition("#")
    return key, field.replace("%23", "#").replace("%25", "%")
