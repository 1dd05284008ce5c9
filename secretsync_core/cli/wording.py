"""What the codes of plans, reports and the ledger mean, in words: the one table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.cli.escape import safe
from secretsync_core.counting import number, plural
from secretsync_core.model.change import Action, Drift, Reason
from secretsync_core.model.report import Result
from secretsync_core.run.orphans import Why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.model.change import Change, Difference
    from secretsync_core.model.report import Outcome, Report

REASONS: dict[str, str] = {
    Reason.NEW: "not in the destination yet",
    Reason.SOURCE_CHANGED: "changed at the source",
    Reason.DEFINITION_CHANGED: "the plan item changed",
    Reason.DRIFTED: "changed outside SecretSync",
    Reason.REMOVED_OUTSIDE: "removed outside SecretSync",
    Reason.FIRST_SIGHT: "exists, but not written by this job: comparing values",
    Reason.NO_VERSIONS: "the store has no versions: comparing values",
    Reason.VERIFY: "comparing values on request",
    Reason.VERSIONS_MATCH: "versions match",
    Reason.SAME_VALUE: "same value",
    Reason.DIFFERENT_VALUE: "the values differ",
    Reason.NOT_COMPARED: "exists, and its value cannot be read to compare",
    Reason.EXISTS: "exists, and writePolicy keeps it",
    Reason.SOURCE_GONE: "gone from the source",
    Reason.NOT_SELECTED: "no longer selected by its plan item",
    Reason.ITEM_GONE: "its plan item was removed",
    Reason.NOT_FOUND: "not in the source",
    Reason.CHANGED_OUTSIDE: "kept: changed outside SecretSync",
    Reason.BACK_AGAIN: "there again, after this job had deleted it",
    Reason.MOVED_SINCE_PLAN: "changed since the plan was saved",
    Reason.OLDER_VERSION: "older than what this job knows",
    Reason.NOT_OURS: "kept: another job or installation created it",
    Reason.MAX_DELETE: "kept: more deletes than maxDelete allows",
    Reason.ITEM_FAILED: "kept: another key of its plan item failed or was refused",
    Reason.AMBIGUOUS: "several sources claim one key",
    Reason.INVALID_KEY: "the destination cannot hold this key",
    Reason.NO_KEY: "its name at the source is not a valid key",
    Reason.CANNOT_HOLD: "the store cannot hold this secret",
    Reason.CANNOT_SEE: "could not be checked",
    Reason.CANNOT_COMPARE: "could not be compared",
    Reason.WOULD_FAIL: "would fail",
    Reason.TRANSFORM_FAILED: "a transform failed",
    Reason.KEY_ROTATED: "the ledger's key was replaced",
    Reason.INTERRUPTED: "a run was interrupted here",
    Reason.SETTLED: "was uncertain; a later run settled it",
    Reason.STOPPED: "not reached: the run was stopped",
    Reason.UNDONE: "as before the run",
    Reason.RELEASED: "given back to its former owner",
    "undo": "undid another run",
    "plan": "carried out a saved plan",
    "orphans": "ended orphans",
    "forgotten": "no longer a copy of this job",
    Reason.CHANGED_SINCE: "kept",
    Reason.NO_FORMER_VERSION: "cannot go back",
    Reason.NOT_RECORDED: "cannot go back",
    Reason.ADOPTED: "existed already, adopted",
    Reason.HELD: "held by another job",
    Reason.NOT_PERMITTED: "would be refused",
    Reason.POLICY_DENIED: "the operator's policy does not permit it",
    Reason.NOT_MANAGED: "exists with another value, not managed by this job",
    Reason.METADATA: "same value, other metadata",
    Reason.MARKED: "carries this job's mark, unknown to the ledger",
    # Codes of errors, as the ledger records them.
    "access-denied": "access denied by the store",
    "uncertain": "may have been written: the next run settles it",
    "conflict": "changed during the write",
    "secret-fails": "the store fails on this secret",
    "malformed-answer": "malformed answer from the store",
    "server-behind": "the store is behind what this job knows",
    "other-server": "another server answers for the store",
    "two-servers": "two servers answer for the store",
    "rate-limited": "rate limited by the store",
    "unavailable": "the store could not be reached",
    "locked-out": "the store refuses our credentials",
}

DRIFTS: dict[Drift, str] = {
    Drift.CHANGED: "changed outside SecretSync",
    Drift.REMOVED: "removed outside SecretSync",
    Drift.UNKNOWN: "drift unknown: cannot be read",
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
    Result.UNCERTAIN: "uncertain",
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


def drift(change: Change) -> str:
    """How a copy that had drifted was found."""
    return DRIFTS.get(change.drift) or reason(change.reason)


ORPHANS = {
    Why.DEST_GONE: "no longer a destination of this job",
    Why.ITEM_GONE: "its plan item was removed",
    Why.NOT_WANTED: "its source is gone, or no longer selected",
}
"""Why nothing asks for a copy."""


def advice(change: Change) -> str:
    """What to do about a refused key; of those that are not the job's a warning tells, for all of them."""
    return change.failure.hint if change.failure is not None and change.reason is not Reason.NOT_MANAGED else ""


