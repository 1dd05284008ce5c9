"""What is wrong between documents: names that repeat or dangle, and permissions that forbid the use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.look_only import installed
from yaml_samples import ITEM, STORES, job, load, problems, store, told

if TYPE_CHECKING:
    from pathlib import Path


def test_names_that_repeat_are_told_at_both_places(tmp_path: Path) -> None:
    """Two documents of one kind and name are each told where the other is; a store and a job may share one."""
    found = problems(tmp_path, store("one") + store("two") + store("one") + job(name="one"))
    assert [(problem.line, problem.hint.rpartition(":")[2]) for problem in found if "another" in problem.message] == [
        (4, "14."),
        (14, "4."),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (job(source="onne"), "16: spec.source names a SecretStore that does not exist"),
        (job(dest="towo"), "17: spec.dest names a SecretStore that does not exist"),
        (job(dest="[two, towo]"), "17: spec.dest[1] names a SecretStore that does not exist"),
        (job(ITEM + "\n  source: x"), "20: spec.plan[0].source names a SecretStore that does not exist"),
        (job(dest="[two, two]"), "17: spec.dest names the same SecretStore twice"),
        (job("- {name: a, query: {}}\n- {name: a, query: {}}"), "20: another plan item is named a"),
    ],
)
def test_names_that_dangle_or_repeat_within_a_job(tmp_path: Path, text: str, expected: str) -> None:
    """A store that is not there, a destination twice and two items of one name are told at their lines."""
    assert told(tmp_path, STORES + text) == [expected]


def test_a_dangling_name_gets_a_suggestion(tmp_path: Path) -> None:
    """A name that is nearly right gets the right one; any other, the list of what there is."""
    found = problems(tmp_path, STORES + job(source="onne", dest="elsewhere"))
    assert [problem.hint for problem in found] == ["Did you mean one?", "There are: one, two."]


@pytest.mark.parametrize(
    ("source", "dest", "more", "expected"),
    [
        ("Write", "Write", "", ["16: spec.source names one, which is write-only"]),
        ("Read", "Read", "", ["17: spec.dest names two, which is read-only"]),
        ("Read", "Write", "", []),
        ("ReadWrite", "ReadWrite", "writePolicy: Merge", []),
        ("Read", "Write", "writePolicy: Merge", ["17: writePolicy Merge needs to read two, which is write-only"]),
    ],
)
def test_permissions_that_forbid_the_use(
    tmp_path: Path, source: str, dest: str, more: str, expected: list[str]
) -> None:
    """A source must be readable, a destination writable, and for Merge readable too."""
    text = store("one", permissions=source) + store("two", permissions=dest) + job(more=more)
    if expected:
        assert told(tmp_path, text) == expected
    else:
        assert "job" in load(tmp_path, text).jobs


def test_a_drift_check_of_what_may_not_be_read_is_warned_about(tmp_path: Path) -> None:
    """A destination that may only be written is named where its drift is to be looked for; the job loads."""
    stores = store("one") + store("two", permissions="Write") + store("three")
    more = "driftCheck: {schedule: '@daily'}"
    (warning,) = load(tmp_path, stores + job(dest="[two, three]", more=more)).warnings
    assert warning.message == "driftCheck cannot look at two, which is write-only"
    assert warning.hint.endswith("With look: true its versions may be looked at.")
    stores = store("one") + store("two", permissions="Write, look: true") + store("three")
    assert load(tmp_path, stores + job(dest="[two, three]", more=more)).warnings == ()
    assert load(tmp_path, stores + job(dest="three", more=more)).warnings == ()


@pytest.mark.parametrize("permissions", ["Read", "ReadWrite"])
def test_look_goes_with_write(tmp_path: Path, permissions: str) -> None:
    """What may be read is looked at anyway, so that look says nothing there, and is an error at its line."""
    (problem,) = problems(tmp_path, store("one", permissions=f"{permissions}, look: false"))
    assert "look is for permissions: Write" in problem.message
    assert load(tmp_path, store("one", permissions="Write, look: false")).stores["one"].look is False


@pytest.mark.parametrize("permissions", ["Write", "ReadWrite"])
def test_a_store_that_shows_no_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, permissions: str) -> None:
    """It is no source and nothing can be merged there, said at their lines; its drift can be looked for."""
    installed(monkeypatch, "TELLING")
    stores = store("one") + store("two", provider="ci: {}", permissions=permissions)
    assert told(tmp_path, stores + job(source="two", dest="one")) == [
        "16: spec.source names two, which shows no values"
    ]
    merging = job(more="writePolicy: Merge")
    assert told(tmp_path, stores + merging) == ["17: writePolicy Merge needs to read two, which shows no values"]
    assert load(tmp_path, stores + job(more="driftCheck: {schedule: '@daily'}")).warnings == ()


def test_an_item_s_own_source_must_be_readable_too(tmp_path: Path) -> None:
    """The permissions of a store that only one item names count as well."""
    text = STORES + store("drop", permissions="Write") + job(ITEM + "\n  source: drop")
    assert told(tmp_path, text) == ["25: spec.plan[0].source names drop, which is write-only"]


def test_references_are_checked_in_a_job_that_has_other_faults(tmp_path: Path) -> None:
    """All faults come at once: a field that is wrong does not hide a name that dangles."""
    assert told(tmp_path, STORES + job(source="onne", more="shards: 3")) == [
        "16: spec.source names a SecretStore that does not exist",
        "18: unknown field spec.shards",
    ]


def test_a_store_with_faults_of_its_own_is_not_called_missing(tmp_path: Path) -> None:
    """A job that names a broken store says so, and where that is."""
    found = problems(tmp_path, store("one") + store("two", permissions="Maybe") + job())
    assert [problem.message for problem in found] == [
        "spec.permissions must be 'Read', 'Write' or 'ReadWrite'",
        "spec.dest names the SecretStore two, which has errors itself",
    ]
    assert found[1].hint.endswith(":9.")
