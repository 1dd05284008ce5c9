"""A plan as Markdown, for the comment of a pull request: bounded, deletes and refusals first.

GitHub takes 65,536 characters. What does not fit is counted by the first part of its key, and a delete or a refusal
that does not fit is told in the first lines: nothing is left out without a word.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from secretsync_core.cli.markdown import code, note, row
from secretsync_core.cli.plan_order import FIRST, Pairs, by_prefix, key_of, parts, title, to_show
from secretsync_core.cli.plan_view import shown_version
from secretsync_core.cli.wording import ALWAYS_COUNTED, SIGNS, TO_DO, reason, why
from secretsync_core.counting import number, plural
from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretsync_core.model.change import Action, Change
    from secretsync_core.run.done import Planned
    from secretsync_core.schema.documents import JobDocument

MOST_BYTES = 60_000
"""How long the whole of it may be, in UTF-8: some less than GitHub's limit, so that a bot can add a line."""

_NOTICE = 400  # bytes for the notice that not all of what comes first fits
_MORE = 160  # bytes for the line that says what a table leaves out
_PREFIXES = 20
_NOTES = 10  # errors, and warnings, of a job
_NAMES = 50


def render(
    plans: Sequence[tuple[JobDocument, Planned | SecretSyncError]], *, digest: str = "", show_all: bool = False
) -> str:
    """The plans of several jobs, or why one could not be made.

    ``digest`` is that of the file they were saved in; with ``show_all`` unchanged keys are shown too.
    """
    counted = len(plans) > 1
    busy = [
        _section(job, found, counted=counted, show_all=show_all)
        for job, found in plans
        if show_all or not _is_idle(found)
    ]
    idle = [job.name for job, found in plans if not show_all and _is_idle(found)]
    head = [f"### SecretSync plan: {_counts(change for _, found in plans for change in _changes(found))}", ""]
    tail = _tail(idle, digest)
    room = MOST_BYTES - _NOTICE - _size(head) - _size(tail)
    sections, left = _that_fit(busy, room)
    room -= sum(section.size for section in sections)
    tables = [table for section in sections for table in section.tables]
    for table in (table for table in tables if table.first):
        room -= table.take(room)
    others = [table for table in tables if not table.first]
    for at, table in enumerate(others):
        room -= table.take(room // (len(others) - at))
    if missing := _first_in(section for section in left) + [
        change for table in tables if table.first for change in table.left
    ]:
        told = f"Not all deletes and refusals fit in here: {_counts(missing, always=False)} are missing."
        head += [f"**{told} `secretsync plan` shows every one.**", ""]
    if left:
        counts = _counts((change for section in left for change in section.changes), always=False)
        tail = [f"... and {plural(len(left), 'more job')} with {counts or 'errors'}", "", *tail]
    return "\n".join([*head, *(line for section in sections for line in section.lines()), *tail]).rstrip() + "\n"


@dataclass(slots=True)
class _Table:
    """The rows of one part of a plan, between one pair of stores, as far as there is room for them."""

    heading: str
    changes: Sequence[Change]
    first: bool
    rows: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)

    @property
    def left(self) -> Sequence[Change]:
        """What there was no room for."""
        return self.changes[len(self.rows) :]

    @property
    def size(self) -> int:
        """What it takes without any row."""
        return _size(self._head()) + _MORE

    def take(self, room: int) -> int:
        """Take as many rows as fit, and count the rest by the first part of its key; gives how many bytes that is."""
        made = [_row(change) for change in self.changes]
        sizes = [_size([each]) for each in made]
        if sum(sizes) <= room:
            self.rows = made
            return sum(sizes)
        taken = 0
        reserved = _size(self._rest(self.changes))  # what is left has no more prefixes than all
        for each, size in zip(made, sizes, strict=True):
            if taken + size > room - reserved:
                break
            self.rows.append(each)
            taken += size
        if reserved <= room:
            self.rest = self._rest(self.left)
        return taken + _size(self.rest)

    def _rest(self, changes: Sequence[Change]) -> list[str]:
        return ["", *(f"- {code(prefix)}: {words}" for prefix, words in by_prefix(changes, _PREFIXES))]

    def lines(self) -> Iterator[str]:
        yield from self._head() if self.rows else [self.heading, ""]
        yield from self.rows
        if self.left:
            yield from ("",) if self.rows else ()
            by = ", by the first part of their keys" if self.rest else ""
            yield f"... and more that do not fit in here: {_counts(self.left, always=False)}{by}"
            yield from self.rest
        yield ""

    def _head(self) -> list[str]:
        return [self.heading, "", row("", "Key", "Why", "Item", "Source", "Destination"), "|---|---|---|---|---|---|"]


