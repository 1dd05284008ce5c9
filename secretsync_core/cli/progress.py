"""Shows how a run goes on: a bar on a terminal, nothing elsewhere. Collects outcomes where the results need them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from secretsync_core.cli.json_output import outcome_object
from secretsync_core.cli.wording import PHASES
from secretsync_core.counting import number
from secretsync_core.model.report import TOLD, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

    from secretsync_core.cli.output import Output
    from secretsync_core.model.report import Outcome

PATIENCE = 0.4
"""Seconds after which a bar appears: a run that is over by then needs none."""

_EVERY_SECONDS = 0.1
_BAD = TOLD


class Watcher:
    """An engine Observer. ``outcomes`` are those that are not unchanged, as JSON objects, where they are collected."""

    def __init__(self, bar: Bar | None, *, collect: bool) -> None:
        self.outcomes: list[dict[str, Any]] = []
        self._bar = bar
        self._collect = collect

    def phase(self, name: str) -> None:
        """A phase begins."""
        if self._bar is not None:
            self._bar.phase(name)

    def planned(self, total: int) -> None:
        """How many outcomes will follow."""
        if self._bar is not None:
            self._bar.count_to(total)

    def outcome(self, outcome: Outcome) -> None:
        """One destination secret is settled."""
        if self._collect and outcome.result is not Result.UNCHANGED:
            self.outcomes.append(outcome_object(outcome))
        if self._bar is not None:
            self._bar.step(failed=outcome.result in _BAD)


class Bar:
    """A progress bar: the phase, how many of how many, how fast, how many failed. Redrawn a few times a second."""

    def __init__(self, job: str) -> None:
        self._job = job
        self._phase = "Starting"
        self._done = self._failed = 0
        self._total: int | None = None
        self._began = self._drawn = time.monotonic()
        self._progress: Progress | None = None

    def show(self) -> None:
        """Put it on the screen."""
        self._progress = _progress()
        self._task = self._progress.add_task("", total=None, job=self._job, count="", rate="", failed="")
        self._draw()
        self._progress.start()

    def hide(self) -> None:
        """Take it away, leaving no trace."""
        if self._progress is not None:
            self._progress.stop()

    def phase(self, name: str) -> None:
        """Start over for the next phase."""
        self._phase = PHASES.get(name, name)
        self._done, self._total = 0, None
        self._began = time.monotonic()
        if self._progress is not None:
            self._progress.reset(self._task, total=None)
        self._draw()

    def count_to(self, total: int) -> None:
        """How many there are to settle in this phase."""
        self._total = total
        self._draw()

    def step(self, *, failed: bool) -> None:
        """One more is settled."""
        self._done += 1
        self._failed += failed
        if self._done == self._total or time.monotonic() - self._drawn >= _EVERY_SECONDS:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._progress is None:
            return
        passed = self._drawn - self._began
        of_all = f"/{number(self._total)}" if self._total is not None else ""
        self._progress.update(
            self._task,
            description=self._phase,
            completed=self._done,
            total=self._total or None,
            count=f"{number(self._done)}{of_all}" if self._done or self._total else "",
            rate=f"{number(round(self._done / passed))}/s" if self._done and passed > _EVERY_SECONDS else "",
            failed=f"{number(self._failed)} failed" if self._failed else "",
        )


@contextlib.contextmanager
def watching(output: Output, job: str, *, collect: bool) -> Iterator[Watcher]:
    """An observer for one run of one job, with a bar on stderr where somebody is looking. To be used on the loop."""
    if not output.live:
        yield Watcher(None, collect=collect)
        return
    bar = Bar(job)
    appearing = asyncio.get_running_loop().call_later(PATIENCE, bar.show)
    try:
        yield Watcher(bar, collect=collect)
    finally:
        appearing.cancel()
        bar.hide()


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    def text(field: str, style: str = "none", **column: Any) -> TextColumn:
        return TextColumn(f"{{task.{field}}}", markup=False, style=style, table_column=Column(no_wrap=True, **column))

    return Progress(
        SpinnerColumn(),
        text("fields[job]", "bold", max_width=24),
        text("description"),
        BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=6)),
        text("fields[count]"),
        text("fields[rate]"),
        text("fields[failed]", "red"),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        # Room for the "^C" that a terminal echoes: on a full line it would wrap, and leave half a bar behind.
        console=Console(stderr=True, width=max(Console(stderr=True).width - 3, 20)),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=True,
    )
