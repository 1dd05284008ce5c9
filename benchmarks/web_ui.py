"""Dagster as people use it: the webserver, the daemon and the code location, asked as the UI asks them."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.child import ChildError
from secretsync_core.demo.ui import WebUi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.databases import Postgres

ROOT = Path(__file__).parent.parent
_SECONDS = 900.0
_FAILED = """query($run: ID!) { runOrError(runId: $run) { ... on Run { stepStats { stepKey status } } } }"""
_EVENTS = """query($run: ID!, $after: String) { logsForRun(runId: $run, afterCursor: $after, limit: 1000) {
  ... on EventConnection { cursor hasMore events { __typename } } } }"""


class Storage(NamedTuple):
    """Where Dagster and the ledger keep things: the text of dagster.yaml, what it needs of the environment."""

    name: str
    settings: str
    environ: Mapping[str, str]
    server: Postgres | None

    def ledger(self) -> str:
        """The URL of a new ledger; empty for the default, beside the documents."""
        return self.server.database() if self.server is not None else ""


@contextlib.contextmanager
def storages(server: Postgres) -> Iterator[tuple[Storage, Storage]]:
    """SQLite with the dagster.yaml at the top of the repository, PostgreSQL with that under deploy."""
    with server.for_dagster() as environ:
        yield (
            Storage("SQLite", (ROOT / "dagster.yaml").read_text(), {}, None),
            Storage("PostgreSQL", (ROOT / "deploy" / "dagster" / "dagster.yaml").read_text(), environ, server),
        )


def start(storage: Storage, home: Path, config: Path, tokens: Mapping[str, str], *, ledger: str) -> WebUi:
    """Start the three programs; a context manager that stops them.

    Args:
        storage: where Dagster keeps things.
        home: for ``DAGSTER_HOME``.
        config: the directory of the documents.
        tokens: what the documents' credentials name.
        ledger: the ledger's URL; empty for the default.
    """
    environ = {"PATH": os.defpath, "HOME": str(home), **storage.environ, **tokens}
    if ledger:
        environ["SECRETSYNC_LEDGER"] = ledger
    return WebUi(home, config=config, environ=environ, settings=storage.settings)


class Run(NamedTuple):
    """One run: the seconds from the press to its end, and the events that it left."""

    seconds: float
    events: int


def press(ui: WebUi, job: str) -> Run:
    """Launch a job as the Launchpad does, wait for its end, and raise ChildError where that is no success."""
    clock = time.perf_counter()
    run = ui.launch(job)
    status = ui.wait_for(run, _SECONDS)
    took = time.perf_counter() - clock
    if status != "SUCCESS":
        steps = ui.graphql(_FAILED, run=run)["runOrError"]["stepStats"]
        failed = [step["stepKey"] for step in steps if step["status"] == "FAILURE"]
        raise ChildError(f"the run of {job} ended with {status}; failed steps: {', '.join(failed) or 'none'}")
    return Run(took, _events(ui, run))


def _events(ui: WebUi, run: str) -> int:
    count, after, more = 0, None, True
    while more:
        page = ui.graphql(_EVENTS, run=run, after=after)["logsForRun"]
        count += len(page["events"])
        after, more = page["cursor"], page["hasMore"]
    return count
