"""The sensor that a source store's jobs share: it starts what is touched, and says why it starts nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_core.run import opening
from secretsync_core.run.gate import RetryPolicy
from secretsync_core.stores import registry
from secretsync_core.stores.memory import MemoryStore
from secretsync_dagster import sensors

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab
    from secretsync_core.schema.documents import StoreDocument
    from secretsync_core.stores.base import Store, StoreContext


class Ticks:
    """Evaluates a sensor as the daemon does: each tick gets the last one's cursor."""

    def __init__(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lab = lab
        self.now = 1_000_000.0
        self.cursor: str | None = None
        monkeypatch.setattr("secretsync_dagster.sensors.time.time", lambda: self.now)

    def tick(self, after: float = 60.0, name: str = "src_changes") -> Any:
        """One tick."""
        self.now += after
        repository = self.lab.definitions.get_repository_def()
        resources = {"secretsync": repository.get_top_level_resources()["secretsync"]}
        with dg.build_sensor_context(
            self.lab.instance, cursor=self.cursor, repository_def=repository, resources=resources
        ) as context:
            found = repository.get_sensor_def(name).evaluate_tick(context)
        self.cursor = found.cursor
        return found

    def items(self, after: float = 60.0) -> dict[str, list[str]]:
        """The items of each job that a tick starts."""
        return {str(each.job_name): list(each.run_config["items"]) for each in self.tick(after).run_requests}


@pytest.fixture
def ticks(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Ticks:
    """The ticks of a lab's sensors."""
    return Ticks(lab, monkeypatch)


def test_just_what_is_touched_is_started(lab: Lab, ticks: Ticks) -> None:
    """First all items; then none; then the one item whose source has moved, by a run that its job accepts."""
    lab.two_items(onChange="{interval: 10s}")
    assert ticks.items() == {"job": ["alpha", "beta"]}
    assert lab.run().success
    assert ticks.items() == {}
    lab.fill("src", {"beta/1": {"x": "new"}})
    (request,) = ticks.tick().run_requests
    assert request.tags["secretsync/job"] == "job"
    assert lab.run(**request.run_config).success
    assert lab.held()["beta/1"] == {"x": "new"}


def test_no_value_is_read_and_no_destination_asked(lab: Lab, ticks: Ticks) -> None:
    """Versions only, of the source only."""
    lab.two_items(onChange="{interval: 10s}")
    source, dest = lab.fault("src"), lab.fault("dst")
    ticks.tick()
    assert source.calls["list"]
    assert not source.calls["read"]
    assert not dest.calls


def test_ticks_say_why_they_skip(lab: Lab, ticks: Ticks) -> None:
    """Nothing changed; not due yet; a run is going on; the store's error."""
    lab.two_items(onChange="{interval: 10s}")
    assert lab.run().success
    assert ticks.tick().skip_message == "job: nothing changed"
    assert "no job is due" in ticks.tick(after=3.0).skip_message
    lab.ledger.leases.acquire("job", "elsewhere/1/2/abc", 600)
    assert "a run is going on" in ticks.tick().skip_message
    lab.ledger.leases.release("job", "elsewhere/1/2/abc")
    run = lab.instance.create_run_for_job(
        lab.definitions.resolve_job_def("job"), status=dg.DagsterRunStatus.STARTED, tags={"secretsync/job": "job"}
    )
    assert "a run is going on" in ticks.tick().skip_message
    lab.instance.delete_run(run.run_id)
    lab.fault("src").fail("list", AccessDenied("may not list", store="src"))
    assert "may not list" in ticks.tick().skip_message


def test_a_tick_that_is_evaluated_late_does_not_make_the_next_one_skip(lab: Lab, ticks: Ticks) -> None:
    """Ticks are on time, their evaluation may not be: two that are a little nearer than the interval both look."""
    lab.two_items(onChange="{interval: 30s}")
    assert lab.run().success
    for after in (60.0, 24.0, 36.0):
        assert ticks.tick(after).skip_message == "job: nothing changed"
    assert "no job is due" in ticks.tick(20.0).skip_message


def test_what_was_tried_is_not_tried_at_every_tick(lab: Lab, ticks: Ticks) -> None:
    """An item that stays out of place is started again after the pause; at once where its source moves again."""
    lab.two_items(onChange="{interval: 10s}")
    assert ticks.items() == {"job": ["alpha", "beta"]}
    assert "tried already" in ticks.tick().skip_message
    lab.fill("src", {"beta/1": {"x": "new"}})
    assert ticks.items() == {"job": ["beta"]}
    assert ticks.items(after=601.0) == {"job": ["alpha", "beta"]}


def test_a_broken_job_does_not_stop_the_others(lab: Lab, ticks: Ticks) -> None:
    """One job's other source is away, or raises what nobody expects: the other job is started in the same tick."""
    lab.two_items(onChange="{interval: 10s}")
    text = (lab.config / "job.yaml").read_text()
    lab.store("away")
    (lab.config / "other.yaml").write_text(
        text.replace("name: job", "name: other").replace("query: {path: alpha}", "source: away, query: {path: alpha}")
    )
    for error in (StoreUnavailable("away", store="away"), ValueError("surprise")):
        ticks.cursor = None
        lab.fault("away").clear()
        lab.fault("away").fail("list", error)
        assert ticks.items()["job"] == ["alpha", "beta"]


def test_a_store_that_never_answers_does_not_stop_the_others(
    lab: Lab, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One job's other source hangs: the tick ends in time, says so of that job, and starts what else is touched."""
    lab.two_items(onChange="{interval: 10s}")
    text = (lab.config / "job.yaml").read_text()
    lab.store("hangs")
    (lab.config / "other.yaml").write_text(
        text.replace("name: job", "name: other").replace("query: {path: alpha}", "source: hangs, query: {path: alpha}")
    )

    async def hang(_: str) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(sensors, "_IMPATIENT", RetryPolicy(attempts=2, time_limit=0.5))
    lab.fault("hangs").run("list", hang)
    began = time.monotonic()
    assert ticks.items() == {"job": ["alpha", "beta"], "other": ["beta"]}
    assert time.monotonic() - began < 20
    lab.fault("src").run("list", hang)
    told = ticks.tick().skip_message
    assert "did not answer within 0.5 s" in told


async def _hang(*_: Any) -> None:
    await asyncio.sleep(60)


def _reading(lab: Lab, stores: list[str]) -> None:
    """For each of these stores a job ``of-<store>`` whose item ``alpha`` is read from it."""
    text = (lab.config / "job.yaml").read_text()
    for store in stores:
        (lab.config / f"of-{store}.yaml").write_text(
            text.replace("name: job", f"name: of-{store}").replace(
                "query: {path: alpha}", f"source: {store}, query: {{path: alpha}}"
            )
        )


def test_a_store_that_never_opens_does_not_stop_the_others(
    lab: Lab, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One job's other source hangs while it is opened: that job's other item, and the other job, are started."""
    lab.two_items(onChange="{interval: 10s}")
    lab.store("hangs")
    _reading(lab, ["hangs"])
    open_store = registry.open_store

    async def opened(document: StoreDocument, context: StoreContext) -> Store:
        if document.name == "hangs":
            await _hang()
        return await open_store(document, context)

    monkeypatch.setattr(opening, "open_store", opened)
    monkeypatch.setattr(sensors, "_IMPATIENT", RetryPolicy(attempts=2, time_limit=0.5))
    began = time.monotonic()
    assert ticks.items() == {"job": ["alpha", "beta"], "of_hangs": ["beta"]}
    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_many_stores_that_never_close_are_given_up_together(
    lab: Lab, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was seen is acted on, and the tick is not the longer the more stores hang as they are closed."""
    lab.two_items(onChange="{interval: 10s}")
    names = [f"hangs{number}" for number in range(15)]
    for name in names:
        lab.store(name)
    _reading(lab, names)
    close = MemoryStore.aclose

    async def closed(store: MemoryStore) -> None:
        if store.facts.name in names:
            await _hang()
        await close(store)

    monkeypatch.setattr(MemoryStore, "aclose", closed)
    began = time.monotonic()
    assert set(ticks.items()) == {"job", *(f"of_{name}" for name in names)}
    assert time.monotonic() - began < 20


def test_a_login_that_is_never_answered_does_not_stop_the_others(
    lab: Lab, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Vault takes the connection and says nothing: no thread that waits for it holds up the tick."""
    monkeypatch.setenv("ROLE", "canary")
    lab.two_items(onChange="{interval: 10s}")
    monkeypatch.setattr(sensors, "_IMPATIENT", RetryPolicy(attempts=2, time_limit=0.5))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lab.store(
            "hangs",
            f"vault: {{address: 'http://127.0.0.1:{silent.getsockname()[1]}', mount: secret, "
            "auth: {appRole: {roleId: {env: ROLE}, secretId: {env: ROLE}}}}",
        )
        _reading(lab, ["hangs"])
        began = time.monotonic()
        assert ticks.items() == {"job": ["alpha", "beta"], "of_hangs": ["beta"]}
        assert time.monotonic() - began < 20


def test_many_jobs_are_one_question(lab: Lab, ticks: Ticks) -> None:
    """However many jobs share the source, a tick lists it once; each job is started by itself."""
    _many(lab, 20)
    source = lab.fault("src")
    assert len(ticks.items()) == 20
    assert source.calls["list"] == 1


def test_a_skipped_tick_names_first_what_concerns_few(lab: Lab, ticks: Ticks) -> None:
    """Among many jobs that are well, the one that is not would be lost at the end."""
    _many(lab, 20)
    ticks.tick()
    lab.ledger.leases.acquire("job-07", "elsewhere/1/2/abc", 600)
    told = ticks.tick().skip_message
    assert told.startswith("job-07: a run is going on; ")
    assert told.endswith("job-00, job-01, job-02, job-03, job-04 and 14 more: tried already, and not in place yet")


def test_the_cursor_does_not_grow(lab: Lab, ticks: Ticks) -> None:
    """Dagster keeps it with every tick: what is in place, or in no document any more, is forgotten."""
    lab.two_items(onChange="{interval: 10s}")
    ticks.tick()
    assert "alpha" in str(ticks.cursor)
    assert lab.run().success
    ticks.tick()
    assert json.loads(str(ticks.cursor))["acted"] == {}
    _many(lab, 3)
    ticks.tick()
    (lab.config / "job-00.yaml").unlink()
    ticks.tick()
    assert set(json.loads(str(ticks.cursor))["acted"]) == {"job-01", "job-02"}


def _many(lab: Lab, count: int) -> None:
    """Jobs ``job-00`` and so on, in place of the one, each with a folder of its own."""
    lab.job("- {query: {path: NN, recursive: true}}", onChange="{interval: 10s}")
    text = (lab.config / "job.yaml").read_text()
    (lab.config / "job.yaml").unlink()
    lab.fill("src", {f"{number:02}/key": {"x": "1"} for number in range(count)})
    for number in range(count):
        name = f"job-{number:02}"
        own = text.replace("name: job", f"name: {name}").replace("NN", f"'{number:02}'")
        (lab.config / f"{name}.yaml").write_text(own)


def test_a_suspended_job_has_no_sensor(lab: Lab) -> None:
    """``suspend`` stops what starts by itself."""
    lab.two_items(onChange="{interval: 10s}", suspend="true")
    assert not lab.definitions.get_repository_def().has_sensor_def("src_changes")


def test_a_cursor_of_nonsense_is_begun_anew(lab: Lab, ticks: Ticks) -> None:
    """People may reset a cursor to anything in the UI."""
    lab.two_items(onChange="{interval: 10s}")
    for cursor in (
        "",
        "yesterday",
        "[]",
        '{"asked": 1, "acted": []}',
        '{"asked": {"job": "x"}, "acted": {"job/alpha": 3}}',
    ):
        ticks.cursor = cursor
        assert ticks.items() == {"job": ["alpha", "beta"]}


def test_jobs_of_one_source_share_a_sensor_of_the_shortest_interval(lab: Lab) -> None:
    """One sensor a store, as often as its most eager job wants; it runs from the start."""
    lab.two_items(onChange="{interval: 90s}")
    text = (lab.config / "job.yaml").read_text()
    (lab.config / "other.yaml").write_text(text.replace("name: job", "name: other").replace("90s", "30s"))
    repository = lab.definitions.get_repository_def()
    assert [each.name for each in repository.sensor_defs if each.name.endswith("_changes")] == ["src_changes"]
    sensor = repository.get_sensor_def("src_changes")
    assert sensor.minimum_interval_seconds == 30
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
