"""A source, a destination, documents and a ledger, for tests that run whole SyncJobs."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml
from support.http import Api

from secretsync_core.audit.keys import load_key
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Event
from secretsync_core.run import steps
from secretsync_core.run.gate import RetryPolicy
from secretsync_core.run.options import Options
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from secretsync_core.audit.record import Record
    from secretsync_core.model.report import Outcome, Report
    from secretsync_core.run.done import Planned
    from secretsync_core.run.options import Observer
    from secretsync_core.schema.documents import Documents

QUICK = RetryPolicy(attempts=3, first_wait=0.02, longest_wait=0.1, longest_retry_after=3.0, lost_after=3)
"""Retries that give up within a fraction of a second."""

EVERYTHING = {"name": "all", "query": {"path": "", "recursive": True}}
"""A plan item that takes the whole source."""

CLI = (sys.executable, "-m", "secretsync_core.cli.main")


@dataclass
class Side:
    """One mount of one server, as root sees it. ``section`` is what its SecretStore says; tests change it."""

    api: Api
    mount: str
    kv: int
    section: dict[str, Any]

    def put(self, key: str, fields: dict[str, Any]) -> None:
        """Write a secret."""
        self.api.put(self.mount, key, fields, version=self.kv)

    def get(self, key: str) -> dict[str, Any] | None:
        """The fields of a secret; None where it is absent or deleted."""
        return self.api.get(self.mount, key, version=self.kv)

    def delete(self, key: str) -> None:
        """Delete the latest version of a secret; with KV version 1, the secret."""
        self.api.call("DELETE", f"{self.mount}/data/{key}" if self.kv == 2 else f"{self.mount}/{key}")

    def forget(self, key: str) -> None:
        """Delete a secret with all its versions."""
        self.api.call("DELETE", f"{self.mount}/metadata/{key}")

    def fill(self, count: int, folder: str = "app/", text: str = "value") -> list[str]:
        """Write ``count`` secrets, and give their keys."""
        keys = [f"{folder}{number:04}" for number in range(count)]
        for key in keys:
            self.put(key, {"password": f"{text}-{key}"})
        return keys

    def details(self) -> dict[str, Any]:
        """The metadata of every secret, by key (KV version 2)."""
        answer = self.api.ask("SCAN", f"{self.mount}/detailed-metadata/")
        if answer.status == 404:
            return {}
        found: dict[str, Any] = (answer.json["data"] or {}).get("key_info") or {}
        return {key: info for key, info in found.items() if not key.endswith("/")}

    def versions(self) -> dict[str, int]:
        """The number of the latest version of every secret, by key (KV version 2)."""
        return {key: info["current_version"] for key, info in self.details().items()}

    def contents(self) -> dict[str, dict[str, Any]]:
        """Every secret that is there and not deleted, by key."""
        root = f"{self.mount}/metadata/" if self.kv == 2 else f"{self.mount}/"
        answer = self.api.ask("SCAN", root)
        keys = [] if answer.status == 404 else (answer.json["data"] or {}).get("keys", [])
        found = {key: self.get(key) for key in keys if not key.endswith("/")}
        return {key: fields for key, fields in found.items() if fields is not None}

    def path(self, key: str) -> str:
        """The path of a secret's data in a URL."""
        return f"/v1/{self.mount}/{'data/' if self.kv == 2 else ''}{quote(key)}"


