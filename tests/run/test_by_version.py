"""What versions alone decide, case by case: of copies, and of writes whose answer nobody has."""

from __future__ import annotations

import pytest

from secretsync_core.audit.record import Draft, Event
from secretsync_core.audit.state import Recorded
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.inventory import Entry
from secretsync_core.model.plan import Target
from secretsync_core.model.state import KeyState
from secretsync_core.run.by_version import decide_by_version
from secretsync_core.run.decide import decide
from secretsync_core.run.settling import Fate, judge_by_version
from secretsync_core.schema.job import WritePolicy

OURS = Change("it", "dst", "k", Action.COMPARE, Reason.SOURCE_CHANGED, dest_version="1", owned=True, known=False)
THEIRS = OURS._replace(reason=Reason.FIRST_SIGHT, foreign=True, owned=False)
MANAGED, REPLACE, SPARING = WritePolicy.MANAGED, WritePolicy.REPLACE, WritePolicy.IF_NOT_EXISTS


@pytest.mark.parametrize(
    ("change", "entry", "more", "action", "reason", "drift"),
    [
        (OURS, Entry("k", "1"), {}, "update", "source-changed", "none"),
        (OURS, Entry("k", "1"), {"as_written": True}, "unchanged", "same-value", "none"),
        (OURS, Entry("k", "2"), {"as_written": True}, "update", "drifted", "changed"),
        (OURS, Entry("k", "2"), {"as_written": True, "behind": True}, "unchanged", "same-value", "none"),
        (OURS._replace(drift=Drift.CHANGED), Entry("k", "1"), {"as_written": True}, "update", "drifted", "changed"),
        (OURS._replace(reason=Reason.VERIFY), Entry("k", "1"), {}, "update", "different-value", "none"),
        (
            OURS._replace(reason=Reason.NOT_COMPARED),
            Entry("k", "1"),
            {"as_written": True},
            "update",
            "not-compared",
            "none",
        ),
        (OURS, None, {}, "create", "removed-outside", "removed"),
        (OURS, Entry("k", "1", deleted=True), {}, "create", "removed-outside", "removed"),
        (OURS, Entry("k", "2"), {"policy": SPARING}, "skip", "exists", "none"),
        (OURS._replace(adopt=True), Entry("k", "1"), {"as_written": True}, "unchanged", "adopted", "none"),
        (THEIRS, Entry("k", "1"), {"as_written": True}, "refuse", "not-managed", "none"),
        (THEIRS, Entry("k", "1"), {"marked": True}, "update", "marked", "none"),
        (THEIRS, Entry("k", "1"), {"policy": REPLACE}, "update", "not-compared", "none"),
        (THEIRS._replace(adopt=True), Entry("k", "1"), {}, "update", "adopted", "none"),
        (THEIRS, None, {}, "create", "new", "none"),
    ],
)
def test_one_more_look_decides(
    change: Change, entry: Entry | None, more: dict[str, object], action: str, reason: str, drift: str
) -> None:
    """Nothing is unchanged but what is at its version and in the ledger by its value; nobody's key is written."""
    given: dict[str, object] = {"policy": MANAGED, "marked": False, "as_written": False, "behind": False, **more}
    found = decide_by_version(change, entry, **given)  # type: ignore[arg-type]
    assert (found.action, found.reason, found.drift) == (action, reason, drift)
    if action == "update" and entry is not None:
        assert found.dest_version == entry.version, "it is written over the version that was seen"


def _announced(action: str, before: str | None) -> Draft:
    return Draft(Event.INTENDED, "run", "intent", "it", "dst", "k", action=action, dest_version=before, owned=True)


@pytest.mark.parametrize(
    ("action", "before", "entry", "marked", "fate"),
    [
        ("create", None, None, False, Fate.NOT_MADE),
        ("create", None, Entry("k", "1"), False, Fate.UNTOLD),
        ("create", None, Entry("k", "1"), True, Fate.MADE),
        ("create", "1", Entry("k", "1", deleted=True), False, Fate.NOT_MADE),
        ("update", "1", Entry("k", "1"), True, Fate.NOT_MADE),
        ("update", "1", Entry("k", "2"), True, Fate.UNTOLD),
        ("update", "1", None, False, Fate.NOT_MADE),
        ("update", None, Entry("k"), False, Fate.UNTOLD),
        ("delete", "1", None, False, Fate.MADE),
        ("delete", "1", Entry("k", "1", deleted=True), False, Fate.MADE),
        ("delete", "1", Entry("k", "2"), False, Fate.NOT_MADE),
    ],
)
def test_what_a_version_says_of_an_announced_write(
    action: str, before: str | None, entry: Entry | None, marked: bool, fate: Fate
) -> None:
    """Only absence, the version of before and a mark on what was created tell; a new version tells nothing."""
    found = judge_by_version(_announced(action, before), entry, marked=marked)
    assert (found.fate, found.version) == (fate, None), "a version that others may have made is nobody's proof"


def test_a_version_that_a_later_run_recorded_is_known() -> None:
    """What stands there is then what that run wrote."""
    newer = Recorded(seq=9, version="2", fingerprint="", fields="")
    assert judge_by_version(_announced("update", "1"), Entry("k", "2"), newer).fate is Fate.REPLACED


@pytest.mark.parametrize(
    ("source", "verify", "action", "reason"),
    [("s1", False, "unchanged", "versions-match"), ("s1", True, "compare", "no-versions"),
     ("s2", False, "compare", "no-versions")],
)  # fmt: skip
def test_a_store_without_versions(source: str, verify: bool, action: str, reason: str) -> None:
    """It shows that the key is there, and no more: drift is unknown, and the source says whether to write."""
    state = KeyState("s1", dest_version=None, definition="d", owned=True, item="it")
    change = decide(
        Target("it", "k", (), source), "d", "dst", entry=Entry("k"), hidden=False, state=state, readable=False,
        policy=MANAGED, verify=verify, versions_only=True,
    )  # fmt: skip
    assert (change.action, change.reason, change.drift) == (action, reason, "unknown")
