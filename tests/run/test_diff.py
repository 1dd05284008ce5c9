"""One target against one destination: the whole table of what is decided, and what no combination may ever give."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.inventory import Entry
from secretsync_core.model.plan import SourceRef, Target
from secretsync_core.model.state import KeyState
from secretsync_core.run.decide import decide, stands
from secretsync_core.schema.job import WritePolicy

REPLACE, IF_NOT, MERGE = WritePolicy.REPLACE, WritePolicy.IF_NOT_EXISTS, WritePolicy.MERGE
MANAGED = WritePolicy.MANAGED  # decides as Merge does until values are compared: M stands for both
POLICIES = (REPLACE, IF_NOT, MERGE, MANAGED)
TARGET = Target("it", "k", (SourceRef("src", "k"),), "s1")

ENTRIES = {
    "absent": None,
    "deleted": Entry("k", "d1", deleted=True),
    "present": Entry("k", "d1"),
    "moved": Entry("k", "d2"),
    "unversioned": Entry("k"),
}
STATES = {
    "none": None,
    "stands": KeyState("s1", "d1", "def", True, "it"),
    "source moved": KeyState("s0", "d1", "def", True, "it"),
    "definition moved": KeyState("s1", "d1", "old", True, "it"),
    "item moved": KeyState("s1", "d1", "def", True, "other"),
}

# What we see, what the ledger knows (* for all), policies -> action, reason, drift. The first line that fits decides.
TABLE = """
hidden       *                 RIM  compare    cannot-see          unknown
absent       none              RIM  create     new                 none
absent       *                 RIM  create     removed-outside     removed
deleted      none              RIM  create     new                 none
deleted      *                 RIM  create     removed-outside     removed
present      stands            RIM  unchanged  versions-match      none
present      *                 I    skip       exists              none
moved        none              I    skip       exists              none
moved        *                 I    skip       exists              changed
unversioned  none              I    skip       exists              none
unversioned  *                 I    skip       exists              changed
present      none              RM   compare    first-sight         none
present      source moved      RM   compare    source-changed      none
present      definition moved  RM   compare    definition-changed  none
present      item moved        RM   compare    definition-changed  none
moved        none              RM   compare    first-sight         none
moved        *                 RM   compare    drifted             changed
unversioned  none              RM   compare    first-sight         none
unversioned  *                 RM   compare    no-versions         none
"""
BLIND = """
*            none              RIM  create     cannot-see          unknown
*            stands            RIM  unchanged  versions-match      unknown
*            *                 I    skip       exists              unknown
*            source moved      RM   update     source-changed      unknown
*            *                 RM   update     definition-changed  unknown
"""


def _decide(
    entry: Entry | None, state: KeyState | None, policy: WritePolicy, *,
    target: Target = TARGET, hidden: bool = False, readable: bool = True, verify: bool = False,
) -> Change:  # fmt: skip
    return decide(
        target, "def", "dst", entry=entry, hidden=hidden, state=state, readable=readable, policy=policy, verify=verify
    )


def _expected(table: str, seen: str, known: str, policy: WritePolicy) -> tuple[str, ...]:
    for line in table.strip().splitlines():
        columns = [part.strip() for part in line.split("  ") if part.strip()]
        if columns[0] in ("*", seen) and columns[1] in ("*", known) and policy.value[0] in columns[2]:
            return tuple(columns[3:])
    raise AssertionError((seen, known, policy))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("known", STATES)
@pytest.mark.parametrize("seen", [*ENTRIES, "hidden"])
def test_the_table(seen: str, known: str, policy: WritePolicy) -> None:
    """Where we may read, each combination of entry, state and policy decides as the table says."""
    change = _decide(ENTRIES.get(seen), STATES[known], policy, hidden=seen == "hidden")
    expected = _expected(TABLE, seen, known, policy)
    assert (change.action, change.reason, change.drift) == expected


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("known", STATES)
def test_the_table_where_we_may_only_write(known: str, policy: WritePolicy) -> None:
    """Without sight the ledger alone decides, drift is unknown, and IfNotExists writes a key at most once."""
    for entry, hidden, verify in product(ENTRIES.values(), (False, True), (False, True)):
        change = _decide(entry, STATES[known], policy, hidden=hidden, readable=False, verify=verify)
        assert (change.action, change.reason, change.drift) == _expected(BLIND, "", known, policy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("seen", "known"), list(product(ENTRIES, STATES)))
def test_verify_reads_what_versions_would_clear(seen: str, known: str, policy: WritePolicy) -> None:
    """With ``verify`` nothing is unchanged by its versions alone; all else is decided as without."""
    plain = _decide(ENTRIES[seen], STATES[known], policy)
    change = _decide(ENTRIES[seen], STATES[known], policy, verify=True)
    if plain.action is not Action.UNCHANGED:
        assert change == plain
    elif policy is IF_NOT:
        assert change.action is Action.SKIP
    else:
        assert (change.action, change.reason, change.known) == (Action.COMPARE, Reason.VERIFY, True)


def test_a_key_that_nobody_can_look_at_is_refused_by_default() -> None:
    """Where the destination neither shows nor tells what is there, Managed writes only what the ledger knows."""
    blind = {"entry": None, "hidden": False, "readable": False, "verify": False, "tells": False}
    change = decide(TARGET, "def", "dst", state=None, policy=MANAGED, **blind)  # type: ignore[arg-type]
    assert (change.action, change.reason) == (Action.REFUSE, Reason.CANNOT_SEE)
    known = decide(TARGET, "def", "dst", state=STATES["source moved"], policy=MANAGED, **blind)  # type: ignore[arg-type]
    assert known.action is Action.UPDATE
    assert decide(TARGET, "def", "dst", state=None, policy=REPLACE, **blind).action is Action.CREATE  # type: ignore[arg-type]


def test_a_source_without_versions_is_compared_and_drift_is_still_seen() -> None:
    """An unversioned source never stands; a destination that moved is drift all the same."""
    target = TARGET._replace(version=None)
    state = KeyState(None, "d1", "def", True, "it")
    assert _decide(Entry("k", "d1"), state, REPLACE, target=target).reason is Reason.NO_VERSIONS
    assert _decide(Entry("k", "d1"), state, REPLACE, target=target).known
    assert _decide(Entry("k", "d2"), state, REPLACE, target=target).drift is Drift.CHANGED


def test_only_what_we_create_becomes_ours() -> None:
    """A key that was there before us is not owned; one that we put back after it was removed is."""
    assert not _decide(Entry("k", "d1"), None, REPLACE).owned
    assert _decide(None, None, REPLACE).owned
    assert _decide(None, KeyState("s1", "d1", "def", False, "it"), REPLACE).owned


_versions = st.sampled_from([None, "1", "2"])
_entries = st.none() | st.builds(Entry, st.just("k"), _versions, st.booleans())
_states = st.none() | st.builds(
    KeyState, _versions, _versions, st.sampled_from(["def", "old"]), st.booleans(), st.sampled_from(["it", "other"])
)
_targets = st.builds(Target, st.just("it"), st.just("k"), st.just((SourceRef("src", "k"),)), _versions)


@given(_targets, _entries, _states, st.sampled_from(POLICIES), st.booleans(), st.booleans(), st.booleans())
def test_what_is_never_decided(
    target: Target, entry: Entry | None, state: KeyState | None, policy: WritePolicy, hidden: bool, readable: bool,
    verify: bool,
) -> None:  # fmt: skip
    """Unchanged needs proof, IfNotExists never overwrites, nothing foreign becomes ours, and a diff never deletes."""
    change = _decide(entry, state, policy, target=target, hidden=hidden, readable=readable, verify=verify)
    assert change.action in (Action.CREATE, Action.UPDATE, Action.COMPARE, Action.UNCHANGED, Action.SKIP)
    if change.action is Action.UNCHANGED:
        assert state is not None
        assert (target.version, "def", "it") == (state.source_version, state.definition, state.item)
        assert target.version is not None
        assert not readable or (entry is not None and entry.version == state.dest_version and not entry.deleted)
    if policy is IF_NOT and change.action is Action.UPDATE:
        raise AssertionError
    if change.action is Action.CREATE and readable:
        assert entry is None or entry.deleted
    if entry is not None and not entry.deleted and not hidden and readable:
        assert change.owned == (state is not None and state.owned)
    if stands(target, "def", entry, state):
        assert entry is not None
        assert state is not None
        assert not entry.deleted
