"""``secretsync sync``: copy what differs, and record it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from secretsync_core.cli import event_loop, exits, plan_view, report_view, results, workspace
from secretsync_core.cli.json_output import report_object
from secretsync_core.cli.progress import watching
from secretsync_core.cli.signals import Stop
from secretsync_core.cli.wording import held_back
from secretsync_core.counting import plural
from secretsync_core.errors import SecretSyncError
from secretsync_core.run import steps
from secretsync_core.run.items import check_restored

if TYPE_CHECKING:
    from pathlib import Path

    from secretsync_core.audit.opening import OpenLedger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.model.report import Report
    from secretsync_core.run.options import Options
    from secretsync_core.schema.documents import Documents, JobDocument


def run(output: Output, call: Call, options: Options, plan: Path | None = None) -> int:
    """Sync every job of the call, or of a saved plan, one after the other, and say what was done."""
    documents = workspace.load(call, output)
    jobs = _jobs(call, documents, options, output) if plan is None else _approved(plan, call, documents, options)
    codes: list[int] = []
    found: list[dict[str, Any]] = []

    async def sync_all(opened: OpenLedger) -> int:
        stop = Stop(output)
        with stop.listening():
            for job, asked in jobs:
                if stop.code:
                    output.note(f"{job.name} was not started")
                    continue
                code, result, ending = await _sync(job, documents, opened, asked, output, stop)
                if job.spec.notify:
                    for warning in await asyncio.to_thread(_notify, job, ending, opened):
                        output.warning(warning)
                codes.append(code)
                found.append(result)
        return stop.code

    with workspace.ledger(call, write=True) as opened:
        workspace.note_outdated(opened, output)
        codes.append(event_loop.run(lambda: sync_all(opened)))
    code = exits.gravest(codes)
    if output.json:
        output.document(results.frame(found, documents, code))
    return code


def _jobs(call: Call, documents: Documents, options: Options, output: Output) -> list[tuple[JobDocument, Options]]:
    """The jobs of the call, each with what to ask of its run."""
    jobs = workspace.jobs(call, documents, output)
    workspace.check_adopt(options.adopt, jobs)
    check_restored(options.restored, jobs)
    return [(job, options) for job in jobs]


def _approved(plan: Path, call: Call, documents: Documents, options: Options) -> list[tuple[JobDocument, Options]]:
    from secretsync_core.cli import plan_file

    return plan_file.approved(plan, call, options, documents)


async def _sync(
    job: JobDocument, documents: Documents, opened: OpenLedger, options: Options, output: Output, stop: Stop
) -> tuple[int, dict[str, Any], Report | SecretSyncError]:
    try:
        with watching(output, job.name, collect=output.json) as observer:
            report = await steps.sync(
                job,
                documents,
                opened.ledger,
                environ=os.environ,
                fingerprint_key=opened.fingerprint_key,
                options=options,
                observer=observer,
                stop=stop.event,
            )
    except Exception as raised:  # noqa: BLE001  what is not ours is raised again
        return *report_view.show_failed_job(raised, job, output), results.job_error(raised)
    _show(report, job, output)
    return results.of_sync(report), report_object(report, observer.outcomes, report.drifted), report


def _notify(job: JobDocument, ended: Report | SecretSyncError, opened: OpenLedger) -> list[str]:
    """Tell whom the document names; gives what could not be told, which changes nothing about the sync."""
    from secretsync_core.notify import ending, history, send

    if isinstance(ended, SecretSyncError):
        return send.notify(job, ending.of_error(job.name, ended), None, os.environ)
    try:
        before = history.before(opened.ledger, job.name, ended.run)
    except SecretSyncError:  # what the run itself did is still worth telling
        before = None
    return send.notify(job, ending.of_report(ended), before.ok if before else None, os.environ)


def _show(report: Report, job: JobDocument, output: Output) -> None:
    report_view.show_warnings(report.warnings, output)
    report_view.show_errors(report.errors, output)
    mark = output.paint("ok", "bold green") if report.ok else output.paint("finished with errors", "bold red")
    if report.stopped:
        mark = output.paint("stopped", "bold yellow")
    if held := held_back(report):
        mark += f": {held}"
    output.line(f"{plan_view.heading(job, output)}: {mark}")
    output.line(f"  {report_view.counts_line(report, output)}")
    if not output.quiet or not report.ok:
        many = len(job.spec.dest) > 1
        report_view.show_failures(report, output, dests=many)
        title = "Drift since the last sync"
        report_view.show_drift(report.drifted, report.drifted_count, output, title=title, dests=many)
        if report.drift_unknown:
            output.line(f"  Drift unknown for {plural(report.drift_unknown, 'key')}: the destination cannot be read")
        if report.stopped:
            output.line(f"  {report_view.stopped_line(report)}")
        output.line(output.paint(f"  {report_view.requests_line(report)}", "dim"))
        if report.plan:
            output.line(output.paint(f"  Plan: sha256:{report.plan}", "dim"))
        output.line(output.paint(f"  Details: secretsync audit log --run {report.run}", "dim"))
    output.flush()
