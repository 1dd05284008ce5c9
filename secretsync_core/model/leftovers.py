"""What processes that were killed while they wrote have left at a store, counted by folder. Holds no value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Leftovers:
    """Temporary files that may hold values, by folder; the top folder has an empty name.

    Attributes:
        removed: how many were removed.
        dead: those that are still there, and whose writers are known to be dead.
        doubtful: those of which nothing proves that they are ours, or that their writers are dead.
    """

    removed: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    doubtful: Counter[str] = field(default_factory=Counter)
