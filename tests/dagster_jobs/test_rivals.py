"""Keys that two items claim stay as they are in every run, also in a step that is tried again and in a run of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dagster_jobs.lab import failures
from secretsync_core.errors import StoreUnavailable

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

BOTH = """
    - {name: alpha, query: {path: alpha}}
    - {name: beta, query: {path: beta}, keyTransform: [{regexp: {source: ^beta, target: alpha}}]}
"""


@pytest.fixture
def contested(lab: Lab) -> Lab:
    """The key ``alpha/1``, which beta has, and which alpha claims by now as well."""
    lab.job(BOTH, deletionPolicy="Delete", maxDelete="100%")
    lab.fill("src", {"beta/1": {"x": "beta"}})
    assert lab.run().success
    lab.fill("src", {"alpha/1": {"x": "alpha"}})
    return lab


def test_a_step_that_is_tried_again_refuses_it_still(contested: Lab) -> None:
    """A store is away for a moment: the step's retry copies what is left of its item, and not that key."""
    contested.fill("src", {"alpha/2": {"x": "alpha"}})
    contested.fault("dst").fail("write_if", StoreUnavailable("away", store="dst"), key="alpha/2", times=1)
    result = contested.run()
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == ["transfer[alpha]"]
    assert "alpha/1 is claimed by item alpha (src:alpha/1), and by item beta" in str(
        failures(result)["transfer[alpha]"]
    )
    assert contested.held() == {"alpha/1": {"x": "beta"}, "alpha/2": {"x": "alpha"}}


def test_a_run_of_one_item_does_not_overwrite_it(contested: Lab) -> None:
    """Materializing the item that does not have the key fails by its name, and says to run the whole job."""
    result = contested.materialize("alpha")
    assert not result.success
    assert "run the whole job" in str(failures(result))
    assert contested.held() == {"alpha/1": {"x": "beta"}}


def test_a_run_of_one_item_does_not_delete_it(contested: Lab) -> None:
    """Nor does materializing the one that has it, once its source is gone."""
    contested.take("src", "beta/1")
    result = contested.materialize("beta")
    assert not result.success
    assert "item alpha may claim it" in str(failures(result))
    assert contested.held() == {"alpha/1": {"x": "beta"}}