def why(change: Change) -> str:
    """Why something is to be done, in words and on one line."""
    text = reason(change.reason)
    if change.failure is not None and change.failure.message:
        text = safe(change.failure.message)
    elif change.detail and change.reason is Reason.NOT_MANAGED:
        text = safe(change.detail)
    elif change.detail:
        text = f"{text}: {safe(change.detail)}"
    if change.foreign and change.reason is Reason.SAME_VALUE:
        text = f"{text}, managed from now on"
    if change.differs is not None:
        text = f"{text}: {in_fields(change.differs)}"
    text += beside(change)
    drifted = DRIFTS.get(change.drift)
    # What could not be checked, and why not, says all about its drift.
    told = change.reason is Reason.BACK_AGAIN or (change.reason is Reason.CANNOT_SEE and change.detail)
    if drifted and drifted not in text and not told:
        text = f"{text} ({drifted})"
    return text


def beside(change: Change) -> str:
    """What is to be set beside the value, in words to be put behind a reason: names, never what they are set to."""
    if not change.metadata:
        return ""
    return f"{'' if change.reason is Reason.METADATA else ', and metadata'}: {_listed(change.metadata)}"


def why_not(outcome: Outcome) -> str:
    """Why a secret is not as its plan item wants it: what the store said, or else the reason in words."""
    change, code = outcome.change, outcome.code or outcome.change.reason
    return safe(outcome.message) or (why(change) if code == change.reason else reason(code))


def held_back(report: Report) -> str:
    """What ``maxDelete`` held back in a run, how much, and what to do; empty where it held back nothing."""
    if not report.held:
        return ""
    return (
        f"maxDelete held back {plural(sum(report.held.values()), 'delete')}; if the plan is what you want, run"
        f" `secretsync sync {report.job} --max-delete {max(report.held.values())}` once, or raise maxDelete"
    )


def in_fields(differs: Difference) -> str:
    """What a write would do to the fields of a secret, in words: ``a write would change token and drop note``."""
    if differs.formatting_only:
        return "formatting only"
    done = {"add": differs.added, "change": differs.changed, "drop": differs.dropped}
    parts = [f"{verb} {_listed(names)}" for verb, names in done.items() if names]
    return f"a write would {' and '.join(part for part in (', '.join(parts[:-1]), parts[-1]) if part)}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(safe(name) for name in names[:_MOST_NAMES])
    return f"{shown} and {number(len(names) - _MOST_NAMES)} more" if len(names) > _MOST_NAMES else shown


_MOST_NAMES = 8


def size(count: int) -> str:
    """A number of bytes in the largest unit that says it exactly: ``64 KiB``, ``1 MB``, ``1,234 bytes``."""
    for unit, name in ((2**20, "MiB"), (2**10, "KiB"), (10**6, "MB"), (10**3, "kB")):
        if count % unit == 0:
            return f"{number(count // unit)} {name}"
    return f"{number(count)} bytes"
