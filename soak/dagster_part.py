"""Jobs in Dagster, whose run workers, code location, daemon and webserver are killed; schedules and messages go on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import yaml

from secretsync_core.demo.ui import WebUi
from soak.dagster_runs import ENDED, Runs
from soak.documents import JOBS
from soak.hook import Hook
from soak.model import CANARY
from soak.parts import end, guarded
from soak.processes import below
from soak.proxy import PHASES
from soak.rounds import changes, drop_refused, renew
from soak.world import world

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from soak.findings import Findings
    from soak.parts import Task
    from soak.world import World

_WORKER, _CODE, _CODE_ALONE = "kill run worker", "kill code location with its runs", "kill code location alone"
_DAEMON, _FRONT, _TERMINATE = "kill daemon", "kill webserver and daemon", "terminate"
_KINDS = (_WORKER, _WORKER, _CODE, _CODE_ALONE, _DAEMON, _TERMINATE, _FRONT)
_GOES_ON = (_CODE_ALONE, _DAEMON, _FRONT)
"""Kinds that a run survives."""

_STAND_IN = "secretsync/verdict-on"
"""The tag of an entry that stands for a run that failed, and is none itself: nobody is told of it."""

_AT_WORK = ("STARTING", "STARTED", "CANCELING")
_RUN_SECONDS, _TOLD_SECONDS, _TICK_SECONDS = 130.0, 40.0, 130.0
_AT_THE_END = 45.0
_SENDING = 1.0


def dagster(task: Task) -> list[Findings]:
    """Dagster's processes are killed while a job is at work."""
    hook = Hook()
    try:
        more = {"notify": [{"webhook": {"url": {"value": hook.url}}}], "limits": {"concurrency": 2}}
        with world(task.directory, task.seed, small=True, more=more) as made:
            _schedule(made)
            with WebUi(
                made.directory / "dagster", config=made.directory / "config", environ=made.product.environ
            ) as ui:
                ui.wait(180)
                part = _Part(made, ui, hook)
                while time.monotonic() < task.until - _AT_THE_END and task.goes_on(made.findings):
                    number = made.findings.rounds.total()
                    kind = _KINDS[number] if number < len(_KINDS) else made.random.choice(_KINDS)
                    guarded(made.findings, lambda kind=kind: part.round(kind))  # type: ignore[misc]
                made.findings.kind = "at the end"
                guarded(made.findings, part.judge_runs)
            end(made)
            return [made.findings]
    finally:
        hook.close()


def _schedule(made: World) -> None:
    """The job ``marked`` runs every minute; ``main`` is launched by hand."""
    path = made.directory / "config" / "documents.yaml"
    documents = list(yaml.safe_load_all(path.read_text()))
    documents[-1]["spec"]["schedule"] = "* * * * *"
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))


