"""A run whose document was broken since it was started says what is wrong with the document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dagster._core.execution.api import create_execution_plan  # what the process of a run begins with

from dagster_jobs.lab import TWO_ITEMS
from secretsync_dagster import notifications

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab


def _break(lab: Lab, old: str, new: str) -> None:
    file = lab.config / "job.yaml"
    file.write_text(file.read_text().replace(old, new))


def _failure(lab: Lab, **config: object) -> str:
    """What the run of ``job`` fails with, as the documents are now."""
    result = lab.definitions.resolve_job_def("job").execute_in_process(
        run_config=config, instance=lab.instance, raise_on_error=False
    )
    assert not result.success
    (event,) = result.get_step_failure_events()
    assert event.step_failure_data.user_failure_data is not None
    return str(event.step_failure_data.user_failure_data.description)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("dest: dst", "dset: dst", "spec.dest is missing"),
        ("source: src", "source: scr", "spec.source names a SecretStore that does not exist"),
    ],
)
def test_a_run_fails_by_what_is_wrong_with_its_document(lab: Lab, old: str, new: str, told: str) -> None:
    """Under the name that the SyncJob has had, with whatever was asked of the run, and told to whom it concerns."""
    lab.job(TWO_ITEMS)
    _break(lab, old, new)
    for config in ({}, {"items": ["alpha"], "dryRun": True, "undo": {"run": "x"}}):
        text = _failure(lab, **config)
        assert text.startswith("SyncJob job cannot run, for its document has errors: ")
        assert told in text
    run = lab.instance.get_runs(limit=1)[0]
    assert notifications._errors(lab.instance, run) == [f"expand: {text}"]


def test_a_run_says_what_is_wrong_with_its_store(lab: Lab) -> None:
    """Where it is the store that has errors, the first of them is told with its place, and not only that there are."""
    lab.job(TWO_ITEMS)
    (lab.config / "other.yaml").write_text(
        "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: other}\n"
        "spec: {provider: {file: {path: 7}}}\n"
    )
    _break(lab, "dest: dst", "dest: other")
    text = _failure(lab)
    assert "spec.dest names the SecretStore other, which has errors itself" in text
    assert "other.yaml:4: spec.provider.file.path" in text


def test_it_has_the_steps_that_a_run_was_started_with(lab: Lab) -> None:
    """Dagster holds a run to the steps of its job as it was when it was started."""
    lab.job(TWO_ITEMS)
    before = _steps(lab)
    _break(lab, "dest: dst", "dset: dst")
    assert _steps(lab) == before


def _steps(lab: Lab) -> set[str]:
    plan = create_execution_plan(lab.definitions.resolve_job_def("job"), run_config={"dryRun": True})
    return set(plan.step_keys_to_execute)


def test_a_store_that_is_broken_is_told_too(lab: Lab) -> None:
    """The document is whole, and its SecretStore is not."""
    lab.job(TWO_ITEMS)
    lab.store("src", "vualt: {}")
    assert "spec.source names the SecretStore src, which has errors itself" in _failure(lab)


def test_the_real_job_comes_back_with_its_document(lab: Lab) -> None:
    """A warning breaks nothing, and no whole document has a stand-in."""
    lab.job(TWO_ITEMS)
    _break(lab, "dest: dst", "dset: dst")
    assert lab.definitions.resolve_job_def("job").tags["secretsync/broken"] == "true"
    _break(lab, "dset: dst", "dest: dst")
    assert "secretsync/broken" not in lab.definitions.resolve_job_def("job").tags


def test_a_job_that_is_gone_is_told_as_that(lab: Lab) -> None:
    """Where the file cannot be read at all, or the SyncJob is gone, Dagster's own words are known again."""
    lab.job(TWO_ITEMS)
    run = lab.instance.create_run_for_job(lab.definitions.resolve_job_def("job"))
    lab.instance.report_run_failed(run)
    assert notifications._errors(lab.instance, run) == [notifications._LOST]
    lab.instance.report_engine_event("Could not load job definition.", run)
    assert notifications._errors(lab.instance, run) == [notifications._UNKNOWN]
