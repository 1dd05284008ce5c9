"""Whatever happens between them, syncs converge: random edits on all sides, changed documents, killed runs."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from run.dying import Dying
from run.world import World, wrote
from secretsync_core.audit.record import Event
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = st.sampled_from(["a", "b", "c", "d"])
NUMBERS = st.integers(0, 3)
TRANSFORMS: dict[str, tuple[str, Callable[[int], dict[str, str]]]] = {
    "none": ("", lambda number: {"x": f"s{number}"}),
    "rename": ("[{fields: {rename: {x: y}}}]", lambda number: {"y": f"s{number}"}),
    "template": ("[{template: {data: {x: 'is {{ x }}'}}}]", lambda number: {"x": f"is s{number}"}),
}


class Convergence(RuleBasedStateMachine):
    """Sources hold ``{x: s<n>}``; others write ``{t: f<n>}``, alone or beside our fields, so that both can be told."""

    @initialize()
    def begin(self) -> None:
        """An empty world."""
        self.patch = pytest.MonkeyPatch()
        self.directory = tempfile.TemporaryDirectory()
        self.world = World(Path(self.directory.name), self.patch)
        self.source: dict[str, int] = {}
        self.theirs: set[str] = set()  # keys that others created, and the ledger did not know
        self.left: dict[str, set[str]] = {}  # by key: fields that are no longer the job's since Merge left them alone
        self.policy, self.transform, self.prefix = "Replace", "none", "p"
        self._write_job("it")

    def teardown(self) -> None:
        """Give everything back."""
        if hasattr(self, "world"):
            self.world.close()
            self.patch.undo()
            self.directory.cleanup()

    def _write_job(self, item: str, deletion: str = "Delete") -> None:
        steps = TRANSFORMS[self.transform][0]
        value = f", valueTransform: {steps}" if steps else ""
        key = f"keyTransform: [{{regexp: {{source: ^, target: {self.prefix}/}}}}]"
        self.world.job(
            f"- {{name: {item}, query: {{}}, {key}{value}}}",
            writePolicy=self.policy, deletionPolicy=deletion, maxDelete="100", limits="{concurrency: 2}",
        )  # fmt: skip

    @property
    def wanted(self) -> dict[str, dict[str, str]]:
        """What the destination should hold, by the document and the source."""
        make = TRANSFORMS[self.transform][1]
        return {f"{self.prefix}/{key}": make(number) for key, number in self.source.items()}

    # -- What people do -------------------------------------------------------------------------------------------

    @rule(key=KEYS, number=NUMBERS)
    def write_source(self, key: str, number: int) -> None:
        """Somebody writes a source secret, perhaps with the value that it has."""
        asyncio.run(self.world.put("src", key, {"x": f"s{number}"}))
        self.source[key] = number

    @rule(key=KEYS)
    def delete_source(self, key: str) -> None:
        """Somebody deletes a source secret."""
        asyncio.run(self.world.remove("src", key))
        self.source.pop(key, None)

    @rule(prefix=st.sampled_from("pq"), key=KEYS, number=NUMBERS, beside=st.booleans())
    def write_destination(self, prefix: str, key: str, number: int, beside: bool) -> None:
        """Somebody else writes a destination secret, whole or one field of it."""
        key = f"{prefix}/{key}"
        held: Any = asyncio.run(self.world.get("dst", key))
        if held is None and ("dst", key) not in self.world.state():
            self.theirs.add(key)
        asyncio.run(self.world.put("dst", key, {**(held or {} if beside else {}), "t": f"f{number}"}))

    @rule(prefix=st.sampled_from("pq"), key=KEYS)
    def delete_destination(self, prefix: str, key: str) -> None:
        """Somebody else deletes a destination secret."""
        asyncio.run(self.world.remove("dst", f"{prefix}/{key}"))
        self.theirs.discard(f"{prefix}/{key}")

    @rule(
        policy=st.sampled_from(["Replace", "Managed", "IfNotExists", "Merge"]),
        transform=st.sampled_from(sorted(TRANSFORMS)),
        prefix=st.sampled_from("pq"), item=st.sampled_from(["it", "renamed"]),
        deletion=st.sampled_from(["Retain", "Delete", "Delete"]),
    )  # fmt: skip
    def change_document(self, policy: str, transform: str, prefix: str, item: str, deletion: str) -> None:
        """Somebody edits the SyncJob."""
        self.policy, self.transform, self.prefix = policy, transform, prefix
        self._write_job(item, deletion)

    # -- What we do -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.wanted)
    @rule(event=st.sampled_from([Event.RUN_STARTED, Event.INTENDED, Event.DONE, Event.SKIPPED, Event.RUN_FINISHED]))
    def lose_the_ledger(self, event: Event) -> None:
        """A sync whose ledger is gone from its first record of this kind on."""
        whole = self.world.ledger
        self.world.ledger = Dying(whole, event)  # type: ignore[assignment]
        with contextlib.suppress(LedgerError):
            asyncio.run(self.world.sync())
        self.world.ledger = whole

    @rule(
        operation=st.sampled_from(["write_if", "write", "delete", "read"]), after=st.booleans(), first=st.integers(1, 3)
    )
    def kill(self, operation: str, after: bool, first: int) -> None:
        """A sync that is torn down in the middle of an operation, before or after it was carried out."""

        async def killed() -> None:
            run = asyncio.create_task(self.world.sync())

            async def strike(_: str) -> None:
                run.cancel()
                await asyncio.sleep(0.05)

            faults = self.world.fault("dst")
            faults.run(operation, strike, first=first, after=after)
            with contextlib.suppress(asyncio.CancelledError):
                await run
            faults.clear()

        asyncio.run(killed())

    @rule()
    def sync(self) -> None:
        """A sync that nothing disturbs: everything that is asked for is there, and nothing of others is lost."""
        before: dict[str, Any] = asyncio.run(self.world.all("dst"))
        report = asyncio.run(self.world.sync())
        after: dict[str, Any] = asyncio.run(self.world.all("dst"))
        assert report.errors == []
        refused = {failure.change.key for failure in report.failures if failure.change.reason.value == "not-managed"}
        reasons = {failure.change.reason.value for failure in report.failures if failure.change.key not in refused}
        assert reasons <= {"changed-outside", "item-failed"} if refused else reasons <= {"changed-outside"}
        assert not refused or self.policy == "Managed"
        assert all(after[key] == before[key] for key in refused)
        assert self.theirs <= set(after)
        for key, fields in self.wanted.items():
            if key in refused:
                continue
            if self.policy in ("Replace", "Managed"):
                assert after[key] == fields
            elif self.policy == "Merge":
                assert after[key].items() >= fields.items()
            else:
                assert after[key] == before.get(key, fields)
        for key in before.keys() - self.wanted.keys():
            left = {name: before[key][name] for name in before[key].keys() & self.left.get(key, set())}
            assert after.get(key) in (None, before[key], {"t": before[key].get("t")}, left)
        for key, fields in self.wanted.items():
            self.left[key] = before.get(key, {}).keys() - fields.keys() if self.policy == "Merge" else set()
        if self.policy == "Merge":
            assert all(after[key]["t"] == held["t"] for key, held in before.items() if "t" in held)
        versions = asyncio.run(self.world.versions("dst"))
        again = asyncio.run(self.world.sync())
        assert wrote(again) == 0
        if self.policy != "IfNotExists":  # what it leaves alone has drifted for as long as it is there
            kept = {failure.change.key: failure.change.reason.value for failure in again.failures}
            drifted = {change.key for change in again.drifted}
            # A copy that would go and does not drifts until people decide about it. Nothing else does.
            assert {key for key, reason in kept.items() if reason == "changed-outside"} <= drifted
            assert drifted <= {key for key, reason in kept.items() if reason in ("changed-outside", "item-failed")}
        assert asyncio.run(self.world.versions("dst")) == versions
        assert self.world.ledger.runs.unfinished("job") == []
        assert self.world.sound()


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
