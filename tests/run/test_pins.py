"""What a saved plan leaves of what a run has decided; pure."""

from __future__ import annotations

import os
from typing import Any

import pytest

from secretsync_core.model.change import Action, Change, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.run.decide import ChangeSet
from secretsync_core.run.pins import Held, Named, Pins, hold, unversioned_deletes
from secretsync_core.run.saved_plan import _name

KEY = b"k" * 32


def change(key: str, action: Action = Action.CREATE, *, item: str = "one", dest: str = "dst", **more: Any) -> Change:
    """A change as a run decides it."""
    sources = () if action is Action.DELETE else (SourceRef("src", key),)
    reason = Reason.SOURCE_GONE if action is Action.DELETE else Reason.NEW
    return Change(item, dest, key, action, reason, sources, **{"source_version": "1", **more})


def held(found: ChangeSet, *pinned: Change, named: dict[str, str] | None = None, values: Any = None) -> Held:
    """What is left of it under a plan of these changes; ``named`` and ``values`` are names of values at ``dst``."""
    pins = Pins(
        "digest",
        {(each.dest, each.key): each for each in pinned},
        {("dst", key): Named(current=name) for key, name in (named or {}).items()},
        KEY,
    )
    return hold(found, pins, {}, {("dst", key): Named(current=name) for key, name in (values or {}).items()})


def test_items_with_something_more_to_copy_are_not_whole() -> None:
    """What the plan does not name keeps its item from deleting; another item's, or a delete, keeps none."""
    goes, other = change("goes", Action.DELETE), change("goes too", Action.DELETE, item="two")
    found = ChangeSet([change("known"), change("later")], deletes=[goes, other, change("more", Action.DELETE)])
    left = held(
        found, change("known"), goes, other, named={"goes": "a", "goes too": "b"}, values={"goes": "a", "goes too": "b"}
    )
    assert [each.key for each in left.found.changes] == ["known"]
    assert [each.key for each in left.beyond] == ["later", "more"]
    assert left.undone == {"one"}


def test_items_of_which_all_is_named_are_whole() -> None:
    """So they delete what the plan names, and what is to be deleted besides puts them in no doubt."""
    goes, more = change("goes", Action.DELETE, dest_version="3"), change("more", Action.DELETE, dest_version="3")
    left = held(ChangeSet([change("known")], deletes=[goes, more]), change("known"), goes)
    assert ([each.action for each in left.found.deletes], left.undone) == ([Action.DELETE], frozenset())


@pytest.mark.parametrize(
    ("then", "now", "released"),
    [("a", "a", True), ("a", "b", False), ("a", None, False), (None, "a", False), (None, None, True)],
)
def test_without_a_version_the_name_of_the_value_releases_a_delete(
    then: str | None, now: str | None, released: bool
) -> None:
    """It is the value that the ledger had when the plan was made; what it has no value of, it had none of then."""
    goes = change("goes", Action.DELETE)
    left = held(
        ChangeSet([], deletes=[goes]), goes, named={"goes": then} if then else {}, values={"goes": now} if now else {}
    )
    assert [each.action is Action.DELETE for each in left.found.deletes] == [released]


def test_a_version_releases_a_delete_by_itself() -> None:
    """Nothing is named then; another version is another secret."""
    goes = change("goes", Action.DELETE, dest_version="3")
    assert held(ChangeSet([], deletes=[goes]), goes).found.deletes == [goes]
    (refused,) = held(ChangeSet([], deletes=[goes]), goes._replace(dest_version="2")).found.deletes
    assert (refused.action, refused.reason) == (Action.REFUSE, Reason.MOVED_SINCE_PLAN)


def test_deletes_without_a_version_are_named() -> None:
    """And nothing else: not what has one, what is refused, or what is copied."""
    changes = [
        change("named", Action.DELETE),
        change("versioned", Action.DELETE, dest_version="3"),
        change("refused", Action.DELETE)._replace(action=Action.REFUSE),
        change("copied"),
    ]
    assert unversioned_deletes(changes) == [("dst", "named")]


def test_two_documents_that_differ_only_in_how_a_path_is_written_differ() -> None:
    """A path below the document's folder counts without that folder, and is no text that reads the same."""
    base = f"{os.sep}etc{os.sep}jobs"
    below, text = {"path": f"{base}{os.sep}copies{os.sep}a"}, {"path": f"copies{os.sep}a"}
    assert _name(below, f"{base}/job.yaml", KEY) != _name(text, f"{base}/job.yaml", KEY)
    assert _name([below], f"{base}/job.yaml", KEY) != _name([text], f"{base}/job.yaml", KEY)
    assert _name(below, f"{base}/job.yaml", KEY) != _name({"path": {"below": "copies/a"}}, f"{base}/job.yaml", KEY)
    elsewhere = {"path": f"{os.sep}srv{os.sep}copies{os.sep}a"}
    assert _name(below, f"{base}/job.yaml", KEY) == _name(elsewhere, "/srv/job.yaml", KEY)
    assert _name(below, f"{base}/job.yaml", KEY) != _name(below, "/srv/job.yaml", KEY)
