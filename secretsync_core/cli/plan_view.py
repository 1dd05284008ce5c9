"""Shows a plan to people on a terminal: what would be done with each key, and why.

Deletes and refusals come first. Which two stores it is about stands in a heading, and not at every key.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.cli.escape import safe
from secretsync_core.cli.layout import hang, widest
from secretsync_core.cli.paint import cells, pad
from secretsync_core.cli.plan_order import FIRST, Pairs, counts_line, key_of, parts, title, to_show
from secretsync_core.cli.wording import SIGNS, advice, why
from secretsync_core.model.inventory import display_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.cli.output import Output
    from secretsync_core.model.change import Change
    from secretsync_core.run.done import Planned
    from secretsync_core.schema.documents import JobDocument

__all__ = ["SHOWN", "counts_line", "heading", "show", "shown_version"]

SHOWN = 200
"""How many keys of a job are shown on a terminal, besides all deletes and refusals."""

_LONGEST_VERSION = 20  # a moment, to the second
_KEY = 24  # columns for keys, at the least; with less, everything stands below its key
_WHY = (32, 54)  # columns for the last column, at the least and at the most


def heading(job: JobDocument, output: Output) -> str:
    """``job: sources -> destinations``."""
    return f"{output.paint(job.name, 'bold')}: {Pairs(job).heading}"


def show(
    planned: Planned, job: JobDocument, output: Output, *, show_all: bool, rest: str = "--all shows every key"
) -> None:
    """Write a plan to stdout: every key that something is to be done with, or all of them.

    ``rest`` says how to see what a terminal has no room for.
    """
    output.line(heading(job, output))
    found = parts(planned.changes if show_all else to_show(planned.changes))
    left: Sequence[Change] = ()
    if found and not show_all and output.columns is not None and found[-1][0].action not in FIRST:
        found[-1], left = found[-1][:SHOWN], found[-1][SHOWN:]
    if found:
        output.line()
        for line in _Table(found, job, output).lines():
            output.line(line)
    if left:
        output.line(f"  ... and more: {title(left).lower()}; {rest}")
    output.line()


class _Row(NamedTuple):
    change: Change
    key: str
    source: str
    dest: str


class _Table:
    """The parts of a plan in one set of columns."""

    def __init__(self, found: Sequence[Sequence[Change]], job: JobDocument, output: Output) -> None:
        self._paint, self._columns = output.paint, output.columns
        self._pairs = Pairs(job)
        self._parts = [[_row(change) for change in part] for part in found]
        rows = [row for part in self._parts for row in part]
        self._source = widest((row.source for row in rows), 6, _LONGEST_VERSION)
        self._dest = widest((row.dest for row in rows), 4, _LONGEST_VERSION)
        keys = [cells(row.key) for row in rows]
        self._key = max(3, min(80, max(keys)))
        self._stacked = False
        if (
            self._columns is not None
            and 4 + self._key + 2 + self._source + 2 + self._dest + 2 + _WHY[1] > self._columns
        ):
            room = self._columns - (4 + 2 + self._source + 2 + self._dest + 2)
            most = room - max(_WHY[0], min(_WHY[1], room - 40))
            # What is longer has a line of its own, so that one long key does not take the others' room.
            self._key = max([3, *(key for key in keys if key <= most)])
            self._stacked = most < _KEY

    def lines(self) -> Iterator[str]:
        """Every line, the columns' names first."""
        if not self._stacked:
            names = f"    {pad('KEY', self._key)}  {'SOURCE':>{self._source}}  {'DEST':>{self._dest}}  WHY"
            yield self._paint(names, "dim")
        for number, part in enumerate(self._parts):
            if len(self._parts) > 1:
                yield from ("",) if number else ()
                style = SIGNS[part[0].change.action][1] if part[0].change.action in FIRST else "bold"
                yield f"  {self._paint(f'{title(row.change for row in part)}:', style)}"
            yield from self._part(part)

    def _part(self, part: Sequence[_Row]) -> Iterator[str]:
        ordered = part if self._pairs.one else sorted(part, key=lambda row: self._pairs.of(row.change))
        for number, (pair, rows) in enumerate(groupby(ordered, lambda row: self._pairs.of(row.change))):
            if not self._pairs.one:
                yield from ("",) if number else ()
                yield f"  {self._paint(pair, 'bold cyan')}"
            for item, members in groupby(rows, lambda row: row.change.item):
                yield f"  {self._paint(safe(item), 'bold')}"
                said = ""
                for row in members:
                    yield from self._lines_of(row)
                    if (hint := advice(row.change)) and hint != said:  # once for all in a row that it is for
                        yield hang(self._paint("      hint: ", "cyan"), 12, safe(hint), self._columns, 12)
                    said = hint

    def _lines_of(self, row: _Row) -> Iterator[str]:
        sign, style = SIGNS[row.change.action]
        if self._stacked:
            yield self._paint(f"  {sign} {row.key}", style)
            known = (("source", row.source), ("destination", row.dest))
            told = ", ".join(f"{whose} {version}" for whose, version in known if version != "-")
            yield hang("      ", 6, why(row.change) + (f" ({told})" if told else ""), self._columns, 6)
            return
        versions = f"{row.source:>{self._source}}  {row.dest:>{self._dest}}"
        if self._columns is None or cells(row.key) <= self._key:
            before = f"  {sign} {pad(row.key, self._key)}  "
        else:
            yield self._paint(f"  {sign} {row.key}", style)
            before = " " * (4 + self._key + 2)
        plain = f"{before}{versions}  "
        yield hang(self._paint(plain, style), cells(plain), why(row.change), self._columns, 6)


def _row(change: Change) -> _Row:
    return _Row(change, key_of(change), shown_version(change.source_version), shown_version(change.dest_version))


def shown_version(token: str | None) -> str:
    """The part of a version that people know; a digest of several versions is cut to what tells two apart."""
    shown = safe(display_version(token))
    return shown.removeprefix("all:")[:8] if shown.startswith("all:") else shown
