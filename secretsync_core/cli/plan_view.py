"""Shows a plan to people: what would be done with each key, and why."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.cli.escape import safe
from secretsync_core.cli.layout import hang, widest
from secretsync_core.cli.paint import cells, pad
from secretsync_core.cli.wording import ALWAYS_COUNTED, SIGNS, TO_DO, why
from secretsync_core.counting import number, plural
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.inventory import display_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.cli.output import Output
    from secretsync_core.model.change import Change
    from secretsync_core.run.steps import Planned
    from secretsync_core.schema.documents import JobDocument

SHOWN = 200
"""How many keys of a job are shown on a terminal."""

_LONGEST_VERSION = 20  # a moment, to the second

_STILL = (Action.UNCHANGED, Action.SKIP)


def heading(job: JobDocument, output: Output) -> str:
    """``job: source -> destinations``."""
    return f"{output.paint(job.name, 'bold')}: {job.spec.source} -> {', '.join(job.spec.dest)}"


def counts_line(changes: Sequence[Change]) -> str:
    """``Plan: 3 to create, 1 to update, 0 to delete, 1,204 unchanged, 1 refused``."""
    counts = Counter(change.action for change in changes)
    parts = [f"{number(counts[a])} {word}" for a, word in TO_DO.items() if counts[a] or a in ALWAYS_COUNTED]
    return f"Plan: {', '.join(parts)}."


def show(planned: Planned, job: JobDocument, output: Output, *, show_all: bool) -> None:
    """Write a plan to stdout: every key that something is to be done with, or all of them."""
    changes = planned.changes
    output.line(heading(job, output))
    listed = changes if show_all else [change for change in changes if change.action not in _STILL or change.adopt]
    cut = listed if show_all or output.columns is None else listed[:SHOWN]
    if cut:
        output.line()
        many = len(job.spec.dest) > 1
        for line in _table(cut, output, dests=many, default_source=job.spec.source):
            output.line(line)
    if len(cut) < len(listed):
        output.line(f"  ... and {plural(len(listed) - len(cut), 'more key')}; --all shows every one")
    output.line()


def _table(changes: Sequence[Change], output: Output, *, dests: bool, default_source: str) -> Iterator[str]:
    paint = output.paint
    rows = [
        _Row(change, _key(change, default_source), shown_version(change.source_version),
             shown_version(change.dest_version))
        for change in changes
    ]  # fmt: skip
    wide_key = widest((row.key for row in rows), 3)
    wide_source = widest((row.source for row in rows), 6, _LONGEST_VERSION)
    wide_dest = widest((row.dest for row in rows), 4, _LONGEST_VERSION)
    # On a narrow terminal the key has a line of its own, and what there is to say of it stands below.
    stacked = output.columns is not None and 4 + wide_key + 2 + wide_source + 2 + wide_dest + 30 > output.columns
    if not stacked:
        yield paint(f"    {pad('KEY', wide_key)}  {'SOURCE':>{wide_source}}  {'DEST':>{wide_dest}}  WHY", "dim")
    for (item, dest), group in groupby(rows, lambda row: (row.change.item, row.change.dest if dests else "")):
        yield f"  {paint(safe(item), 'bold')}" + (f" -> {dest}" if dest else "")
        said = ""
        for row in group:
            sign, style = SIGNS[row.change.action]
            if stacked:
                yield paint(f"  {sign} {row.key}", style)
                known = (("source", row.source), ("destination", row.dest))
                versions = ", ".join(f"{whose} {version}" for whose, version in known if version != "-")
                text = why(row.change) + (f" ({versions})" if versions else "")
                yield hang("      ", 6, text, output.columns, 6)
            else:
                versions = f"{row.source:>{wide_source}}  {row.dest:>{wide_dest}}"
                plain = f"  {sign} {pad(row.key, wide_key)}  {versions}  "
                yield hang(paint(plain, style), cells(plain), why(row.change), output.columns, 6)
            if (hint := _hint(row.change)) and hint != said:  # once for all in a row that it is for
                yield hang(paint("      hint: ", "cyan"), 12, safe(hint), output.columns, 12)
            said = hint


def _hint(change: Change) -> str:
    """What to do about a refused key; of those that are not the job's a warning tells, for all of them."""
    return change.failure.hint if change.failure is not None and change.reason is not Reason.NOT_MANAGED else ""


class _Row(NamedTuple):
    change: Change
    key: str
    source: str
    dest: str


def shown_version(token: str | None) -> str:
    """The part of a version that people know; a digest of several versions is cut to what tells two apart."""
    shown = safe(display_version(token))
    return shown.removeprefix("all:")[:8] if shown.startswith("all:") else shown


def _key(change: Change, default_source: str) -> str:
    """The destination's key, and the source's where it is another one or in another store."""
    key = safe(change.key)
    if len(change.sources) == 1:
        ref = change.sources[0]
        store = "" if ref.store == default_source else f"{ref.store}:"
        return key if ref.key == change.key and not store else f"{key} <- {store}{safe(ref.key)}"
    return f"{key} <- {plural(len(change.sources), 'source')}" if change.sources else key
