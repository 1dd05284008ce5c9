"""What the codes of plans, reports and the ledger mean, in words: the one table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.cli.escape import safe
from secretsync_core.model.change import Action, Drift, Reason
from secretsync_core.model.report import Result

if TYPE_CHECKING:
    from secretsync_core.model.change import Change

REASONS: dict[str, str] = {
    Reason.NEW: "not in the destination yet",
    Reason.SOURCE_CHANGED: "changed at the source",
    Reason.DEFINITION_CHANGED: "the plan item changed",
    Reason.DRIFTED: "somebody else changed it",
    Reason.REMOVED_OUTSIDE: "somebody else removed it",
    Reason.FIRST_SIGHT: "already there, not written by this job: values are compared",
    Reason.NO_VERSIONS: "the store keeps no versions: values are compared",
    Reason.VERIFY: "asked to compare values",
    Reason.VERSIONS_MATCH: "versions match",
    Reason.SAME_VALUE: "same value",
    Reason.DIFFERENT_VALUE: "the values differ",
    Reason.EXISTS: "already there, and the policy leaves it alone",
    Reason.SOURCE_GONE: "gone from the source",
    Reason.NOT_SELECTED: "no longer selected by its plan item",
    Reason.ITEM_GONE: "its plan item is gone",
    Reason.NOT_FOUND: "not in the source",
    Reason.CHANGED_OUTSIDE: "kept: somebody else changed it since",
    Reason.NOT_OURS: "kept: another job or installation created it",
    Reason.MAX_DELETE: "kept: more deletes than maxDelete allows",
    Reason.ITEM_FAILED: "kept: its item could not be read in full",
    Reason.INVALID_KEY: "the destination cannot hold this key",
    Reason.CANNOT_HOLD: "the store cannot hold this secret",
    Reason.CANNOT_SEE: "could not be seen",
    Reason.CANNOT_COMPARE: "it could not be compared",
    Reason.TRANSFORM_FAILED: "a transform failed",
    Reason.KEY_ROTATED: "the ledger's key was changed",
    Reason.INTERRUPTED: "a run was interrupted here",
    Reason.STOPPED: "the run was stopped before it",
    Reason.ADOPTED: "was there already, and is taken over",
    # Codes of errors, as the ledger records them.
    "access-denied": "the store refused access",
    "conflict": "it changed while it was being written",
    "rate-limited": "the store asked to slow down",
    "unavailable": "the store could not be reached",
}

DRIFTS: dict[Drift, str] = {
    Drift.CHANGED: "somebody else changed it",
    Drift.REMOVED: "somebody else removed it",
    Drift.UNKNOWN: "may not be read, so nobody knows",
}

SIGNS: dict[Action, tuple[str, str]] = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.DELETE: ("-", "red"),
    Action.COMPARE: ("?", "cyan"),
    Action.UNCHANGED: ("=", "dim"),
    Action.SKIP: ("=", "dim"),
    Action.REFUSE: ("!", "bold red"),
}
"""How an action is marked in a plan, and in which colour."""

TO_DO: dict[Action, str] = {
    Action.CREATE: "to create",
    Action.UPDATE: "to update",
    Action.DELETE: "to delete",
    Action.COMPARE: "to compare",
    Action.UNCHANGED: "unchanged",
    Action.SKIP: "skipped",
    Action.REFUSE: "refused",
}
"""The actions in the order of a plan's last line."""

ALWAYS_COUNTED = frozenset({Action.CREATE, Action.UPDATE, Action.DELETE, Action.UNCHANGED})

RESULTS: dict[Result, str] = {
    Result.CREATED: "created",
    Result.UPDATED: "updated",
    Result.DELETED: "deleted",
    Result.UNCHANGED: "unchanged",
    Result.SKIPPED: "skipped",
    Result.REFUSED: "refused",
    Result.FAILED: "failed",
    Result.NOT_REACHED: "not reached",
}
"""The results in the order of a sync's summary."""

PHASES: dict[str, str] = {
    "listing": "Looking at the stores",
    "comparing": "Comparing values",
    "transferring": "Copying",
    "deleting": "Deleting",
}


def reason(code: str) -> str:
    """A reason's code in words; an unknown code as it is."""
    return REASONS.get(code, safe(code))


def why(change: Change) -> str:
    """Why something is to be done, in words and on one line."""
    text = reason(change.reason)
    if change.detail:
        text = f"{text}: {safe(change.detail)}"
    drift = DRIFTS.get(change.drift)
    if drift and drift not in text:
        text = f"{text} ({drift})"
    return text


def number(count: int) -> str:
    """A count as people read it: ``1,204``."""
    return f"{count:,}"


def size(count: int) -> str:
    """A number of bytes in the largest unit that says it exactly: ``64 KiB``, ``1 MB``, ``1,234 bytes``."""
    for unit, name in ((2**20, "MiB"), (2**10, "KiB"), (10**6, "MB"), (10**3, "kB")):
        if count % unit == 0:
            return f"{number(count // unit)} {name}"
    return f"{number(count)} bytes"


def plural(count: int, one: str, many: str = "") -> str:
    """``1 secret``, ``3 secrets``."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