@dataclass(slots=True)
class _Section:
    """One job."""

    head: list[str]
    changes: Sequence[Change]
    tables: list[_Table]

    @property
    def size(self) -> int:
        return _size(self.head) + sum(table.size for table in self.tables)

    def lines(self) -> Iterator[str]:
        yield from self.head
        for table in self.tables:
            yield from table.lines()


def _section(job: JobDocument, found: Planned | SecretSyncError, *, counted: bool, show_all: bool) -> _Section:
    pairs = Pairs(job)
    head = [f"#### {code(job.name)}: {code(pairs.heading)}", ""]
    if isinstance(found, SecretSyncError):
        return _Section([*head, f"**Not planned**: {note(found.message)}", ""], (), [])
    shown = found.changes if show_all else to_show(found.changes)
    head += [_counts(found.changes), ""] if counted else []
    head += _notes(
        "Error", [f"{error.item}: {error.message}" if error.item else error.message for error in found.errors]
    )
    head += _notes("Warning", found.warnings)
    tables = []
    for part in parts(shown):
        ordered = part if pairs.one else sorted(part, key=pairs.of)
        for pair, some in groupby(ordered, pairs.of):
            members = list(some)
            where = "" if pairs.one else f", {code(pair)}"
            tables.append(_Table(f"**{title(members)}**{where}", members, members[0].action in FIRST))
    return _Section(head, shown, tables)


def _that_fit(sections: Sequence[_Section], room: int) -> tuple[list[_Section], list[_Section]]:
    """The jobs for whose headings there is room, those with deletes and refusals before others; and the rest."""
    chosen: set[int] = set()
    for at in sorted(range(len(sections)), key=lambda at: not _first_in([sections[at]])):
        if sections[at].size <= room:
            chosen.add(at)
            room -= sections[at].size
    return (
        [section for at, section in enumerate(sections) if at in chosen],
        [section for at, section in enumerate(sections) if at not in chosen],
    )


def _first_in(sections: Iterable[_Section]) -> list[Change]:
    return [change for section in sections for change in section.changes if change.action in FIRST]


def _row(change: Change) -> str:
    words = reason(change.reason)
    more = why(change).removeprefix(words).strip(": ")
    return row(
        f"{code(SIGNS[change.action][0])} {change.action}",
        code(key_of(change)),
        f"{words} {code(more)}".strip(),
        code(change.item),
        code(shown_version(change.source_version)),
        code(shown_version(change.dest_version)),
    )


def _tail(idle: Sequence[str], digest: str) -> list[str]:
    lines = []
    if idle:
        more = f" and {number(len(idle) - _NAMES)} more" if len(idle) > _NAMES else ""
        lines += [f"Nothing to do: {', '.join(map(code, idle[:_NAMES]))}{more}", ""]
    if digest:
        lines += [f"Saved plan: {code(f'sha256:{digest}')}", ""]
    return lines


def _notes(kind: str, told: Sequence[str]) -> list[str]:
    lines = [f"- {kind}: {note(text)}" for text in told[:_NOTES]]
    if len(told) > _NOTES:
        lines.append(f"- {plural(len(told) - _NOTES, f'more {kind.lower()}')}; `secretsync plan` shows all")
    return [*lines, ""] if lines else []


def _counts(changes: Iterable[Change], *, always: bool = True) -> str:
    """``2 to delete, 1 refused, 3 to create``: what comes first comes first here, too."""
    counts: Counter[Action] = Counter(change.action for change in changes)
    order = [*FIRST, *(action for action in TO_DO if action not in FIRST)]
    asked = ALWAYS_COUNTED if always else frozenset()
    return ", ".join(
        f"{number(counts[action])} {TO_DO[action]}" for action in order if counts[action] or action in asked
    )


def _changes(found: Planned | SecretSyncError) -> Sequence[Change]:
    return () if isinstance(found, SecretSyncError) else found.changes


def _is_idle(found: Planned | SecretSyncError) -> bool:
    return not isinstance(found, SecretSyncError) and not (to_show(found.changes) or found.errors or found.warnings)


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
