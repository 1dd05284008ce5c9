"""``secretsync undo``: put back what a run wrote, after showing what that means."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.cli import event_loop, exits, plan_view, report_view, results, workspace
from secretsync_core.cli.escape import safe
from secretsync_core.cli.json_output import plan_object, report_object
from secretsync_core.cli.paint import is_terminal
from secretsync_core.cli.progress import watching
from secretsync_core.cli.signals import Stop
from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_core.run import undo_steps

if TYPE_CHECKING:
    from secretsync_core.audit.opening import OpenLedger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.model.report import Report
    from secretsync_core.run.done import Planned
    from secretsync_core.schema.documents import Documents, JobDocument


class _Undo(NamedTuple):
    """What is to be undone, and with what."""

    run: str
    keys: tuple[str, ...]
    documents: Documents
    opened: OpenLedger
    output: Output


def run(output: Output, call: Call, name: str, *, keys: tuple[str, ...], yes: bool) -> int:
    """Show what undoing the run ``name`` does, and do it: with ``yes``, or where somebody at a terminal says so."""
    documents = workspace.load(call, output)
    with workspace.ledger_there(call, write=yes or _may_ask(output)) as opened:
        undo = _Undo(name, keys, documents, opened, output)
        jobs = _jobs(undo)
        planned, found, codes = _plan(undo, jobs)
        todo = {job: undo_steps.to_do(plan) for job, plan in planned.items()}
        doing = any(todo.values()) and (yes or _agreed(undo, planned))
        if doing:
            workspace.note_outdated(opened, output)
            shown = [job for job in jobs if todo.get(job.name)]
            # What was refused in the plan stays so, and is part of how the command ends.
            codes += event_loop.run(lambda: _undo_all(undo, shown, todo, found))
        elif any(todo.values()):
            output.note("nothing was changed" + ("" if _may_ask(output) else "; --yes does it"))
    code = exits.gravest(codes)
    if output.json:
        frame = results.frame(list(found.values()), documents, code)
        output.document({"undoes": name, "applied": doing, **frame})
    return code


def _jobs(undo: _Undo) -> list[JobDocument]:
    """The jobs that the run was of. Raises UsageError where one is not in the documents."""
    names = undo_steps.find_jobs(undo.opened.ledger, undo.run, undo.keys)
    gone = [job for job in names if job not in undo.documents.jobs]
    if gone:
        raise UsageError(
            f"run {safe(undo.run)} was of {', '.join(map(safe, gone))}, which the documents do not define",
            hint="put the SyncJob back, or name the directory that has it with --config",
        )
    return [undo.documents.jobs[job] for job in names]


def _plan(undo: _Undo, jobs: list[JobDocument]) -> tuple[dict[str, Planned], dict[str, dict[str, Any]], list[int]]:
    """Plan each job and show it; gives the plans, what JSON says of each job, and the exit codes."""
    output = undo.output
    planned: dict[str, Planned] = {}
    found: dict[str, dict[str, Any]] = {}
    codes: list[int] = []
    for job in jobs:
        try:
            plan = event_loop.run(lambda job=job: _plan_one(undo, job))  # type: ignore[misc]
        except Exception as raised:  # noqa: BLE001  what is not ours is raised again
            code, found[job.name] = report_view.show_failed_job(raised, job, output)
            codes.append(code)
            continue
        planned[job.name] = plan
        found[job.name] = plan_object(plan, job)
        codes.append(results.of_plan(plan, detailed=False))
        _show_plan(plan, job, output)
    return planned, found, codes


async def _plan_one(undo: _Undo, job: JobDocument) -> Planned:
    with watching(undo.output, job.name, collect=False) as observer:
        return await undo_steps.plan_undo(
            job,
            undo.documents,
            undo.opened.ledger,
            undo.run,
            keys=undo.keys,
            environ=os.environ,
            fingerprint_key=undo.opened.fingerprint_key,
            observer=observer,
        )


def _show_plan(planned: Planned, job: JobDocument, output: Output) -> None:
    if not output.quiet:
        plan_view.show(planned, job, output, show_all=False, rest="--output json lists every key")
    output.flush()
    report_view.show_warnings(planned.warnings, output)
    report_view.show_errors(planned.errors, output)
    output.line(output.paint(plan_view.counts_line(planned.changes), "bold"))
    output.flush()
    if not planned.changes and not planned.errors:
        output.note(f"the run wrote nothing in {job.name} that can be undone")


def _may_ask(output: Output) -> bool:
    """Whether there is somebody to ask."""
    return not output.json and is_terminal(sys.stdin) and is_terminal(sys.stdout)


def _agreed(undo: _Undo, planned: dict[str, Planned]) -> bool:
    if not _may_ask(undo.output):
        return False
    count = sum(len(undo_steps.to_do(plan)) for plan in planned.values())
    undo.output.write(f"Undo {plural(count, 'change')}? [y/N] ")
    undo.output.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def _undo_all(
    undo: _Undo,
    jobs: list[JobDocument],
    todo: dict[str, frozenset[undo_steps.Place]],
    found: dict[str, dict[str, Any]],
) -> list[int]:
    """Undo one job after the other; gives the exit codes, and puts into ``found`` what JSON says of each."""
    output = undo.output
    codes: list[int] = []
    stop = Stop(output)
    with stop.listening():
        for job in jobs:
            if stop.code:
                output.note(f"{job.name} was not started")
                continue
            try:
                with watching(output, job.name, collect=output.json) as observer:
                    done = await undo_steps.undo(
                        job,
                        undo.documents,
                        undo.opened.ledger,
                        undo.run,
                        keys=undo.keys,
                        only=todo[job.name],
                        environ=os.environ,
                        fingerprint_key=undo.opened.fingerprint_key,
                        observer=observer,
                        stop=stop.event,
                    )
            except Exception as raised:  # noqa: BLE001  what is not ours is raised again
                code, found[job.name] = report_view.show_failed_job(raised, job, output)
                codes.append(code)
                continue
            report = done.report
            _show(report, job, output)
            codes.append(results.of_sync(report))
            found[job.name] = report_object(report, observer.outcomes, report.drifted)
    return [*codes, stop.code]


def _show(report: Report, job: JobDocument, output: Output) -> None:
    report_view.show_warnings(report.warnings, output)
    report_view.show_errors(report.errors, output)
    mark = output.paint("undone", "bold green") if report.ok else output.paint("undone in part", "bold red")
    if report.stopped:
        mark = output.paint("stopped", "bold yellow")
    output.line(f"{plan_view.heading(job, output)}: {mark}")
    output.line(f"  {report_view.counts_line(report, output)}")
    if not output.quiet or not report.ok:
        report_view.show_failures(report, output, dests=len(job.spec.dest) > 1)
        output.line(output.paint(f"  {report_view.requests_line(report)}", "dim"))
        output.line(output.paint(f"  Details: secretsync audit log --run {report.run}", "dim"))
    output.flush()
