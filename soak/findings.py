"""What a soak found and counted, by the kind of round."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

_STARTED = time.monotonic()
_SHOWN = 4


def say(text: str) -> None:
    """One line, with the seconds since the start."""
    print(f"[{time.monotonic() - _STARTED:7.1f}] {text}", flush=True)


@dataclass(slots=True)
class Findings:
    """What does not hold, and what happened.

    Attributes:
        kind: of the round that goes on.
        round: its number.
        rounds: how many there were, by kind.
        counts: what else happened, by what.
        found: what did not hold and how often, by the kind of round.
        told: no more than a few of one kind are shown for each round.
    """

    kind: str = "start"
    round: int = 0
    rounds: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    found: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    told: Counter[tuple[str, int]] = field(default_factory=Counter)

    def begin(self, kind: str) -> None:
        """A round begins."""
        self.kind = kind
        self.round += 1
        self.rounds[kind] += 1

    def add(self, what: str, detail: object = "") -> None:
        """Something does not hold. ``detail`` names keys and versions."""
        self.found[self.kind][what] += 1
        self.told[what, self.round] += 1
        if self.told[what, self.round] <= _SHOWN:
            say(f"FOUND in round {self.round} ({self.kind}): {what}: {str(detail)[:600]}")

    @property
    def total(self) -> int:
        """How often something did not hold."""
        return sum(counter.total() for counter in self.found.values())

    def report(self, name: str) -> None:
        """Say it all."""
        say(f"{name}: {self.rounds.total()} rounds, {self.total} findings, {dict(self.counts)}")
        for kind in dict.fromkeys([*self.rounds, *(kind for kind, found in self.found.items() if found)]):
            print(f"   {kind:24} {self.rounds[kind]:4} rounds, {dict(self.found[kind]) or 'nothing found'}", flush=True)
