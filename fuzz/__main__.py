"""``python -m fuzz [FUZZER ...] [--seed N] [--count N] [--seconds S] [--keep DIR]``, or ``--replay FILE``.

The same seed and count give the same inputs. No connection leaves this machine. Exits with 1 where there is a fault;
its shortest input is then a file in DIR, and ``--replay`` tries that one alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from random import Random, SystemRandom

from fuzz.documents import Documents
from fuzz.expressions import Quantities, Regexps, Templates
from fuzz.fuzzer import Fuzzer, judge, keep, run
from fuzz.ledgers import Ledgers
from fuzz.schedules import Schedules
from fuzz.servers import Servers

FUZZERS: dict[str, type[Fuzzer]] = {
    "documents": Documents,
    "templates": Templates,
    "regexps": Regexps,
    "quantities": Quantities,
    "schedules": Schedules,
    "servers": Servers,
    "ledgers": Ledgers,
}


def main(arguments: list[str]) -> int:
    """Run what the arguments say; gives the exit code."""
    parser = argparse.ArgumentParser("fuzz", description=__doc__)
    parser.add_argument("fuzzers", nargs="*", choices=[*FUZZERS, []], help="default: all")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--count", type=int, default=10_000, help="inputs for each fuzzer")
    parser.add_argument("--seconds", type=float, default=300.0, help="at most so long for each fuzzer")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="where inputs with a fault are kept")
    parser.add_argument("--replay", type=Path, help="a kept input, to be tried alone")
    given = parser.parse_args(arguments)
    sys.addaudithook(stay_here)
    if given.replay is not None:
        told = json.loads(given.replay.read_text())
        fault = judge(FUZZERS[told["fuzzer"]](), told["case"])
        print(fault or "no fault")
        return int(bool(fault))
    seed = SystemRandom().randrange(10**6) if given.seed is None else given.seed
    found = 0
    for name in given.fuzzers or FUZZERS:
        tally = run(FUZZERS[name](), Random(f"{seed} {name}"), count=given.count, seconds=given.seconds)
        found += len(tally.faults)
        print(f"{name}: seed {seed}, {tally.tried} inputs in {tally.seconds:.0f} s, {tally.faults.total()} faults")
        for (fault, number), path in zip(tally.faults.items(), keep(given.keep, name, tally), strict=True):
            print(f"  {number} x {fault}: {path}")
    return int(found > 0)


def stay_here(event: str, arguments: tuple[object, ...]) -> None:
    """Python's audit hook: refuses each connection that is not to this machine. Raises PermissionError."""
    if event == "socket.connect" and isinstance(address := arguments[1], tuple):
        if str(address[0]) not in ("127.0.0.1", "::1"):
            raise PermissionError("a fuzzer connects to nobody but this machine")
    elif event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "::1", "localhost", None):
        raise PermissionError("a fuzzer asks no DNS")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
