"""``python -m benchmarks [name …] [--secrets N] [--quick] [--write FILE]``.

Every figure stands beside the one that it is compared with, and both come from the same run. Exits with 1 where a
target is missed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import (
    aws_calls,
    changed,
    dagster_runs,
    full_copy,
    ledger_cost,
    machine,
    many_jobs,
    memory,
    postgres,
    press_to_done,
    startup,
    unchanged,
    without_scan,
)
from benchmarks.bench import Bench, say
from benchmarks.result import Row, table
from benchmarks.servers import Servers

if TYPE_CHECKING:
    from collections.abc import Callable

WORK = Path(__file__).parent / ".work"
BENCHMARKS: dict[str, Callable[[Bench], list[Row]]] = {
    module.NAME: module.run
    for module in (
        startup,
        full_copy,
        unchanged,
        changed,
        without_scan,
        memory,
        ledger_cost,
        postgres,
        dagster_runs,
        many_jobs,
        press_to_done,
        aws_calls,
    )
}
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main() -> int:
    """Run them and print the table."""
    arguments = _arguments()
    wanted = arguments.names or [name for name in BENCHMARKS if not (arguments.quick and name == memory.NAME)]
    names = [name for name in BENCHMARKS if name in wanted]
    work = WORK / "run"
    shutil.rmtree(work, ignore_errors=True)
    servers = Servers.start(work / "servers")
    try:
        bench = Bench(servers, work, WORK, count=arguments.secrets, quick=arguments.quick)
        rows = [row for name in names for row in _run(name, bench)]
        facts = machine.describe(servers.source)
    finally:
        servers.stop()
    print("\n".join(["", *facts, "", table(rows)]))
    if arguments.write:
        _write(arguments.write, facts, rows)
    return 1 if any(row.met is False for row in rows) else 0


def _run(name: str, bench: Bench) -> list[Row]:
    say(f"{name}: begins")
    try:
        return BENCHMARKS[name](bench)
    except Exception as error:  # noqa: BLE001  the others go on; the table tells
        traceback.print_exc()
        return [Row(name, " ".join(str(error).split())[:100], "", "", "", "runs", met=False)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure SecretSync side by side.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"which: {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--secrets", type=int, help="how many (default 10,000; 1,000 with --quick)")
    parser.add_argument("--quick", action="store_true", help="1,000 secrets; some targets are left out")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    arguments.secrets = arguments.secrets or (1000 if arguments.quick else 10_000)
    return arguments


def _write(document: Path, facts: list[str], rows: list[Row]) -> None:
    text = document.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{document} lacks the lines {BEGIN} and {END}")
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    figures = "\n".join(["", f"- Command: `{command}`", *facts, "", table(rows), ""])
    document.write_text(f"{head}{BEGIN}{figures}{END}{tail}")
    say(f"written to {document}")


if __name__ == "__main__":
    sys.exit(main())
