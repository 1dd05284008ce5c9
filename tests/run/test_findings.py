"""Whether a job is in sync, by what the ledger keeps of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from run.making import job
from secretsync_core.audit.summary import RunSummary
from secretsync_core.run.findings import findings, is_in_sync

if TYPE_CHECKING:
    from run.world import World

WELL = RunSummary("run", 1, 2, {}, "", 0)


@pytest.mark.parametrize(
    ("last", "out", "well"),
    [
        (WELL, [], True),
        (WELL, ["alpha"], False),
        (WELL, [""], False),
        (replace(WELL, reason="failed"), [], False),
        (replace(WELL, finished=None), [], False),
        (None, [], False),
    ],
)
def test_what_is_in_sync(last: RunSummary | None, out: list[str], well: bool) -> None:
    """The last run went well, and no earlier one left anything out of sync that is so still."""
    assert is_in_sync(last, out) is well


def test_only_items_of_the_document_are_out_of_sync(world: World) -> None:
    """And the job as a whole; what left the document no run could put right."""
    document = job([{"name": "alpha", "secret": {"key": "a"}}])
    world.ledger.items.note("job", "run", out={"", "alpha", "gone"})
    world.ledger.items.note("another", "run", out={"alpha"})
    found = findings(document, world.ledger)
    assert found is not None
    assert [each.item for each in found.out_of_sync] == ["", "alpha"]
    assert found.look is None
