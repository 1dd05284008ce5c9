"""What a benchmark found: rows of two figures side by side, and the table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEADINGS = ("benchmark", "what", "measured", "against", "ratio", "target", "result")


class Row(NamedTuple):
    """One comparison.

    ``met`` is None where there is no target: the figure only informs.
    """

    benchmark: str
    what: str
    measured: str
    against: str
    ratio: str
    target: str
    met: bool | None

    @property
    def result(self) -> str:
        """The last cell of the table."""
        return {True: "reached", False: "MISSED", None: ""}[self.met]

    def cells(self) -> tuple[str, ...]:
        """One text a column."""
        return (self.benchmark, self.what, self.measured, self.against, self.ratio, self.target, self.result)


class Target(NamedTuple):
    """The bound of a ratio, and another one for ``--quick``, where the start of the process weighs ten times more.

    None where the ratio says nothing at that size.
    """

    full: float | None
    quick: float | None = None

    def at(self, *, quick: bool) -> float | None:
        """The bound that holds for this run."""
        return self.quick if quick else self.full


def at_least(benchmark: str, what: str, measured: str, against: str, ratio: float, bound: float | None) -> Row:
    """A row whose ratio should be large."""
    met = None if bound is None else ratio >= bound
    return Row(benchmark, what, measured, against, times(ratio), f">= {bound:g}" if bound is not None else "", met)


def at_most(benchmark: str, what: str, measured: str, against: str, ratio: float, bound: float | None) -> Row:
    """A row whose ratio should be small."""
    met = None if bound is None else ratio <= bound
    return Row(benchmark, what, measured, against, times(ratio), f"<= {bound:g}" if bound is not None else "", met)


def count_at_most(benchmark: str, what: str, count: int, bound: int) -> Row:
    """A row that counts something which should be rare."""
    return Row(benchmark, what, f"{count:,}", "", "", f"<= {bound:,}", count <= bound)


def times(ratio: float) -> str:
    """A ratio with the digits that mean something."""
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def seconds(value: float) -> str:
    """A time with the digits that mean something."""
    return f"{value:.0f} s" if value >= 100 else f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"


def megabytes(size: float) -> str:
    """A size in binary megabytes."""
    return f"{size / 2**20:.1f} MiB"


def table(rows: Iterable[Row]) -> str:
    """All rows as a table that is as readable on a terminal as it is in Markdown."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join([_line(lines[0], widths), _rule(widths), *(_line(line, widths) for line in lines[1:])])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _rule(widths: Sequence[int]) -> str:
    return "|" + "|".join("-" * (width + 2) for width in widths) + "|"
