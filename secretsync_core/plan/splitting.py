"""``split: fields``: one destination secret for each field of a source secret. Names and versions only.

Which fields a secret has cannot be seen without reading it, so the ledger remembers: each of its secrets is recorded
with its source's key and field, and with a version that says how many there are. While the source stays at that
version, and that many are recorded, nothing has to be read to know them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.plan.origins import unsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsync_core.model.state import Origin

_COUNT = "@fields="


def split_version(version: str | None, count: int) -> str | None:
    """The version of each of the ``count`` secrets that a source secret at ``version`` is split into."""
    return None if version is None else f"{version}{_COUNT}{count}"


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
