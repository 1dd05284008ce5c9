"""A small world to sync in: documents from YAML, stores in memory or in files, a ledger, and faults on command."""

from __future__ import annotations

import contextlib
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from support import look_only

from secretsync_core.audit.ledger import Ledger
from secretsync_core.errors import SecretNotFound, StoreUnavailable
from secretsync_core.model.capabilities import Permissions
from secretsync_core.run import opening, steps, undo_steps
from secretsync_core.run.gate import RetryPolicy
from secretsync_core.run.options import Options
from secretsync_core.schema.loader import load_directory
from secretsync_core.secret import SecretValue
from secretsync_core.stores import memory
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.handle import hand_out
from secretsync_core.stores.registry import open_store
from secretsync_core.testing.faulty import Faults, FaultyGate, faulty
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Collection, Mapping
    from pathlib import Path

    import pytest

    from secretsync_core.audit.record import Record
    from secretsync_core.model.report import Report
    from secretsync_core.model.state import KeyState
    from secretsync_core.run.done import Planned
    from secretsync_core.run.options import Observer
    from secretsync_core.schema.documents import Documents, StoreDocument
    from secretsync_core.secret import FieldValue
    from secretsync_core.stores.base import Store

FAST = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002, longest_retry_after=0.05)
SEAL_KEY, FINGERPRINT_KEY = b"s" * 32, b"f" * 32

Payload: TypeAlias = "Mapping[str, FieldValue] | bytes"


