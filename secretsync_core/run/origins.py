"""What the ledger knows of the sources of a key: how it names them in one short text, and what such a text says.

===================  ==================================================
one source           its key: ``billing/db``
``split: fields``    its key and the field: ``billing/db#user``
``combine``          the keys of all sources, as a JSON list
===================  ==================================================

Where that is too long the text is cut off or left out: it then says nothing for sure.

Which fields the secrets of a ``split`` item have cannot be seen without reading them, so the ledger remembers: each of
its secrets is recorded with its source's key and field, and with a version that says how many there are. While the
source stays at that version, and that many are recorded, nothing has to be read to know them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from secretsync_core.model.plan import SourceRef
    from secretsync_core.model.state import Origin
    from secretsync_core.run.seen import Fields, SourceSeen

_COUNT = "@fields="

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


def split_version(version: str | None, count: int) -> str | None:
    """The version of each of the ``count`` secrets that a source secret at ``version`` is split into."""
    return None if version is None else f"{version}{_COUNT}{count}"


def recall_fields(seen: SourceSeen, origins: Mapping[str, Sequence[Origin]]) -> tuple[Fields, list[str]]:
    """The fields that the ledger knows, and the source keys of which it does not know all.

    ``origins`` is what the live keys of the item came of, by destination.
    """
    item = seen.item
    sources = list(seen.sources())
    known: Fields = {}
    for found in origins.values():
        known.update(known_fields(sources, item.parts[0].store, item.definition, found))
    return known, [key for key, _ in sources if key not in known]


def known_fields(
    sources: Iterable[tuple[str, str | None]], store: str, definition: str, origins: Iterable[Origin]
) -> dict[str, tuple[str, ...]]:
    """The field names of those source secrets (key, version) of which the ledger knows every one.

    ``origins`` are the live keys of one destination that came of this item.
    """
    by_source: dict[str, dict[str, list[str]]] = {}
    for origin in origins:
        if origin.store == store and origin.definition == definition and origin.version is not None:
            key, field = unsplit(origin.source_key)
            by_source.setdefault(key, {}).setdefault(origin.version, []).append(field)
    known: dict[str, tuple[str, ...]] = {}
    for key, version in sources:
        # Only as many as their version counts are all of them: a run that failed half-way left fewer.
        for held, fields in by_source.get(key, {}).items():
            if version is not None and held == split_version(version, len(fields)):
                known[key] = tuple(sorted(fields))
    return known
