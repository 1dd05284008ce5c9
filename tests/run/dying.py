"""A process that is killed, as far as its ledger is concerned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.audit.record import Draft, Event


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
