"""What a step's own retry does, and when: by the op's policy, with waits that grow, and only for what may heal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from run.world import FAST
from support.faulty_http import FaultyHttp
from support.slow import one_in

from dagster_jobs import worker
from dagster_jobs.crash import Crash
from dagster_jobs.lab import AT_ONCE, failures
from secretsync_core.audit.record import Event
from secretsync_core.errors import LedgerError, RateLimited, StoreUnavailable
from secretsync_core.run import opening, run, steps
from secretsync_dagster import ops

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount

    from dagster_jobs.lab import Lab
    from secretsync_core.demo.openbao import OpenBaoServer


# So often that one attempt of the step gives up: its requests are repeated, but for one that is to wait too long.
@pytest.mark.parametrize(
    ("status", "times", "attempts"), one_in(2, [(503, FAST.attempts, 2), (429, 1, 2), (403, None, 1)])
)
async def test_a_store_that_answers_so_for_a_moment(
    status: int,
    times: int | None,
    attempts: int,
    tmp_path: Path,
    openbao: OpenBaoServer,
    openbao_dest: OpenBaoServer,
    mount: Mount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy refuses one write to a real server: the step is tried again where it may help, and does what is left."""
    monkeypatch.setattr(ops, "_RETRY", AT_ONCE)
    open_stores = opening.open_stores
    monkeypatch.setattr(run, "open_stores", lambda *a, **k: open_stores(*a, **{**k, "retry": FAST}))
    crash = Crash(
        tmp_path / "config", openbao, openbao_dest, (mount(openbao), mount(openbao_dest)), items=2, each=3
    )  # fmt: skip
    (tmp_path / "home").mkdir()
    async with FaultyHttp(openbao_dest.address) as proxy:
        text = (crash.config / "job.yaml").read_text()
        (crash.config / "job.yaml").write_text(text.replace(openbao_dest.address, proxy.address))
        proxy.answer("^(POST|PUT) .*/data/i0/k1", status, headers={"Retry-After": "3"}, times=times)
        with dg.DagsterInstance.local_temp(str(tmp_path / "home"), overrides=worker.QUIET) as instance:
            result = await asyncio.to_thread(worker.execute, instance, str(crash.config), None)
    retried = [event.step_key for event in result.all_events if event.is_step_up_for_retry]
    assert retried == ["transfer[i0]"] * (attempts - 1)
    assert result.success is (attempts > 1)
    written = {key: held["current_version"] for key, held in crash.details().items()}
    assert written == dict.fromkeys(set(crash.keys) - ({"i0/k1"} if attempts == 1 else set()), 1)
    announced = [record.draft.key for record in crash.records() if record.draft.event is Event.INTENDED]
    assert sorted(announced) == sorted([*crash.keys, *["i0/k1"] * (attempts - 1)])
    crash.close()


@pytest.mark.parametrize("error", [StoreUnavailable, RateLimited])
def test_what_may_heal_is_tried_three_times(lab: Lab, error: type[StoreUnavailable | RateLimited]) -> None:
    """Then the step fails, with what the store said last; the other item's step is not tried again."""
    lab.two_items()
    lab.fault("dst").fail("write_if", error("not now", store="dst"), key="alpha/1")
    result = lab.run()
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == ["transfer[alpha]"] * 2
    assert failures(result)["transfer[alpha]"]["told"].startswith("1 of 2 secrets of item alpha failed")
    assert lab.faults["dst"].calls["write_if"] == 4 + 2


@pytest.mark.parametrize(("step", "key"), [("expand", "expand"), ("transfer", "transfer[alpha]"), ("audit", "audit")])
@pytest.mark.parametrize(
    ("error", "times"),
    [
        (StoreUnavailable("away"), 2),
        (LedgerError("disk full"), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_step_is_tried_again_for_what_may_heal_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, step: str, key: str, error: Exception, times: int
) -> None:
    """What a step as a whole fails with decides by itself whether it is tried again."""
    lab.two_items()

    async def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(steps, step, failing)
    result = lab.run()
    assert key in failures(result)
    again = [event.step_key for event in result.all_events if event.is_step_up_for_retry]
    assert again.count(key) == times


def test_the_waits_grow(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every op of the product waits some five seconds before its first retry, and twice as long before the second."""
    monkeypatch.undo()
    lab.job("- {query: {}}")
    nodes = lab.definitions.resolve_job_def("job").nodes
    assert len(nodes) == 3
    for node in nodes:
        assert isinstance(node.definition, dg.OpDefinition)
        policy = node.definition.retry_policy
        assert policy is not None
        assert policy.max_retries == 2
        waits = [[policy.calculate_delay(attempt) for _ in range(50)] for attempt in (1, 2)]
        assert all(0 <= wait <= 10 for wait in waits[0])
        assert sum(waits[1]) > 1.5 * sum(waits[0])
        assert len(set(waits[0])) > 1  # many runs that fail at once do not come back at once
