"""Joins the ledger's records with what is at the destination: no write is unannounced, and no record untrue."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from soak.destinations import OURS
from soak.model import VAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soak.chain import Chain, Line
    from soak.destinations import Destinations
    from soak.findings import Findings
    from soak.strangers import Strangers

_CLOCK = 1000
"""Microseconds that the clocks of a write and of its record may differ by."""

_MICRO = 1_000_000
_LATE = ":late"
_WRITES = ("create", "update")
_OUTCOMES = ("done", "failed", "skipped")

Intent = tuple[str, str]
"""A job and the id that joins an announcement and its outcome."""


class Witness:
    """Follows the ledger. ``destinations`` must have been looked at before each call."""

    def __init__(self, chain: Chain, destinations: Destinations, strangers: Strangers, findings: Findings) -> None:
        self._chain = chain
        self._at = destinations
        self._strangers = strangers
        self._findings = findings
        self._announced: dict[Intent, Line] = {}
        self._by_key: defaultdict[str, list[Line]] = defaultdict(list)
        self._outcomes: defaultdict[Intent, list[Line]] = defaultdict(list)
        self._open_runs: set[tuple[str, str]] = set()
        self._closed_runs: set[tuple[str, str]] = set()
        self._done: set[tuple[str, str | None]] = set()
        self._seen: set[tuple[str, str]] = set()
        self._untold: set[tuple[str, str]] = set()
        self._judged: set[Intent] = set()

    def follow(self, when: str) -> None:
        """Read what the ledger says anew, and hold every version that is there to it."""
        lines = self._chain.follow()
        for fault in self._chain.broken:
            self._findings.add("the chain is broken", fault)
        self._chain.broken.clear()
        for line in lines:
            self._note(line)
        for key, version in self._made():
            if (key, version) not in self._seen:
                self._seen.add((key, version))
                self._hold_to_announcement(key, version, when)

    def _note(self, line: Line) -> None:
        intent, run = (line.job, line.intent), (line.job, line.run)
        if line.event == "run-started":
            self._open_runs.add(run)
        elif line.event == "run-finished":
            # What it left uncertain is settled later, and said in another end.
            if run in self._closed_runs and line.reason != "settled":
                self._findings.add("a run finishes twice", run)
            self._open_runs.discard(run)
            self._closed_runs.add(run)
        elif line.event == "intended":
            self._announced[intent] = line
            if line.dest == VAULT:
                self._by_key[line.key].append(line)
        elif line.intent and line.event in _OUTCOMES:
            if intent not in self._announced:
                self._findings.add("an outcome of nothing that was announced", line)
            self._outcomes[intent].append(line)
        if line.event == "done" and line.dest == VAULT:
            self._done.add((line.key, line.dest_version))
            if line.action in _WRITES:
                self._hold_to_truth(line)

    def _hold_to_truth(self, line: Line) -> None:
        if line.dest_version not in self._at.history[line.key]:
            self._findings.add("says done of what was not", f"{line.job} {line.key}: {line}")
        elif (line.key, line.dest_version) in self._strangers.versions:
            self._findings.add("says done of somebody else's version", f"{line.job} {line.key}: {line}")

    def _made(self) -> Iterator[tuple[str, str]]:
        """The versions at the destination that the jobs must have written: nobody else did."""
        for key in self._at.secrets:
            if key.startswith(OURS) and not self._strangers.has((VAULT, key)):
                for version in self._at.versions(key):
                    if (key, version) not in self._strangers.versions:
                        yield key, version

    def _hold_to_announcement(self, key: str, version: str, when: str) -> None:
        written = _micro(version.partition("@")[2])
        before = [line for line in self._by_key[key] if line.action in _WRITES and line.time <= written + _CLOCK]
        if not any(self._was_open(line, written) or self._is_reopened(line) for line in before):
            told = self._chain.story(VAULT, key)
            self._findings.add("a write that was not announced", f"{key} {version} ({when}): {told}")

    def _was_open(self, line: Line, moment: int) -> bool:
        outcomes = self._outcomes[line.job, line.intent]
        return not outcomes or max(outcome.time for outcome in outcomes) >= moment - _CLOCK

    def _is_reopened(self, line: Line) -> bool:
        """Whether a run that was taken over has announced anew what it wrote late."""
        return (line.job, f"{line.intent}{_LATE}") in self._announced

    def is_reopened(self, dest: str, key: str) -> bool:
        """Whether a run that was taken over has announced a write of this place anew, since nothing settled it yet."""
        return any(
            (line.dest, line.key) == (dest, key) and line.intent.endswith(_LATE) and not self._outcomes[intent]
            for intent, line in list(self._announced.items())
        )

    def close(self) -> None:
        """After a clean sync: every announcement has one outcome, every run its end, every version its record."""
        for intent, line in self._announced.items():
            outcomes = self._outcomes[intent]
            if len(outcomes) != 1 and intent not in self._judged:
                self._judged.add(intent)
                what = "two outcomes of one announcement" if outcomes else "an announcement without an outcome"
                told = [f"{one.seq} {one.event} {one.reason} {one.run}" for one in outcomes]
                self._findings.add(what, f"{intent} {line.dest} {line.key}: {told}")
        for run in sorted(self._open_runs):
            self._findings.add("a run without an end", run)
        self._open_runs.clear()
        if left := self._chain.leases():
            self._findings.add("a lease is left", left)
        for key, version in self._made():
            if (key, version) in self._done or (key, version) in self._untold:
                continue
            if not self._was_hidden(key, version):
                self._untold.add((key, version))
                story = self._chain.story(VAULT, key)
                self._findings.add("a version of which nothing says that it was done", f"{key} {version}: {story}")

    def _was_hidden(self, key: str, version: str) -> bool:
        """Whether a killed run wrote a version and somebody else the next one, before any run could look."""
        number, _, made = version.partition("@")
        theirs = (by.partition("@") for name, by in self._strangers.versions if name == key)
        if not any(int(by) == int(number) + 1 and _micro(when) > _micro(made) for by, _, when in theirs):
            return False
        return any(
            outcome.reason == "interrupted"
            for line in self._by_key[key]
            if line.action in _WRITES and line.time <= _micro(made) + _CLOCK and self._was_open(line, _micro(made))
            for outcome in self._outcomes[line.job, line.intent]
        )


def _micro(time: str) -> int:
    """RFC 3339 with nanoseconds, in microseconds since the epoch."""
    whole, _, part = time.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * _MICRO + int(f"{part}000000"[:6])