@dataclass
class World:
    """A job called ``job`` from ``source`` to ``dest``, which takes everything unless ``spec`` says otherwise."""

    root: Path
    source: Side
    dest: Side
    spec: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)  # besides ``job``
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The directory with the documents."""
        return self.root / "config"

    @property
    def home(self) -> Path:
        """The directory with the ledger and its key."""
        return self.config / ".secretsync"

    def documents(self) -> Documents:
        """Write the documents, and load them as the commands do."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        stores = [
            _document("SecretStore", name, {"provider": {"vault": side.section}})
            for name, side in (("source", self.source), ("dest", self.dest))
        ]
        jobs = [
            _document("SyncJob", name, {"source": "source", "dest": "dest", "plan": [EVERYTHING], **spec})
            for name, spec in {"job": self.spec, **self.jobs}.items()
        ]
        text = yaml.safe_dump_all([*stores, *jobs], allow_unicode=True, sort_keys=False)
        (self.config / "documents.yaml").write_text(text)
        return load_directory(self.config)

    @contextlib.contextmanager
    def ledger(self) -> Iterator[tuple[Ledger, bytes]]:
        """The ledger, opened, and the key for fingerprints."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = load_key(environ={}, directory=self.home, create=True)
        with Ledger.open(self.home / "ledger.db", seal_key=keys.seal) as opened:
            yield opened, keys.fingerprint

    async def sync(
        self,
        name: str = "job",
        *,
        retry: RetryPolicy = QUICK,
        stop: asyncio.Event | None = None,
        observer: Observer | None = None,
        verify: bool = False,
        restored: Collection[str] = (),
    ) -> Report:
        """Sync one job."""
        documents = self.documents()
        with self.ledger() as (ledger, key):
            return await steps.sync(
                documents.jobs[name], documents, ledger, environ=self.environ, fingerprint_key=key,
                options=Options(retry=retry, verify=verify, restored=frozenset(restored)), stop=stop, observer=observer,
            )  # fmt: skip

    async def plan(self, name: str = "job") -> Planned:
        """Say what a sync would do."""
        documents = self.documents()
        with self.ledger() as (ledger, key):
            return await steps.plan(
                documents.jobs[name], documents, ledger, environ=self.environ, fingerprint_key=key,
                options=Options(retry=QUICK),
            )  # fmt: skip

    async def check(self, name: str = "job") -> Report:
        """Look for drift."""
        documents = self.documents()
        with self.ledger() as (ledger, key):
            return await steps.check(
                documents.jobs[name], documents, ledger, environ=self.environ, fingerprint_key=key,
                options=Options(retry=QUICK),
            )  # fmt: skip

    def records(self, *events: Event, key: str | None = None) -> list[Record]:
        """What the ledger holds of all jobs."""
        with self.ledger() as (ledger, _):
            return list(ledger.records(key=key, events=events or None))

    def story(self, key: str) -> list[str]:
        """What the ledger tells of a key, as ``event action reason``."""
        told = [record.draft for record in self.records(key=key)]
        return [" ".join(filter(None, (draft.event, draft.action, draft.reason))) for draft in told]

    def assert_sound(self) -> None:
        """The ledger's chains hold, every announced write has exactly one outcome, and no run is left open."""
        with self.ledger() as (ledger, _):
            assert all(report.sound for report in ledger.verify()), ledger.verify()
            for job in ledger.jobs():
                assert ledger.runs.unsettled(job) == []
                assert ledger.runs.unfinished(job) == []
        announced = [record.draft.intent for record in self.records(Event.INTENDED)]
        outcomes = [r.draft.intent for r in self.records(Event.DONE, Event.FAILED, Event.SKIPPED) if r.draft.intent]
        assert sorted(announced) == sorted(outcomes)

    def command(self, *arguments: str) -> list[str]:
        """A command line of the CLI over these documents."""
        self.documents()
        return [*CLI, *arguments, "--config", str(self.config)]

    @property
    def process_environ(self) -> dict[str, str]:
        """The environment for a process of ours: nothing of the tester's but what Python needs."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.root), **self.environ}


def side_of(address: str, token: str, mount: str, variable: str, kv: int = 2) -> Side:
    """A side whose SecretStore finds its token in ``variable``."""
    section = {"address": address, "mount": mount, "auth": {"token": {"env": variable}}}
    return Side(Api(address, token), mount, kv, section)


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "secretsync.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def failure(report: Report, key: str) -> Outcome:
    """The one failure or refusal of a key."""
    (found,) = [outcome for outcome in report.failures if outcome.change.key == key]
    return found


def exit_code(report: Report) -> int:
    """The exit code of ``secretsync sync`` for a report."""
    from secretsync_core.cli.results import of_sync

    return of_sync(report)
