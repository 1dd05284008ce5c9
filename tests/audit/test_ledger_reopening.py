"""What a run that lost its lease wrote late is announced once more, unless the ledger already has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from audit.lab import done, intended, started
from secretsync_core.audit.record import Event

if TYPE_CHECKING:
    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.record import Draft

WROTE = done("a", intent="run-1:a")


@pytest.mark.parametrize(
    ("recorded", "late", "again"),
    [
        pytest.param(WROTE, WROTE, 0, id="the same write"),
        pytest.param(WROTE._replace(dest_version="2@2e"), WROTE, 1, id="another version"),
        pytest.param(WROTE._replace(event=Event.FAILED), WROTE, 1, id="taken for failed"),
        pytest.param(WROTE._replace(event=Event.SKIPPED), WROTE, 1, id="taken for skipped"),
        pytest.param(None, WROTE, 0, id="still open"),
        pytest.param(WROTE, intended("a", intent="run-1:a"), 0, id="no answer, and found"),
        pytest.param(WROTE._replace(event=Event.FAILED), intended("a", intent="run-1:a"), 1, id="no answer, not found"),
        pytest.param(WROTE, WROTE._replace(event=Event.FAILED), 0, id="told that it failed"),
    ],
)
def test_only_what_the_ledger_has_otherwise_is_announced_once_more(
    ledger: Ledger, recorded: Draft | None, late: Draft, again: int
) -> None:
    """It is open then, under an id of its own, and says nothing of the version that it replaced."""
    ledger.append("job", [started(), intended("a", intent="run-1:a"), *([recorded] if recorded else [])])
    assert ledger.runs.reopen("job", [late]) == again
    reopened = [record.draft for record in ledger.runs.unsettled("job") if record.draft.intent.endswith(":late")]
    assert [(draft.run, draft.intent, draft.key, draft.dest_version) for draft in reopened] == [
        ("run-1:late", "run-1:a:late", "a", None)
    ] * again
