"""A thousand SyncJobs in Dagster: how long they take to load, and whether their shared sensor keeps its interval."""

from __future__ import annotations

import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import databases, job_documents, secret_data, web_ui
from benchmarks.bench import Bench, say
from benchmarks.child import measure
from benchmarks.ours import COMMAND
from benchmarks.result import Row, count_at_most, megabytes, seconds

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.servers import Mount
    from benchmarks.web_ui import Storage
    from secretsync_core.demo.ui import WebUi

NAME = "jobs"
_SECRETS_A_JOB = 10
_LOAD_SECONDS, _LOAD_BYTES = 5.0, 300e6
_ROUNDS = 3
_TICKS = 3
_TICKS_QUICK = 2
_START_SECONDS = 600.0
_OF_INTERVAL = 0.5
_REQUESTS = 10
_LATE_SECONDS = 10.0  # Dagster's daemon looks for sensors that are due every five seconds

_QUIET = ": nothing changed"
_TICKS_OF = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
  sensorState { ticks(limit: 50) { timestamp endTimestamp status skipReason error { message } } } } } }"""


def run(bench: Bench) -> list[Row]:
    """Load the documents in a process of its own; then start Dagster with them and watch the sensor tick."""
    count = bench.count // _SECRETS_A_JOB
    source, dest = bench.servers.source.mount(), bench.servers.dest.mount()
    home = bench.directory("jobs")
    job_documents.write(home / "config", source, dest, count)
    rows = _load(home, count)
    say(f"seeding {count * _SECRETS_A_JOB:,} secrets for {count:,} jobs, and syncing them by the command line")
    folders = (job_documents.numbers(job)[:_SECRETS_A_JOB] for job in range(count))
    source.seed((secret_data.key(number), secret_data.value(number)) for folder in folders for number in folder)
    tokens = {"SOURCE_TOKEN": source.server.token, "DEST_TOKEN": dest.server.token}
    with databases.postgres() as server, web_ui.storages(server) as storages:
        for storage in storages:
            work = bench.directory(f"jobs-{storage.name.lower()}")
            rows += _watch(work, storage, home, source, tokens, count, ticks=_TICKS_QUICK if bench.quick else _TICKS)
    source.drop()
    dest.drop()
    return rows


def _load(home: Path, count: int) -> list[Row]:
    """The best of three, and the highest peak of three."""
    times, peaks = [], []
    for number in range(_ROUNDS):
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.load_definitions"]
        environ = {"SECRETSYNC_CONFIG": str(home / "config"), "PYTHONPATH": str(web_ui.ROOT)}
        usage = measure(command, work=home / "load", environ=environ)
        if int(usage.stdout) != count:
            raise AssertionError(f"{usage.stdout.strip()} of {count} jobs were loaded")
        times.append(usage.seconds)
        peaks.append(usage.peak_bytes)
        say(
            f"loading, round {number + 1}: {seconds(times[-1])} ({seconds(usage.cpu_seconds)} of them computing),"
            f" peak {megabytes(peaks[-1])}"
        )
    nothing = min(
        measure([sys.executable, "-c", "import dagster"], work=home / "load", environ={}).seconds
        for _ in range(_ROUNDS)
    )
    return [
        Row(
            NAME,
            f"definitions of {count:,} jobs load",
            seconds(min(times)),
            f'python -c "import dagster" {seconds(nothing)}',
            f"{min(times) / nothing:.2f}",
            f"<= {_LOAD_SECONDS:g} s",
            met=min(times) <= _LOAD_SECONDS,
        ),
        Row(
            NAME,
            f"definitions of {count:,} jobs load: peak memory",
            megabytes(max(peaks)),
            "",
            "",
            f"<= {megabytes(_LOAD_BYTES)}",
            met=max(peaks) <= _LOAD_BYTES,
        ),
    ]


class _Tick(NamedTuple):
    """When a tick of the sensor began, and how long it took."""

    began: float
    seconds: float


def _watch(
    work: Path, storage: Storage, home: Path, source: Mount, tokens: dict[str, str], count: int, *, ticks: int
) -> list[Row]:
    ledger = storage.ledger()
    environ = {**tokens, **({"SECRETSYNC_LEDGER": ledger} if ledger else {})}
    measure([COMMAND, "sync", "--config", str(home / "config"), "--quiet"], work=work / "sync", environ=environ)
    clock = time.perf_counter()
    with web_ui.start(storage, work / "dagster", home / "config", tokens, ledger=ledger) as ui:
        ui.wait(_START_SECONDS)
        loaded = time.perf_counter() - clock
        if len(ui.jobs()) != count:
            raise AssertionError(f"{len(ui.jobs())} of {count} jobs are in the UI")
        say(f"{storage.name}: {count:,} jobs are in the UI after {seconds(loaded)}")
        seen, requests = _observe(ui, source, ticks)
    longest = max(tick.seconds for tick in seen)
    apart = max(later.began - earlier.began for earlier, later in pairwise(seen))
    interval = job_documents.INTERVAL
    say(f"{storage.name}: ticks of {seconds(longest)}, {seconds(apart)} apart, {requests} requests each")
    what = f"{count:,} jobs watched by one sensor, {storage.name}"
    return [
        Row(NAME, f"code location, daemon and webserver start with {count:,} jobs, {storage.name}, until the UI lists"
            " them", seconds(loaded), "", "", "", met=None),
        Row(NAME, f"{what}: a tick", seconds(longest), f"its interval {interval} s", f"{longest / interval:.2f}",
            f"<= {_OF_INTERVAL:g}", met=longest <= _OF_INTERVAL * interval),
        Row(NAME, f"{what}: from one tick to the next", seconds(apart), f"its interval {interval} s",
            f"{apart / interval:.2f}", f"<= {interval + _LATE_SECONDS:.0f} s", met=apart <= interval + _LATE_SECONDS),
        count_at_most(NAME, f"{what}: requests to the source a tick", requests, _REQUESTS),
    ]  # fmt: skip


def _observe(ui: WebUi, source: Mount, ticks: int) -> tuple[list[_Tick], int]:
    """Wait for ``ticks`` ticks by the real daemon; gives them, and the most requests that one made of the source."""
    found: list[_Tick] = []
    most, served = 0, source.served()
    deadline = time.monotonic() + (ticks + 2) * 2 * job_documents.INTERVAL
    while len(found) < ticks:
        if time.monotonic() > deadline:
            raise AssertionError(f"the sensor ticked {len(found)} times only")
        time.sleep(1)
        now = [_Tick(each["timestamp"], each["endTimestamp"] - each["timestamp"]) for each in _ticks(ui)]
        if len(now) > len(found):
            before, served = served, source.served()
            if found:  # the first may have begun before we began to count
                most = max(most, -(-served.since(before).requests // (len(now) - len(found))))
            found = now
    return found, most


def _ticks(ui: WebUi) -> list[dict[str, Any]]:
    """The ticks that are over, oldest first. Raises AssertionError where one started something or failed."""
    selector = {
        "repositoryLocationName": "secretsync",
        "repositoryName": "__repository__",
        "sensorName": job_documents.SENSOR,
    }
    state = ui.graphql(_TICKS_OF, sensor=selector)["sensorOrError"]["sensorState"]
    over = [each for each in state["ticks"] if each["endTimestamp"]]
    for each in over:
        if each["status"] != "SKIPPED" or ";" in each["skipReason"] or not each["skipReason"].endswith(_QUIET):
            raise AssertionError(f"a tick ended with {each['status']}: {each['skipReason'] or each['error']}")
    return sorted(over, key=lambda each: float(each["timestamp"]))
