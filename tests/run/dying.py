"""A process that is killed, as far as its ledger is concerned."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from secretsync_core.audit.record import Event
from secretsync_core.errors import LedgerError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from run.world import World
    from secretsync_core.audit.record import Draft


class Dying:
    """A ledger that is gone with its process: from the first record of ``event`` on, nothing is recorded any more."""

    def __init__(self, ledger: Any, event: Event) -> None:
        self._ledger, self._event, self._dead = ledger, event, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def append(self, job: str, drafts: Sequence[Draft], **options: Any) -> list[int]:
        self._dead = self._dead or any(draft.event is self._event for draft in drafts)
        if self._dead:
            raise LedgerError("killed")
        numbers: list[int] = self._ledger.append(job, drafts, **options)
        return numbers


async def killed(world: World, *, written: bool) -> None:
    """Run a sync that dies right after its first write to ``dst``, or right before it."""
    whole, faults = world.ledger, world.fault("dst")
    if not written:
        for operation in ("write", "write_if", "delete"):
            faults.fail(operation, StoreUnavailable("killed"))
    world.ledger = Dying(whole, Event.DONE if written else Event.RUN_FINISHED)  # type: ignore[assignment]
    with contextlib.suppress(LedgerError):
        await world.sync()
    world.ledger = whole
    faults.clear()
    assert len(world.ledger.runs.unfinished("job")) == 1
    assert len(world.ledger.runs.unsettled("job")) == 1
