"""``python -m soak [--seed N] [--minutes M] [--parts 9,0,1,5,2,4,3] [--rounds N] [--directory DIR]``.

A seed repeats the steps, not the exact moments. Exits with 1 where anything was found. Servers listen on 127.0.0.1
alone, and only processes that the soak started are ended.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, NamedTuple

from soak.dagster_part import dagster
from soak.findings import Findings, say
from soak.frozen_part import frozen
from soak.parts import Task, faults, kills, mix
from soak.postgres_part import postgresql
from soak.sabotage import sabotage

if TYPE_CHECKING:
    from collections.abc import Callable


class Part(NamedTuple):
    """A part: what it does, how much of the time it gets, and what it is called."""

    run: Callable[[Task], list[Findings]]
    share: float
    name: str


PARTS = {
    "9": Part(sabotage, 0.02, "sabotage: does the model notice"),
    "0": Part(kills, 0.22, "kills"),
    "1": Part(mix, 0.22, "everything"),
    "5": Part(faults, 0.14, "faults and full disks"),
    "2": Part(postgresql, 0.15, "PostgreSQL is killed"),
    "4": Part(frozen, 0.08, "frozen beyond the lease"),
    "3": Part(dagster, 0.27, "Dagster's processes are killed"),
}


def main(arguments: list[str]) -> int:
    """Run what the arguments say; gives the exit code."""
    parts = "; ".join(f"{number} {part.name}" for number, part in PARTS.items())
    parser = argparse.ArgumentParser("soak", description=__doc__, epilog=f"Parts: {parts}.")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all parts together")
    parser.add_argument("--parts", type=_parts, default=list(PARTS), help="by their numbers, with commas; default: all")
    parser.add_argument("--rounds", type=int, default=10**6, help="at most so many in each part")
    parser.add_argument("--directory", type=Path, default=None, help="must not exist; kept where anything is found")
    given = parser.parse_args(arguments)
    seed = SystemRandom().randrange(10**6) if given.seed is None else given.seed
    directory = given.directory or Path(tempfile.mkdtemp(prefix="secretsync-soak-"))
    say(f"seed {seed}, parts {','.join(given.parts)}, in {directory}")
    whole = sum(PARTS[number].share for number in given.parts)
    found = 0
    for number in given.parts:
        part = PARTS[number]
        until = time.monotonic() + given.minutes * 60 * part.share / whole
        task = Task(directory / f"part{number}", f"{seed} {number}", until, given.rounds)
        task.directory.mkdir(parents=True)
        for findings in part.run(task):
            findings.report(f"part {number} ({part.name}), seed {seed}")
            found += findings.total
    say(f"{found} findings")
    if not found:
        shutil.rmtree(directory)
    return int(found > 0)


def _parts(text: str) -> list[str]:
    found = text.split(",")
    if unknown := [number for number in found if number not in PARTS]:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]}")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
