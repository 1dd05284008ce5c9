"""From the press of the button to the end of a run of one unchanged job among a thousand, and where the time goes.

Side by side: a code location whose run workers load every document, and ours, whose run workers load the one job.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import databases, job_documents, secret_data, web_ui
from benchmarks.bench import Bench, say
from benchmarks.child import measure
from benchmarks.ours import COMMAND
from benchmarks.result import Row, at_most, seconds
from secretsync_core.demo.ui import LOCATION, WebUi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.web_ui import Storage

NAME = "press"
_JOBS = 1000
_SECRETS_A_JOB = 10
_PRESSES = 7
_START_SECONDS = 600.0
_RUN_SECONDS = 120.0
_HALF = 0.5
_WHOLE, _OURS = "benchmarks.whole_location", "secretsync_dagster.definitions"
_PARTS_OF = """query($run: ID!) { runOrError(runId: $run) { ... on Run { creationTime startTime endTime
  stepStats { startTime endTime } } } logsForRun(runId: $run) { ... on EventConnection { events { __typename
  ... on MessageEvent { timestamp } } } } }"""


class _Parts(NamedTuple):
    """Where the seconds of one run went, in the order in which they pass."""

    queue: float
    worker: float
    steps: float
    rest: float

    @property
    def whole(self) -> float:
        """From the press to the end."""
        return sum(self)


class _Location(WebUi):
    """The UI over a code location of this module."""

    module = _OURS

    def start_code(self) -> None:
        """Start the code location."""
        command = ("dagster", "code-server", "start", "-m", self.module)
        self._start("code", (*command, "-h", "127.0.0.1", "-p", str(self._code_port), "--location-name", LOCATION))


class _Whole(_Location):
    module = _WHOLE


def run(bench: Bench) -> list[Row]:
    """Both code locations with each storage."""
    source, dest = bench.servers.source.mount(), bench.servers.dest.mount()
    home = bench.directory("press")
    count = _JOBS // 10 if bench.quick else _JOBS
    job_documents.write(home / "config", source, dest, count)
    numbers = list(job_documents.numbers(0))[:_SECRETS_A_JOB]
    source.seed((secret_data.key(number), secret_data.value(number)) for number in numbers)
    tokens = {"SOURCE_TOKEN": source.server.token, "DEST_TOKEN": dest.server.token}
    rows: list[Row] = []
    with databases.postgres() as server, web_ui.storages(server) as storages:
        for storage in storages:
            ledger = storage.ledger()
            environ = {**tokens, **({"SECRETSYNC_LEDGER": ledger} if ledger else {})}
            sync = [COMMAND, "sync", "job-0000", "--config", str(home / "config"), "--quiet"]
            measure(sync, work=home / "sync", environ=environ)
            found = _press(bench, storage, home / "config", environ)
            rows += _rows(storage.name, count, *found)
    source.drop()
    dest.drop()
    return rows


def _press(bench: Bench, storage: Storage, config: Path, environ: dict[str, str]) -> tuple[list[_Parts], list[_Parts]]:
    """Both are up at the same time and take turns, so that what else the machine does is in the way of both."""
    found: tuple[list[_Parts], list[_Parts]] = ([], [])
    with contextlib.ExitStack() as stack:
        uis = [stack.enter_context(_start(kind, bench, storage, config, environ)) for kind in (_Whole, _Location)]
        for ui in uis:
            ui.wait(_START_SECONDS)
            ui.wait_for(ui.launch("job_0000"), _RUN_SECONDS)  # the first one warms caches
        for _ in range(_PRESSES):
            for ui, parts in zip(uis, found, strict=True):
                parts.append(_one(ui))
    for kind, parts in zip((_Whole, _Location), found, strict=True):
        say(f"{storage.name}, {kind.module}: {', '.join(seconds(each.whole) for each in parts)}")
    return found


@contextlib.contextmanager
def _start(
    kind: type[_Location], bench: Bench, storage: Storage, config: Path, environ: dict[str, str]
) -> Iterator[_Location]:
    work = bench.directory(f"press-{storage.name.lower()}-{kind.__name__.strip('_').lower()}")
    full = {**os.environ, **environ, **storage.environ, "PYTHONPATH": str(web_ui.ROOT)}
    its_own: contextlib.AbstractContextManager[dict[str, str]] = contextlib.nullcontext({})
    if storage.server is not None:
        its_own = storage.server.for_dagster()
    with (
        its_own as database,
        kind(work / "dagster", config=config, environ={**full, **database}, settings=storage.settings) as ui,
    ):
        yield ui


def _one(ui: WebUi) -> _Parts:
    pressed = time.time()
    run = ui.launch("job_0000")
    status = ui.wait_for(run, _RUN_SECONDS)
    done = time.time()
    if status != "SUCCESS":
        raise AssertionError(f"a run of an unchanged job ended with {status}")
    answer = ui.graphql(_PARTS_OF, run=run)
    told = answer["runOrError"]
    starting = [event for event in answer["logsForRun"]["events"] if event["__typename"] == "RunStartingEvent"]
    left_queue = float(starting[0]["timestamp"]) / 1000
    first = min(float(step["startTime"]) for step in told["stepStats"])
    last = max(float(step["endTime"]) for step in told["stepStats"])
    return _Parts(left_queue - pressed, first - left_queue, last - first, done - last)


def _rows(storage: str, count: int, before: list[_Parts], after: list[_Parts]) -> list[Row]:
    def median(found: list[_Parts], part: str) -> float:
        return float(statistics.median(getattr(parts, part) for parts in found))

    what = f"press to done, one unchanged of {count:,} jobs, {storage}"
    mine, base = median(after, "whole"), median(before, "whole")
    against = "a worker that loads all "
    rows = [at_most(NAME, what, seconds(mine), against + seconds(base), mine / base, _HALF if count >= _JOBS else None)]
    words = {"queue": "in the queue", "worker": "the worker starts", "steps": "its steps", "rest": "it ends"}
    for part, told in words.items():
        one, other = median(after, part), median(before, part)
        rows.append(Row(NAME, f"{what}: {told}", seconds(one), against + seconds(other), "", "", met=None))
    return rows
