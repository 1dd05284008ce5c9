"""What a fuzzer is, and how its inputs are tried one by one and counted."""

from __future__ import annotations

import json
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from random import Random

CANARY = "Zq7CANARY"
"""Stands in inputs as a secret in a wrong place would. No message may quote it."""

SLOW_SECONDS = 2.0
"""More of the processor's time than this, for one input, is a fault."""

LARGE_MIB = 300
"""More memory than this, for one input, is a fault."""


class Fuzzer(Protocol):
    """Makes inputs and tries them."""

    def draw(self, random: Random) -> str:
        """One input, by nothing but ``random``."""

    def attempt(self, case: str) -> str:
        """Try one input; gives what was wrong, in words that are the same for the same cause, or nothing.

        May raise anything, which is a fault too.
        """


@dataclass(slots=True)
class Tally:
    """What a fuzzer found: how many inputs it tried, and for each fault how many and the shortest of them."""

    tried: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    shortest: dict[str, str] = field(default_factory=dict)

    def add(self, fault: str, case: str) -> None:
        """Count a fault."""
        self.faults[fault] += 1
        if fault not in self.shortest or len(case) < len(self.shortest[fault]):
            self.shortest[fault] = case


def run(fuzzer: Fuzzer, random: Random, *, count: int, seconds: float) -> Tally:
    """Try at most ``count`` inputs, for at most ``seconds``."""
    tally, started = Tally(), time.monotonic()
    while tally.tried < count and time.monotonic() - started < seconds:
        case = fuzzer.draw(random)
        if fault := judge(fuzzer, case):
            tally.add(fault, case)
        tally.tried += 1
    tally.seconds = time.monotonic() - started
    return tally


def judge(fuzzer: Fuzzer, case: str) -> str:
    """What is wrong with how one input is taken; empty for nothing."""
    before, started = _peak(), time.thread_time()
    try:
        fault = fuzzer.attempt(case)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  whatever it is, it is a fault
        return _cause(error)
    if fault:
        return fault
    if time.thread_time() - started > SLOW_SECONDS:
        return f"takes more than {SLOW_SECONDS:g} s"
    if _peak() - before > LARGE_MIB:
        return f"takes more than {LARGE_MIB} MiB"
    return ""


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cause(error: BaseException) -> str:
    """An exception's type and the line that it came from. Its text may hold the input."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_frame.f_code.co_name}" if trace else "?"
    return f"{type(error).__name__} in {where}"


def keep(directory: Path, name: str, tally: Tally) -> list[Path]:
    """Write the shortest input of each fault as a case, which ``--replay`` takes."""
    directory.mkdir(parents=True, exist_ok=True)
    kept: list[Path] = []
    for number, (fault, case) in enumerate(tally.shortest.items()):
        path = directory / f"{name}-{number:03}.json"
        path.write_text(json.dumps({"fuzzer": name, "fault": fault, "case": case}, indent=1) + "\n")
        kept.append(path)
    return kept
