"""With Dagster's masking of errors switched on, as it is to be, what is ours is shown whole; nothing else is shown."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.log_manager import DagsterLogManager

from dagster_jobs import worker
from dagster_jobs.lab import failures
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_dagster.left_out import say_what_is_left_out
from secretsync_dagster.plain_failures import plain

if TYPE_CHECKING:
    from pathlib import Path

    from dagster_jobs.lab import Lab


@pytest.fixture(autouse=True)
def _masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_REDACT_USER_CODE_ERRORS", "1")


def _errors(lab: Lab, result: dg.ExecuteInProcessResult) -> list[str]:
    """What Dagster has written down of each step that failed or is tried again: its error, stack and cause included."""
    found = []
    for entry in lab.instance.all_logs(result.run_id):
        event = entry.dagster_event
        if event is not None and event.is_step_failure:
            found.append(str(event.step_failure_data.error))
        elif event is not None and event.is_step_up_for_retry:
            found.append(str(event.step_retry_data.error))
    return found


def test_a_failure_says_what_failed_and_nothing_of_masks(lab: Lab) -> None:
    """The failed step's own line has the key, the reason and no id of an error that no log has."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("not allowed", store="dst", key="alpha/1"), key="alpha/1")
    (shown,) = _errors(lab, lab.run())
    assert shown.startswith("Failed: 1 of 2 secrets of item alpha failed: alpha/1: not allowed")
    assert "masked" not in shown
    assert "Error ID" not in shown
    assert ".py" not in shown


def test_a_step_that_is_tried_again_says_why(lab: Lab) -> None:
    """Each attempt that fails on a store that is away says so, with what to do, and so does the last."""
    lab.two_items()
    away = StoreUnavailable("dst cannot be reached", store="dst", hint="start it")
    lab.fault("dst").fail("write_if", away, key="alpha/1")
    result = lab.run()
    first, second, last = _errors(lab, result)
    assert first.startswith("Tried again: 1 of 2 secrets of item alpha failed")
    assert "dst cannot be reached" in first
    assert second.startswith("Tried again: ")
    assert last.startswith("Failed: ")
    assert not [word for word in ("masked", ".py") if word in first + second + last]
    assert set(failures(result)) == {"transfer[alpha]"}


def test_a_store_that_is_away_says_its_hint_in_the_steps_own_line(lab: Lab) -> None:
    """As the command line does; also where nothing could be looked at, and for the item beside the step."""
    lab.two_items()
    lab.fault("src").fail("list", StoreUnavailable("src cannot be reached", store="src", hint="start it"))
    shown = _errors(lab, lab.run())
    assert shown[0].startswith("Tried again: ")
    assert all("src cannot be reached" in one and "hint: start it" in one for one in shown)


def test_a_step_that_is_left_out_does_not_read_as_not_audited(lab: Lab) -> None:
    """Dagster's words for it are written down as what they mean, and as no error; any others stay as they are."""
    lab.two_items()
    run = lab.instance.create_run_for_job(lab.definitions.resolve_job_def("job"))
    log = DagsterLogManager.create([], instance=lab.instance, dagster_run=run)
    say_what_is_left_out(log)
    step = log.with_tags(step_key="audit")
    step.error("Dependencies for step audit failed: ['transfer[a]']. Not executing.")
    step.error("Dependencies for step other failed: ['a']. Not executing.")
    told, other = [(entry.user_message, entry.level) for entry in lab.instance.all_logs(run.run_id)][-2:]
    assert told[0].startswith("All that this run did is in the ledger")
    assert f"audit log --run {run.run_id}" in told[0]
    assert "failed: ['transfer[a]']" in told[0]
    assert told[1] == logging.INFO
    assert other == ("Dependencies for step other failed: ['a']. Not executing.", logging.ERROR)


def test_the_end_of_the_run_says_the_same(lab: Lab, tmp_path: Path) -> None:
    """Dagster tells of the first step that failed once more: by the run's own executor, in the same words."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("not allowed", store="dst", key="alpha/1"), key="alpha/1")
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home"), overrides=worker.QUIET) as instance:
        run = worker.execute(instance, str(lab.config), None).run_id
        (end,) = instance.all_logs(run, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert end.dagster_event is not None
    error = end.dagster_event.job_failure_data.error
    assert error is not None
    assert error.message.startswith("Failed: 1 of 2 secrets of item alpha failed: alpha/1: not allowed")
    assert not [word for word in ("masked", "PlainFailure", ".py") if word in str(end)]


def test_nor_do_the_jobs_beside_the_sync_jobs_say_otherwise(lab: Lab, tmp_path: Path) -> None:
    """The one that looks at everything succeeds; the one that finds keys fails in our words, and so does the one that
    stands for a document with errors."""
    lab.two_items(driftCheck="{schedule: '@daily'}")
    (lab.config / "broken.yaml").write_text("kind: [")
    jobs = lab.definitions.get_repository_def().get_all_jobs()
    assert {job.executor_def.name for job in jobs} == {"secretsync", "secretsync_one_step"}
    (broken,) = [job.name for job in jobs if job.name.startswith("BROKEN")]
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home"), overrides=worker.QUIET) as instance:
        assert worker.execute(instance, str(lab.config), None, "CHECK_ledger_and_stores").success
        for name, config, told in (
            ("FIND_key", {"key": " "}, "`key` is empty"),
            (broken, {}, str(lab.config / "broken.yaml")),
        ):
            run = worker.execute(instance, str(lab.config), None, name, config).run_id
            (end,) = instance.all_logs(run, of_type=dg.DagsterEventType.RUN_FAILURE)
            assert f"Failed: {told}" in str(end)
            assert not [word for word in ("masked", "PlainFailure") if word in str(end)]


def test_what_to_do_is_said_once() -> None:
    """A hint has a line of its own, unless the first line has named its command already."""
    told = "held back 2 deletes; run `sync --max-delete 2`"
    hint = {"what to do": dg.MetadataValue.text("look at the plan; then run `sync --max-delete 2`")}
    assert plain(dg.Failure(told, hint)).args == (told,)
    assert plain(dg.Failure("away", hint)).args == (f"away\nhint: {hint['what to do'].value}",)


def test_what_is_not_ours_is_not_shown(lab: Lab) -> None:
    """An exception that nobody expected gives its type and a line of code; what it says may be a value."""
    lab.two_items()
    lab.fault("src").fail("list", ValueError("hunter2"))
    shown = "".join(_errors(lab, lab.run()))
    assert "ValueError" in shown
    assert "hunter2" not in shown