class World:
    """Stores ``src`` and ``dst`` (more by :meth:`store`), one SyncJob named ``job``, and its ledger.

    ``faults`` strike above the request gate and ``gate_faults`` below it, by store; both only within runs.
    """

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        memory.reset()
        self.path = path
        self.config = path / "config"
        self.config.mkdir()
        self.ledger = self.another_ledger()
        self.faults: dict[str, Faults] = {}
        self.gate_faults: dict[str, Faults] = {}
        self._handles: dict[str, Store] = {}
        self.store("src")
        self.store("dst")
        self.patch = patch
        patch.setattr(opening, "open_store", self._open)

    def another_ledger(self) -> Ledger:
        """Open the ledger once more: two runs at once, or two threads, must not share one."""
        return Ledger.open(self.path / "ledger.db", seal_key=SEAL_KEY)

    def close(self) -> None:
        """Give the ledger back."""
        self.ledger.close()

    # -- Documents ------------------------------------------------------------------------------------------------

    def store(self, name: str, provider: str = "memory: {}", permissions: str = "ReadWrite") -> None:
        """Write a SecretStore document."""
        (self.config / f"store-{name}.yaml").write_text(
            f"apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {{name: {name}}}\n"
            f"spec:\n  permissions: {permissions}\n  provider:\n    {provider}\n"
        )

    def files(self, name: str) -> None:
        """Make a store one directory of files: blobs instead of fields."""
        root = self.path / name
        root.mkdir(exist_ok=True)
        self.store(name, f"file: {{path: {root}}}")

    def job(self, plan: str, **spec: str) -> None:
        """Write the SyncJob: its plan as a YAML list, and its other fields."""
        fields = {"source": "src", "dest": "dst", **spec}
        head = "".join(f"  {name}: {value}\n" for name, value in fields.items())
        body = textwrap.indent(textwrap.dedent(plan).strip("\n"), "    ")
        (self.config / "job.yaml").write_text(
            "apiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {name: job}\n"
            f"spec:\n{head}  plan:\n{body}\n"
        )

    @property
    def documents(self) -> Documents:
        """The documents, through the real loader."""
        return load_directory(self.config)

    # -- Stores ---------------------------------------------------------------------------------------------------

    async def put(self, store: str, key: str, value: Payload) -> str | None:
        """Write behind the sync's back."""
        written: str | None = await (await self.handle(store)).write(key, SecretValue(value))
        return written

    async def seed(self, store: str, secrets: Mapping[str, Payload]) -> None:
        """Write several secrets behind the sync's back."""
        for key, value in secrets.items():
            await self.put(store, key, value)

    async def remove(self, store: str, key: str) -> None:
        """Delete behind the sync's back."""
        await (await self.handle(store)).delete(key)

    async def get(self, store: str, key: str) -> dict[str, FieldValue] | bytes | None:
        """A secret's value, None where there is none."""
        try:
            secret = await (await self.handle(store)).read(key)
        except SecretNotFound:
            return None
        value: dict[str, FieldValue] | bytes = secret.value.reveal()
        return value

    async def all(self, store: str) -> dict[str, Any]:
        """Everything that a store holds."""
        listing = (await self.handle(store)).list("", recursive=True, metadata=False)
        return {entry.key: await self.get(store, entry.key) async for entry in listing if not entry.deleted}

    async def versions(self, store: str) -> dict[str, str | None]:
        """The version of every secret, deleted ones too: equal before and after means that nothing was written."""
        listing = (await self.handle(store)).list("", recursive=True, metadata=False)
        return {entry.key: entry.version async for entry in listing}

    def unread(self, name: str, config: str = "{plain: true}", permissions: str = "ReadWrite") -> None:
        """Make a store one that shows versions and no values; to ``handle`` and what uses it, it is in memory."""
        look_only.installed(self.patch)
        self.store(name, f"ci: {config}", permissions)

    # Any: a store's abilities are what its class has, and these tests use those with all of them.
    async def handle(self, store: str) -> Any:
        """A store without its document's restrictions, opened once; what it does is not counted anywhere."""
        if store not in self._handles:
            document = self.documents.stores[store]
            provider, config = document.provider, document.config
            if provider == "ci":
                provider, config = "memory", memory.MemoryConfig()
            full = type(document)(store, Permissions.READ_WRITE, provider, config, document.where)
            self._handles[store] = await open_store(full, StoreContext(store, CountingGate(), {}, 4))
        return self._handles[store]

    def fault(self, store: str) -> Faults:
        """What goes wrong with a store, above the gate."""
        return self.faults.setdefault(store, Faults())

    def lose(self, key: str, operation: str = "write_if", *, done: bool, store: str = "dst") -> None:
        """Lose the answer to the next write of a key, ``done`` or not; the key is out of sight from then on."""
        faults = self.fault(store)

        async def lost(key: str) -> None:
            faults.fail("read", StoreUnavailable("out of sight", store=store), key=key)
            raise StoreUnavailable("no answer", store=store)

        faults.run(operation, lost, key=key, after=done)

    def gate_fault(self, store: str) -> Faults:
        """What goes wrong with a store's requests, below the gate, so that they may be repeated."""
        return self.gate_faults.setdefault(store, Faults())

    async def _open(self, document: StoreDocument, context: StoreContext) -> Store:
        if below := self.gate_faults.get(document.name):
            context = replace(context, gate=FaultyGate(context.gate, below))
        store = await open_store(document, context)
        above = self.faults.get(document.name)
        # As the registry hands out a third party's store: whatever it raises comes out as an error of ours.
        if not above:
            return store
        return hand_out(faulty(store, above), document.name, document.permissions, context.gate, look=document.look)

    # -- Runs -----------------------------------------------------------------------------------------------------

    async def sync(
        self,
        *items: str,
        verify: bool = False,
        retry: RetryPolicy = FAST,
        stop: asyncio.Event | None = None,
        observer: Observer | None = None,
        max_delete: int | None = None,
        adopt: Collection[str] = (),
        job: str = "job",
        restored: Collection[str] = (),
    ) -> Report:
        """Sync the job as its document now is."""
        documents = self.documents
        return await steps.sync(
            documents.jobs[job], documents, self.ledger, environ={}, fingerprint_key=FINGERPRINT_KEY,
            options=Options(frozenset(items), verify, retry, max_delete, frozenset(adopt), frozenset(restored)),
            stop=stop, observer=observer,
        )  # fmt: skip

    async def plan(
        self,
        *items: str,
        verify: bool = False,
        ledger: bool = True,
        adopt: Collection[str] = (),
        restored: Collection[str] = (),
        render: bool = True,
    ) -> Planned:
        """Plan the job."""
        documents = self.documents
        return await steps.plan(
            documents.jobs["job"], documents, self.ledger if ledger else None, environ={},
            fingerprint_key=FINGERPRINT_KEY, options=Options(
                frozenset(items), verify, FAST, adopt=frozenset(adopt), restored=frozenset(restored), render=render
            ),
        )  # fmt: skip

    async def check(self, *items: str, verify: bool = False) -> Report:
        """Look for drift."""
        documents = self.documents
        return await steps.check(
            documents.jobs["job"], documents, self.ledger, environ={}, fingerprint_key=FINGERPRINT_KEY,
            options=Options(frozenset(items), verify, FAST),
        )  # fmt: skip

    async def plan_undo(self, run: str, *keys: str) -> Planned:
        """Plan the undo of a run."""
        documents = self.documents
        return await undo_steps.plan_undo(
            documents.jobs["job"], documents, self.ledger, run, keys=keys, environ={},
            fingerprint_key=FINGERPRINT_KEY, retry=FAST,
        )  # fmt: skip

    async def undo(self, run: str, *keys: str, only: Collection[tuple[str, str]] | None = None) -> Report:
        """Undo a run."""
        documents = self.documents
        done = await undo_steps.undo(
            documents.jobs["job"], documents, self.ledger, run, keys=keys, only=only, environ={},
            fingerprint_key=FINGERPRINT_KEY, retry=FAST,
        )  # fmt: skip
        return done.report

    def records(self) -> list[Record]:
        """Everything in the ledger."""
        return list(self.ledger.records(job="job"))

    def state(self) -> dict[tuple[str, str], KeyState]:
        """What the ledger knows."""
        return dict(self.ledger.state.keys("job"))

    def sound(self) -> bool:
        """Whether the ledger's chains hold."""
        return all(report.sound for report in self.ledger.verify())


def counted(report: Report) -> dict[str, int]:
    """Results by name over all items, zeros left out."""
    totals: dict[str, int] = {}
    for counts in report.counts.values():
        for result, count in counts.items():
            totals[result.value] = totals.get(result.value, 0) + count
    return totals


def wrote(report: Report, store: str = "dst") -> int:
    """How many write and delete requests a run made."""
    kinds: Mapping[str, int] = report.requests.get(store, {})
    return sum(kinds.get(kind, 0) for kind in ("write", "delete"))


def actions(planned: Planned) -> dict[str, str]:
    """The planned action of each key."""
    return {change.key: change.action.value for change in planned.changes}


def reasons(outcomes: Collection[Any]) -> dict[str, str]:
    """The reason of each failed or drifted key."""
    return {getattr(each, "change", each).key: getattr(each, "change", each).reason.value for each in outcomes}


@contextlib.asynccontextmanager
async def connected_world(path: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A world whose stores hold connections, which end with it."""
    world = World(path, patch)
    try:
        yield world
    finally:
        for store in world._handles.values():
            await store.aclose()
        world.close()
