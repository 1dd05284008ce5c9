"""Rich tables in one plain style. Cells are Text, so that nothing in them is taken for markup."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from secretsync_core.cli.output import Output

_UNBOUNDED = 10_000  # where nobody looks, nothing is wrapped or cut


class PlainTable(Table):
    """A table whose cells are shown as they are."""

    def add_row(self, *cells: str | tuple[str, str], **_: object) -> None:  # type: ignore[override]
        """Add a row of texts, each alone or with a style."""
        super().add_row(*(Text(cell) if isinstance(cell, str) else Text(cell[0], style=cell[1]) for cell in cells))


def table(*columns: str, right: tuple[str, ...] = ()) -> PlainTable:
    """An empty table; the columns named by ``right`` hold numbers."""
    made = PlainTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(Text(name), justify="right" if name in right else "left", overflow="fold")
    return made


def show(made: Table, output: Output) -> None:
    """Write a table to stdout."""
    # Rendered to text first: a pipe that is closed is then our Output's to deal with, as everywhere.
    console = Console(
        file=sys.stdout,
        force_terminal=output.paint.on,
        color_system="standard" if output.paint.on else None,
        width=output.columns or _UNBOUNDED,
        markup=False,
        highlight=False,
        emoji=False,
    )
    with console.capture() as capture:
        console.print(made)
    output.line("\n".join(line.rstrip() for line in capture.get().splitlines()))