class _Part:
    """One Dagster, and its rounds."""

    def __init__(self, made: World, ui: WebUi, hook: Hook) -> None:
        self._made, self._ui, self._hook = made, ui, hook
        self._runs = Runs(ui)
        self._struck: list[float] = []  # when what sends messages was killed

    def round(self, kind: str) -> None:
        """A run is struck; the next one makes up for it."""
        made = self._made
        made.findings.begin(kind)
        made.begin()
        changes(made)
        renew(made, 25)
        drop_refused(made)  # or no run would be well
        made.dest_proxy.latency = made.random.choice((0.05, 0.1, 0.2))
        run = self._runs.launch("main")
        self._wait_for_a_moment()
        at = self._runs.status(run)
        self._strike(kind, run)
        made.heal()
        status = self._runs.end(run, _RUN_SECONDS)
        made.findings.counts[f"{kind}: {at}, then {status}"] += 1
        if status not in ENDED:
            made.findings.add("a run never ends", f"{run} was {at} when it was struck, and is {status}")
        if kind in _GOES_ON and status != "SUCCESS":
            made.findings.add("a run does not go on", f"{run} was {at}, and is {status}")
        made.look(f"right after {kind}")
        if status == "SUCCESS" and (missing := self._missing()):
            made.findings.add("SUCCESS, and not all is in place", missing[:4])
        self._make_up(kind)

    def _make_up(self, kind: str) -> None:
        made = self._made
        status = self._runs.end(self._runs.launch("main"), _RUN_SECONDS)
        if status != "SUCCESS":
            made.findings.add("the next run is not well", f"{kind}: {status}")
        with self._at_rest():
            made.come_to_rest()
        if status == "SUCCESS" and not self._runs.in_sync("main"):
            made.findings.add("in_sync is not green after a run that went well", kind)

    @contextlib.contextmanager
    def _at_rest(self) -> Iterator[None]:
        """Let no run begin: the schedule's would be in the way of the comparison."""
        daemon = self._ui.pids["daemon"]
        os.killpg(daemon, signal.SIGSTOP)
        # Dagster's own databases are SQLite's: one that it holds locked would hold up everybody else.
        while is_locked(self._made.directory / "dagster"):
            os.killpg(daemon, signal.SIGCONT)
            time.sleep(0.1)
            os.killpg(daemon, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + _RUN_SECONDS
            while any(run["status"] in _AT_WORK for run in self._runs.all()) and time.monotonic() < deadline:
                time.sleep(0.5)
            yield
        finally:
            os.killpg(daemon, signal.SIGCONT)

    def _missing(self) -> list[tuple[str, str]]:
        """Of the job ``main``."""
        return [place for place in self._made.missing() if place[1].startswith("copy/")]

    def _wait_for_a_moment(self) -> None:
        made = self._made
        if made.random.random() < 0.5:
            time.sleep(made.random.uniform(0, 7))
            return
        reached = threading.Event()
        made.dest_proxy.at(made.random.randint(1, made.random.choice((3, 20))), made.random.choice(PHASES), reached.set)
        reached.wait(12)
        made.dest_proxy.forget()

    def _strike(self, kind: str, run: str) -> None:
        random, ui = self._made.random, self._ui
        code = ui.pids["code"]
        if kind not in (_TERMINATE, _WORKER):
            self._struck.append(time.time())
        if kind == _TERMINATE:
            self._runs.terminate(run)
        elif kind == _WORKER:
            _kill(*self._workers())
        elif kind == _CODE:
            ui.kill_program("code")
            time.sleep(random.choice((0, 3)))
            ui.start_code()
        elif kind == _CODE_ALONE:
            workers = self._workers()
            spared = {*workers, *(pid for worker in workers for pid in below(worker))}
            _kill(*(pid for pid in (code, *below(code)) if pid not in spared))
            ui.reap("code")
            ui.start_code()
        elif kind == _DAEMON:
            ui.kill_program("daemon")
            time.sleep(random.choice((0, 2, 10)))
            ui.start_daemon()
        else:
            ui.kill_program("webserver")
            ui.kill_program("daemon")
            ui.start_daemon()
            ui.start_webserver()
        self._made.findings.counts["kills"] += kind != _TERMINATE

    def _workers(self) -> list[int]:
        return [pid for pid, command in below(self._ui.pids["code"]).items() if "spawn_main" in command]

    def judge_runs(self) -> None:
        """No run goes on for ever, every failure was told once, and the schedule goes on."""
        made, now = self._made, time.time()
        # The daemon was held up in each round, and may have runs waiting.
        while (late := self._late(now)) and time.time() < now + _RUN_SECONDS:
            time.sleep(2)
        runs = self._runs.all()
        for run in runs:
            if run["runId"] in late:
                made.findings.add("a run never ends", f"{run['runId']} of {run['jobName']}: {run['status']}")
        deadline = time.time() + _TOLD_SECONDS
        failed = {run["runId"] for run in runs if _is_to_be_told(run)}
        while (untold := failed - self._told_of()) and time.time() < deadline:
            time.sleep(1)
        for run_id in sorted(untold):
            made.findings.add("a failure is not told", run_id)
        if twice := told_twice(self._hook.messages, self._struck):
            made.findings.add("told twice", twice[:4])
        if any(CANARY in json.dumps(message) for message in self._hook.messages):
            made.findings.add("a value is in a message")
        made.findings.counts |= {"messages": len(self._hook.messages), "failed runs": len(failed)}
        by_schedule: defaultdict[str, list[float]] = defaultdict(list)
        for run in runs:
            if "dagster/schedule_name" in run["tags"]:
                by_schedule[run["jobName"]].append(run["creationTime"])
        made.findings.counts["scheduled runs"] = len(by_schedule["marked"])
        if time.time() - max(by_schedule["marked"], default=0) > _TICK_SECONDS:
            made.findings.add("the schedule does not come back", by_schedule["marked"][:3])

    def _late(self, moment: float) -> set[str]:
        """Runs that began long before a moment and have not ended."""
        return {
            run["runId"]
            for run in self._runs.all()
            if run["status"] not in ENDED and moment - run["creationTime"] > _RUN_SECONDS
        }

    def _told_of(self) -> set[str]:
        return {message["run"] for message in self._hook.messages if "failure" in message["events"]}


def is_locked(directory: Path) -> bool:
    """Whether nobody can write to one of the SQLite databases in a directory."""
    for path in directory.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(path, timeout=1)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
    return False


def _is_to_be_told(run: dict[str, Any]) -> bool:
    """Whether a run is one of a SyncJob, and failed. Checks of ledger and stores have jobs of Dagster's own."""
    ended = run["status"] in ("FAILURE", "CANCELED")
    return ended and run["jobName"] in JOBS and _STAND_IN not in run["tags"]


def told_twice(messages: Iterable[dict[str, Any]], struck: Iterable[float]) -> list[tuple[str, str]]:
    """The runs and events that were told again, though nothing was killed between one message and the next.

    What sends them is killed between a message and the note that it was sent: then it is sent once more, for none may
    be lost.
    """
    # Without a run it is about one of the command line that did not begin, of which there may be several.
    came = [
        ((message["run"], event), message["at"])
        for message in messages
        if message["run"]
        for event in message["events"]
    ]
    before: dict[tuple[str, str], float] = {}
    twice = []
    for about, moment in came:
        last = before.get(about)
        if last is not None and not any(last - _SENDING <= kill <= moment for kill in struck):
            twice.append(about)
        before[about] = moment
    return twice


def _kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
