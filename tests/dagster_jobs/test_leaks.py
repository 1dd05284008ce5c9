"""No value and no credential is left behind by Dagster, whatever goes wrong (facts: exceptions are where they leak)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from support.slow import one_in

from dagster_jobs.lab import TWO_ITEMS, Lab
from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    RateLimited,
    SecretNotFound,
    StoreLost,
    StoreUnavailable,
)
from secretsync_core.run import steps, transfer, watch, whole_run
from secretsync_core.testing.canaries import Canary, canary, find_in
from secretsync_dagster import drift_looks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = ("alpha/1", "alpha/2", "beta/1", "beta/2")


class Leaks:
    """A lab whose Dagster keeps everything that it can, on disk; and canaries in every value."""

    def __init__(self, lab: Lab, home: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.lab, self.home, self.capture = lab, home, capture
        # The usual compute logs, not ours, which keep nothing: what a step prints must be clean by itself.
        lab.instance = dg.DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}})
        self.canaries: dict[str, Canary] = {key: canary(key) for key in KEYS}
        lab.job(TWO_ITEMS)
        lab.fill("src", {key: {"password": each.text} for key, each in self.canaries.items()})

    @property
    def text(self) -> str:
        """A value, as it may stand in the text of somebody else's error."""
        return self.canaries["alpha/1"].text

    def run(self, **config: Any) -> dg.ExecuteInProcessResult:
        """Run with the IO manager that a run worker has."""
        job = self.lab.definitions.resolve_job_def("job")
        resources = {"io_manager": dg.FilesystemIOManager(base_dir=str(self.home / "storage"))}
        return job.execute_in_process(
            run_config=config, instance=self.lab.instance, raise_on_error=False, resources=resources
        )

    def search(self, caplog: pytest.LogCaptureFixture) -> None:
        """Look through everything that was left."""
        out, err = self.capture.readouterr()
        each = list(self.canaries.values())
        assert find_in(self.home, each) == []
        assert find_in(self.lab.config, each) == []
        assert find_in(out + err + caplog.text, each) == []


@pytest.fixture
def leaks(lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: Any) -> Iterator[Leaks]:
    """A lab that is searched for canaries at the end."""
    caplog.set_level(logging.DEBUG)
    home = tmp_path / "home"
    home.mkdir()
    made = Leaks(lab, home, capfd)
    yield made
    made.search(caplog)


def test_the_search_finds_a_leak(leaks: Leaks, tmp_path: Path) -> None:
    """A control: an op that fails with a value in its text leaves it in the event log."""

    @dg.op
    def careless() -> None:
        raise ValueError(leaks.text)

    @dg.job(executor_def=dg.in_process_executor)
    def leaky() -> None:
        careless()

    home = tmp_path / "leaky"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        leaky.execute_in_process(instance=instance, raise_on_error=False)
    assert find_in(home, list(leaks.canaries.values()))
    leaks.capture.readouterr()


def test_success_leaves_nothing(leaks: Leaks, caplog: pytest.LogCaptureFixture) -> None:
    """Runs that go well: all of it, a dry run, a verify run, the asset, a drifted copy, both checks."""
    assert leaks.run().success
    assert list((leaks.home / "storage").rglob("*")), "the IO manager kept nothing to look at"
    leaks.lab.fill("dst", {"alpha/1": {"password": leaks.text, "more": leaks.text}})
    assert leaks.run(dryRun=True).success
    assert leaks.run(verify=True).success
    assert leaks.lab.materialize("alpha", "beta").success


ANYWHERE = ("src read", "src list", "dst write_if", "dst stat", "dst read", "dst aclose")
EVERY_KIND = (
    SecretNotFound,
    InvalidSecret,
    Conflict,
    AccessDenied,
    StoreUnavailable,
    StoreLost,
    RateLimited,
    ValueError,
)


@pytest.mark.parametrize(
    ("where", "kind"),
    one_in(
        5,
        dict.fromkeys(
            [
                *((where, kind) for where in ANYWHERE for kind in (AccessDenied, StoreUnavailable, ValueError)),
                *((where, kind) for where in ("src read", "dst write_if") for kind in EVERY_KIND),
            ]
        ),
    ),
)
def test_errors_of_stores_leave_nothing(leaks: Leaks, where: str, kind: type[Exception]) -> None:
    """A third party's store raises errors whose text and cause hold a value: only their kind is told."""
    store, operation = where.split()
    error: Exception = ValueError(leaks.text) if kind is ValueError else kind("the store failed")
    error.__cause__ = RuntimeError(leaks.text)
    leaks.lab.fault(store).fail(operation, error)
    leaks.run()


@pytest.mark.parametrize("place", ["expand", "transfer", "audit", "foresee"])
def test_a_bug_in_a_step_leaves_nothing(leaks: Leaks, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a step raises leaves the op without text, cause and context."""

    async def bug(*_: Any, **__: Any) -> None:
        error = ValueError(leaks.text)
        error.__cause__ = KeyError(leaks.text)
        raise error

    monkeypatch.setattr(whole_run if place == "foresee" else steps, place, bug)
    assert not leaks.run(dryRun=place == "foresee").success


def test_a_bug_in_the_depth_leaves_nothing(leaks: Leaks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in a worker task of the transfer, which fails a whole group of tasks."""

    async def bug(*_: Any) -> None:
        raise ValueError(leaks.text)

    monkeypatch.setattr(transfer.Transfer, "_guarded", bug)
    assert not leaks.run().success


def test_a_bug_in_a_check_or_a_sensor_leaves_nothing(leaks: Leaks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The asset's checks and the change sensor have the same edge."""

    async def bug(*_: Any, **__: Any) -> None:
        raise ValueError(leaks.text)

    assert leaks.run().success
    monkeypatch.setattr(drift_looks, "check", bug)
    monkeypatch.setattr(watch.Watch, "look", bug)
    leaks.lab.job(TWO_ITEMS, onChange="{interval: 1s}")
    job = leaks.lab.definitions.resolve_implicit_global_asset_job_def()
    job.execute_in_process(instance=leaks.lab.instance, raise_on_error=False)
    repository = leaks.lab.definitions.get_repository_def()
    sensor = repository.get_sensor_def("src_changes")
    resources = {"secretsync": repository.get_top_level_resources()["secretsync"]}
    with dg.build_sensor_context(leaks.lab.instance, repository_def=repository, resources=resources) as context:
        tick = sensor.evaluate_tick(context)
    assert "unexpected ValueError" in str(tick.skip_message)
