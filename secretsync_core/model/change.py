"""What a sync would do and why, key by key: the output of phase 3."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from secretsync_core.model.plan import SourceRef  # noqa: TC001  NamedTuple fields are looked up at run time


class Action(StrEnum):
    """What is to be done with one destination secret."""

    CREATE = "create"
    UPDATE = "update"
    COMPARE = "compare"  # versions alone cannot tell: read both values, and write only a difference
    UNCHANGED = "unchanged"
    SKIP = "skip"  # the policy says to leave it
    DELETE = "delete"
    REFUSE = "refuse"  # it cannot or must not be done; the rest goes on


class Drift(StrEnum):
    """Whether the destination moved without us since our last write."""

    NONE = "none"
    CHANGED = "changed"
    REMOVED = "removed"
    UNKNOWN = "unknown"  # we may not look at the destination, or it shows neither values nor versions


class Reason(StrEnum):
    """Why. Stands in plans, reports and the ledger; never free text."""

    NEW = "new"
    SOURCE_CHANGED = "source-changed"
    DEFINITION_CHANGED = "definition-changed"
    DRIFTED = "drifted"
    REMOVED_OUTSIDE = "removed-outside"
    FIRST_SIGHT = "first-sight"  # the destination has it, and the ledger knows nothing of it
    NO_VERSIONS = "no-versions"
    VERIFY = "verify"
    VERSIONS_MATCH = "versions-match"
    SAME_VALUE = "same-value"
    DIFFERENT_VALUE = "different-value"
    NOT_COMPARED = "not-compared"  # it is written, and what was there cannot be read to compare
    EXISTS = "exists"
    SOURCE_GONE = "source-gone"  # the source was asked for the key itself, and has no such secret
    NOT_SELECTED = "not-selected"  # the source still has it, and the plan item asks for it no more
    ITEM_GONE = "item-gone"
    NOT_FOUND = "not-found"
    CHANGED_OUTSIDE = "changed-outside"  # not deleted, because somebody changed it since
    BACK_AGAIN = "back-again"  # this job deleted it, and it is there once more
    OLDER_VERSION = "older-version"  # a source or a destination shows a version older than the ledger knows
    NOT_OURS = "not-ours"  # not deleted, because it carries another owner's mark
    MAX_DELETE = "max-delete"
    ITEM_FAILED = "item-failed"  # not deleted, because a listing or read of its item failed
    AMBIGUOUS = "ambiguous"  # several sources claim one destination key, and none of them gets it
    INVALID_KEY = "invalid-key"
    NO_KEY = "no-key"  # the source has a secret of a name that is no key there, and the plan item selects it
    CANNOT_HOLD = "invalid-secret"  # the destination cannot hold this value
    TRANSFORM_FAILED = "transform-failed"
    WOULD_FAIL = "would-fail"  # the plan has found what keeps a sync from writing it: the change's failure says what
    CANNOT_SEE = "cannot-see"
    CANNOT_COMPARE = "cannot-compare"
    KEY_ROTATED = "key-rotated"  # no key's: the ledger's own key was changed
    INTERRUPTED = "interrupted"
    SETTLED = "settled"  # a look at the destination told what became of a write that an earlier run had left uncertain
    STOPPED = "stopped"
    UNDONE = "undone"  # it goes back to what it was before a run
    CHANGED_SINCE = "changed-since"  # not undone, because a later run wrote it
    NO_FORMER_VERSION = "no-former-version"  # not undone, because the store does not keep what was there
    NOT_RECORDED = "not-recorded"  # not undone, because the ledger does not say what was there
    ADOPTED = "adopted"  # it was there before this job, which takes it over
    HELD = "held"  # another job holds it
    MOVED_SINCE_PLAN = "moved-since-plan"  # a saved plan is carried out, and this is not as the plan saw it any more
    RELEASED = "released"  # an undo gives it back to its former owner
    NOT_PERMITTED = "not-permitted"  # of a plan: a store says that it would refuse it
    NOT_MANAGED = "not-managed"  # it exists with another value, and nothing says that it is this job's
    METADATA = "metadata"  # the value is right, and what the documents want beside it is not
    POLICY_DENIED = "policy-denied"  # the operator's policy says that it may not go there
    MARKED = "marked"  # the ledger does not know it, and it carries this job's mark


class Difference(NamedTuple):
    """In what the value at a destination differs from what is wanted there: names of fields, never a value.

    Attributes:
        added, changed, dropped: the fields that a write would add, change and drop, sorted. All empty where the two
            have the same fields, or one of them has none.
        formatting_only: both are the same JSON, and only its spacing or the order of its fields differs.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    formatting_only: bool = False


class Failure(NamedTuple):
    """Why a secret is not written, as its outcome tells it."""

    code: str
    message: str
    hint: str = ""


class Change(NamedTuple):
    """One destination secret and what is to be done with it. Holds references and versions, never a value."""

    item: str
    dest: str
    key: str
    action: Action
    reason: Reason
    sources: tuple[SourceRef, ...] = ()
    source_version: str | None = None
    dest_version: str | None = None
    definition: str = ""  # the hash of what the item makes of its sources
    owned: bool = False  # the ledger says that this job created the key
    drift: Drift = Drift.NONE
    detail: str = ""  # one sentence for people, where the reason alone does not say enough
    adopt: bool = False  # it was there before us, and the document says to take it over
    known: bool = False  # the ledger's record of this key says the same already, so there is nothing to add to it
    foreign: bool = False  # the ledger knows nothing of the key
    differs: Difference | None = None  # at first sight: in what, where that can be said
    holder: tuple[str, str, str] | None = None  # with adopt: the job, destination and key that it is taken over from
    failure: Failure | None = None  # of what is refused: what the outcome says, where reason and detail are not all
    metadata: tuple[str, ...] = ()  # what is to be set beside the value: names, such as ``label team``, and no texts
    absent: bool = False  # of a copy that is there again: its source was asked for, and is not there
