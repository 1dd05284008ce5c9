"""Which namespaces a document names where it names several."""

from __future__ import annotations

from typing import NamedTuple


class Pattern(NamedTuple):
    """The namespaces below ``base`` (empty: the root): its children, or with ``deep`` all that are below it."""

    base: str
    deep: bool


def pattern_of(namespace: str | None) -> Pattern | None:
    """What a document's ``namespace`` names where it names several: ``team-a/*``, or ``team-a/**``."""
    *above, last = (namespace or "").strip("/").split("/")
    return Pattern("/".join(above), last == "**") if last in ("*", "**") else None
