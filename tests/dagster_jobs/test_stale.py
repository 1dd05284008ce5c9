"""In Dagster too nothing is decided by a source that is behind, until the Launchpad says that it was restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.restoring import Servers
from support.slow import one_in

from dagster_jobs.lab import failures

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab


@pytest.mark.parametrize("higher", one_in(2, [False, True]), ids=["a lower position", "versions that went back"])
def test_a_source_that_is_behind(lab: Lab, monkeypatch: pytest.MonkeyPatch, higher: bool) -> None:
    """Steps fail and the copies stay; with ``restored`` they follow."""
    servers = Servers(monkeypatch)
    lab.two_items(deletionPolicy="Delete", maxDelete="100%")
    before, held = servers.snapshot("src"), lab.held("src")
    lab.fill("src", {"alpha/1": {"x": "new"}, "beta/new": {"x": "1"}})
    assert lab.run().success
    now = lab.held()
    servers.restore("src", before, higher=higher)
    lab.run(dryRun=True)
    result = lab.run()
    assert not result.success
    assert failures(result)
    assert lab.held() == now
    assert lab.run(restored=["src"]).success
    assert lab.held() == held
    assert lab.run().success


def test_a_store_that_is_not_the_jobs(lab: Lab) -> None:
    """A name that is mistyped fails the first step, and names the stores that there are."""
    lab.two_items()
    result = lab.run(restored=["scr"])
    assert not result.success
    (failed,) = failures(result).values()
    assert failed["what to do"].value == "did you mean src? its stores are: dst, src"
