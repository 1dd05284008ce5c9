"""What may be asked of a run, and who is told how it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from secretsync_core.run.gate import RetryPolicy

if TYPE_CHECKING:
    from secretsync_core.model.report import Outcome
    from secretsync_core.run.pins import Pins


@dataclass(frozen=True, slots=True)
class Options:
    """What may be asked of one run.

    Attributes:
        items: only these plan items; empty for all.
        verify: compare values even where versions match.
        retry: how often and how patiently failing requests are repeated.
        max_delete: how many deletes per destination this run allows, instead of the document's ``maxDelete``.
        adopt: destination keys, or ``<destination>:<key>``, that this run takes over.
        restored: stores that this run takes as they are, although the ledger knows a later state of them.
        render: let a plan read and render what it announces; without, it says what versions tell.
        pin_key: of a plan that is to be saved: names the values of what has no versions.
        pins: of a sync: carry out this saved plan and nothing else.
    """

    items: frozenset[str] = frozenset()
    verify: bool = False
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_delete: int | None = None
    adopt: frozenset[str] = frozenset()
    restored: frozenset[str] = frozenset()
    render: bool = True
    pin_key: bytes | None = field(default=None, repr=False)
    pins: Pins | None = None


class Observer(Protocol):
    """Told what goes on, as it goes on. Called on the event loop; must not block."""

    def phase(self, name: str) -> None:
        """A phase begins: ``listing``, ``comparing``, ``transferring`` or ``deleting``."""

    def planned(self, total: int) -> None:
        """How many outcomes will follow in this phase."""

    def outcome(self, outcome: Outcome) -> None:
        """One destination secret is settled.

        Those that are unchanged by their versions alone are only counted in the report.
        """


class Silent:
    """The observer of a run that nobody watches."""

    def phase(self, name: str) -> None:
        """Nothing."""

    def planned(self, total: int) -> None:
        """Nothing."""

    def outcome(self, outcome: Outcome) -> None:
        """Nothing."""
