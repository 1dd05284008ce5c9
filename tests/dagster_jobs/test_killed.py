"""Run workers that die at any moment, and runs that are executed again as the UI does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dagster_jobs.crash import Crash
from dagster_jobs.kills import KILL, STARVE, TERMINATE, Figures, one_round
from dagster_jobs.lab import failures

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from conftest import Mount

    from dagster_jobs.lab import Lab
    from secretsync_core.demo.openbao import OpenBaoServer

ROUNDS = (KILL, TERMINATE, STARVE)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("times", [1, pytest.param(4, marks=pytest.mark.nightly)])
def test_killed_at_any_moment_and_executed_again(
    tmp_path: Path, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount, dice: random.Random, times: int
) -> None:
    """No shard is lost, nothing is written twice, and the audit is true: from failure, and all of it again.

    `make test-kills` has more rounds, and more ways to die.
    """
    figures = Figures()
    for number, kind in enumerate(ROUNDS * times):
        how = ("from failure", "all")[number % 2 == 0]
        crash = Crash(tmp_path / str(number) / "config", openbao, openbao_dest, (mount(openbao), mount(openbao_dest)))
        try:
            figures.rounds.append(one_round(crash, tmp_path / str(number) / "home", kind, how, dice))
        except AssertionError as error:
            raise AssertionError(f"round {number}, {kind.name}, {how}") from error
        finally:
            crash.close()
    print(figures.text())


def test_a_step_that_has_no_memory_left_fails_in_words(lab: Lab) -> None:
    """The run goes on with the other items; executed again, all is in place."""
    lab.two_items()
    lab.fault("dst").fail("write_if", MemoryError(), key="alpha/1")
    lab.fault("src").fail("read", MemoryError(), key="beta/2")
    result = lab.run()
    assert not result.success
    rows: dict[str, Any] = {
        step: [(row.data["key"], row.data["result"]) for row in told["failed secrets"].value.records]
        for step, told in failures(result).items()
    }
    assert rows == {
        "transfer[alpha]": [("alpha/1", "failed: store dst failed with an unexpected MemoryError")],
        "transfer[beta]": [("beta/2", "failed: store src failed with an unexpected MemoryError")],
    }
    assert set(lab.held()) == {"alpha/2", "beta/1"}
    lab.faults["dst"].clear()
    lab.faults["src"].clear()
    assert lab.run().success
    assert len(lab.held()) == 4
    assert lab.sound()
