"""The parts of a soak that disrupt runs of the command line with a ledger in SQLite, and what all parts are given."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soak.disk import small_disk
from soak.findings import say
from soak.rounds import audit, one_round
from soak.world import world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from soak.findings import Findings
    from soak.world import World

_TOLD_EVERY = 25
_BREAKDOWNS = 3

KILLS = (*["kill"] * 12, "faults and kill", "two at once", "freeze", "SIGINT", "SIGTERM")
MIX = (
    *["kill"] * 17, *["faults"] * 3, *["faults and kill"] * 3, "SIGTERM", "SIGINT", "freeze", "two at once",
    "small files", "full disk",
)  # fmt: skip
FAULTS = (*["faults"] * 4, *["faults and kill"] * 2, *["small files"] * 2, *["full disk"] * 2)


@dataclass(frozen=True, slots=True)
class Task:
    """What a part is given.

    Attributes:
        directory: for all that it writes; new.
        seed: of everything that is left to chance.
        until: no round but the first begins after this moment (``time.monotonic``).
        rounds: nor after so many of them.
    """

    directory: Path
    seed: str
    until: float
    rounds: int

    def goes_on(self, findings: Findings) -> bool:
        """Whether another round may begin; the first one may, or a slow machine would try nothing and find nothing."""
        if not findings.rounds:
            return True
        broken = findings.found[findings.kind]["the soak itself fails"] > _BREAKDOWNS
        return time.monotonic() < self.until and findings.rounds.total() < self.rounds and not broken


def kills(task: Task) -> list[Findings]:
    """Mostly kills, in a small world, so that there are many."""
    with world(task.directory, task.seed, small=True) as made:
        return [_rounds(task, made, KILLS)]


def mix(task: Task) -> list[Findings]:
    """Everything, in a world of three hundred secrets."""
    return _with_small_disk(task, MIX, small=False)


def faults(task: Task) -> list[Findings]:
    """Faults and full disks, in a small world."""
    return _with_small_disk(task, FAULTS, small=True)


def _with_small_disk(task: Task, kinds: tuple[str, ...], *, small: bool) -> list[Findings]:
    with (
        small_disk(task.directory / "world" / "config" / ".secretsync") as mounted,
        world(task.directory, task.seed, small=small) as made,
    ):
        if not mounted:
            say("only root may mount a file system: no disk is filled up")
        return [_rounds(task, made, [kind for kind in kinds if mounted or kind != "full disk"])]


def _rounds(task: Task, made: World, kinds: Iterable[str]) -> Findings:
    findings, kinds = made.findings, list(kinds)
    while task.goes_on(findings):
        guarded(findings, lambda: one_round(made, made.random.choice(kinds)))
        if findings.round % _TOLD_EVERY == 0:
            say(f"round {findings.round}, {findings.counts['kills']} kills, {findings.total} findings")
    end(made)
    return findings


def guarded(findings: Findings, action: Callable[[], object]) -> None:
    """Do something; where the soak itself fails, that is a finding too, and the next round may go well."""
    try:
        action()
    except Exception:  # noqa: BLE001  whatever it is, it is told
        findings.add("the soak itself fails", traceback.format_exc()[-800:])


def end(made: World) -> None:
    """What must hold at the end of a part."""
    made.findings.kind = "at the end"
    made.findings.counts["records"] = sum(map(len, made.chain.records.values()))
    made.findings.counts |= {
        f"fault: {name}": n for name, n in (made.dest_proxy.faults + made.source_proxy.faults).items()
    }
    guarded(made.findings, lambda: audit(made))
