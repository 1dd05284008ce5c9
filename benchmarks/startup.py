"""How long ``secretsync --help`` takes, against importing the library of the command line alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.child import measure
from benchmarks.ours import COMMAND
from benchmarks.result import Row, at_most

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME = "startup"
_OF_LIBRARY = 1.5
_ROUNDS = 10


def run(bench: Bench) -> list[Row]:
    """Alternate them; the best of ten of each. One round more, not counted, warms the file cache."""
    work = bench.directory("startup")
    help_, library = [], []
    for _ in range(_ROUNDS + 1):
        help_.append(measure([COMMAND, "--help"], work=work, environ={}).seconds)
        library.append(measure([sys.executable, "-c", "import typer"], work=work, environ={}).seconds)
    mine, base = min(help_[1:]), min(library[1:])
    return [
        at_most(
            NAME,
            "secretsync --help: times as long",
            f"{mine * 1000:.0f} ms",
            f'python -c "import typer" {base * 1000:.0f} ms',
            mine / base,
            _OF_LIBRARY,
        )
    ]
