"""Runs in Dagster, from the press of the button to success, against the command line; and the events they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks import databases, secret_data, web_ui
from benchmarks.bench import Bench, say
from benchmarks.ours import Sync
from benchmarks.result import Row, count_at_most, seconds, times
from benchmarks.servers import Mount, check_copy

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.web_ui import Run, Storage
    from secretsync_core.demo.ui import WebUi

NAME = "dagster"
_TIMES, _PLUS = 1.3, 10.0
_UNCHANGED = 12.0
_EVENTS = 300
_ROUNDS = 2
_START_SECONDS = 600.0

_STORE = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: {name}}}
spec:
  provider:
    vault: {{address: "{address}", mount: {mount}, auth: {{token: {{env: {token}}}}}}}
---
"""
_JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: {name}}}
spec:
  source: {source}
  dest: {name}
  plan:
    - name: everything
      query: {{path: "", recursive: true}}
---
"""


class _Figures(NamedTuple):
    """What was measured with one storage: seconds of the command line, and runs in Dagster."""

    copied: list[float]
    unchanged: list[float]
    copying: list[Run]
    idling: list[Run]
    few: Run


def run(bench: Bench) -> list[Row]:
    """With everything in SQLite, and with everything in PostgreSQL."""
    rows: list[Row] = []
    with databases.postgres() as server, web_ui.storages(server) as storages:
        for storage in storages:
            rows += _rows(bench, storage.name, _measure(bench, storage))
    return rows


def _measure(bench: Bench, storage: Storage) -> _Figures:
    """The command line and Dagster take turns; each copies into an empty mount, then finds nothing changed."""
    few = bench.servers.source.mount()
    few.seed(secret_data.secrets(bench.count // 10))
    dests = {name: bench.servers.dest.mount() for name in ("few", *(f"copy{number}" for number in range(_ROUNDS)))}
    home = bench.directory(f"dagster-{storage.name.lower()}")
    _write_documents(home / "config", {name: few if name == "few" else bench.source for name in dests}, dests)
    tokens = {"SOURCE_TOKEN": bench.servers.source.token, "DEST_TOKEN": bench.servers.dest.token}
    found = _Figures([], [], [], [], web_ui.Run(0.0, 0))
    with web_ui.start(storage, home / "dagster", home / "config", tokens, ledger=storage.ledger()) as ui:
        ui.wait(_START_SECONDS)
        found = found._replace(few=_copy(ui, "few", few, dests["few"], bench.count // 10))
        for number in range(_ROUNDS):
            dest = bench.servers.dest.mount()
            sync = Sync(bench.source, dest, bench.directory("cli"), ledger=storage.ledger())
            name = f"copy{number}"
            found.copied.append(sync.run().seconds)
            found.copying.append(_copy(ui, name, bench.source, dests[name], bench.count))
            found.unchanged.append(sync.run().seconds)
            found.idling.append(web_ui.press(ui, name))
            check_copy(bench.source, dest, bench.count)
            dest.drop()
            say(
                f"{storage.name}, round {number + 1}: command line {seconds(found.copied[-1])} and"
                f" {seconds(found.unchanged[-1])}, Dagster {seconds(found.copying[-1].seconds)} and"
                f" {seconds(found.idling[-1].seconds)}"
            )
    for mount in (few, *dests.values()):
        mount.drop()
    return found


def _copy(ui: WebUi, job: str, source: Mount, dest: Mount, count: int) -> Run:
    made = web_ui.press(ui, job)
    check_copy(source, dest, count)
    return made


def _write_documents(config: Path, sources: dict[str, Mount], dests: dict[str, Mount]) -> None:
    """A job for each destination, of its name, that copies all of its source."""
    config.mkdir(parents=True)
    text = ""
    for name, dest in dests.items():
        for store, mount, token in ((f"{name}-source", sources[name], "SOURCE_TOKEN"), (name, dest, "DEST_TOKEN")):
            text += _STORE.format(name=store, address=mount.server.address, mount=mount.name, token=token)
        text += _JOB.format(name=name, source=f"{name}-source")
    (config / "jobs.yaml").write_text(text)


def _rows(bench: Bench, storage: str, found: _Figures) -> list[Row]:
    copy, cli_copy = min(run.seconds for run in found.copying), min(found.copied)
    idle, cli_idle = min(run.seconds for run in found.idling), min(found.unchanged)
    most = _TIMES * cli_copy + _PLUS
    events = max(run.events for run in found.copying)
    return [
        Row(
            NAME,
            f"full copy of {bench.count:,} secrets, {storage}, from the press to success: times as long",
            seconds(copy),
            f"command line {seconds(cli_copy)}",
            times(copy / cli_copy),
            f"<= {_TIMES:g} and {_PLUS:.0f} s ({seconds(most)})",
            met=copy <= most,
        ),
        Row(
            NAME,
            f"nothing changed in {bench.count:,} secrets, {storage}, from the press to success",
            seconds(idle),
            f"command line {seconds(cli_idle)}",
            times(idle / cli_idle),
            f"<= {_UNCHANGED:.0f} s",
            met=idle <= _UNCHANGED,
        ),
        count_at_most(
            NAME,
            f"events of a run that copies {bench.count:,} secrets, {storage}"
            f" ({found.few.events} at {bench.count // 10:,}, {max(run.events for run in found.idling)} where nothing"
            " changed)",
            events,
            _EVENTS,
        ),
    ]
