"""What a run does that is asked to undo another: it shows the plan, or carries it out, in its first step alone.

The other steps have nothing to do then: what is undone is not split into items, since an undo is rare and rarely large.
"""

from collections.abc import Sequence

import dagster as dg

from secretsync_core.audit.ledger import Ledger
from secretsync_core.cli.plan_order import Pairs
from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_core.model.report import NOT_DONE, Result
from secretsync_core.run import steps, undo_steps
from secretsync_core.run.shards import Manifest
from secretsync_core.schema.documents import JobDocument
from secretsync_dagster import metadata, plans
from secretsync_dagster.event_loop import run_async
from secretsync_dagster.run_config import Undo


def check_undo(ledger: Ledger, job: str, asked: Undo, *, others: Sequence[str], partitioned: bool) -> None:
    """Raise UsageError where a call makes no sense, or the run was of another SyncJob."""
    if partitioned:
        raise UsageError("a run is undone by the job, not by partitions of its asset", hint="use the job's Launchpad")
    if others:
        raise UsageError(
            f"{', '.join(f'`{name}`' for name in others)} {'says' if len(others) == 1 else 'say'} how to sync, and an"
            " undo syncs nothing",
            hint="leave it out; `keys` under `undo` picks keys",
        )
    if not asked.run:
        raise UsageError("`undo` names no run", hint="its id is on its page, and in `secretsync audit log`")
    if job not in undo_steps.find_jobs(ledger, asked.run, asked.keys):
        raise UsageError(
            f"run {asked.run} wrote nothing of that for SyncJob {job}", hint="undo it in the Launchpad of its own job"
        )


def show_plan(context: dg.OpExecutionContext, step: steps.Step, job: str, asked: Undo) -> Manifest:
    """Show what undoing would do, as the plan of the step's output; gives what the other steps are to know."""
    planned = run_async(
        undo_steps.plan_undo(
            step.documents.jobs[job],
            step.documents,
            step.ledger,
            asked.run,
            keys=asked.keys,
            environ=step.environ,
            fingerprint_key=step.fingerprint_key,
        )
    )
    told = (*planned.warnings, *(f"{error.item or 'the job'}: {error.message}" for error in planned.errors))
    plans.show(context, step.documents.jobs[job], planned.changes, told, command=f"secretsync undo {asked.run}")
    context.log.info("this is the plan: nothing is written without undo.apply")
    return _nothing_else(job)


def apply(step: steps.Step, job: str, asked: Undo) -> steps.Done:
    """Undo, as this run."""
    return run_async(
        undo_steps.undo(
            step.documents.jobs[job],
            step.documents,
            step.ledger,
            asked.run,
            keys=asked.keys,
            environ=step.environ,
            fingerprint_key=step.fingerprint_key,
            name=step.run,
            claim=step.claim,
            stop=step.stop,
        ),
        step.stop,
    )


def show_done(context: dg.OpExecutionContext, job: JobDocument, done: steps.Done, asked: Undo) -> Manifest:
    """Show what was undone, as the step's output; gives what the other steps are to know."""
    context.add_output_metadata(
        {
            "undone": metadata.outcome_table(done.outcomes, Pairs(job), done.outcomes_of.total()),
            "undid run": asked.run,
            **metadata.warnings(done.report.warnings),
            "ledger": f"secretsync audit log --run {done.report.run}",
        },
        output_name="manifest",
    )
    return _nothing_else(job.name)


def moved(done: steps.Done) -> frozenset[str]:
    """The items that are not as the plan wants them any more."""
    return done.report.items_with(Result.CREATED, Result.UPDATED, Result.DELETED)


def failure_of(job: JobDocument, done: steps.Done, asked: Undo, *, last: bool) -> dg.Failure:
    """What fails the step where not all could be undone, with a table of what could not and why."""
    bad = [one for one in done.outcomes if one.result in NOT_DONE]
    errors = done.report.errors
    pairs = Pairs(job)
    told = f"{plural(len(bad), 'secret')} of run {asked.run} could not be undone"
    told += metadata.first_reasons(bad, pairs, len(bad))
    if not bad:
        told = metadata.first_errors(errors) if errors else "the undo was stopped"
    return dg.Failure(
        told,
        metadata={
            **({"not undone": metadata.outcome_table(bad, pairs)} if bad else {}),
            **metadata.what_to_do(bad),
            **metadata.errors(errors[:5]),
            "ledger": f"secretsync audit log --run {done.report.run}",
        },
        allow_retries=not last and done.may_heal,
    )


def _nothing_else(job: str) -> Manifest:
    """Tells the audit that this run is no sync."""
    return Manifest(job, (), dry_run=True)
