"""``secretsync check``: has anybody else changed what we left in the destinations?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from secretsync_core.cli import event_loop, exits, plan_view, report_view, results, workspace
from secretsync_core.cli.json_output import report_object
from secretsync_core.cli.progress import watching
from secretsync_core.cli.times import duration
from secretsync_core.counting import number, plural
from secretsync_core.errors import LedgerError
from secretsync_core.model.report import Result
from secretsync_core.run import steps
from secretsync_core.run.options import Options

if TYPE_CHECKING:
    from secretsync_core.audit.opening import OpenLedger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.model.report import Report
    from secretsync_core.schema.documents import Documents, JobDocument


def run(output: Output, call: Call, *, verify: bool) -> int:
    """Check every job of the call and show what drifted."""
    documents = workspace.load(call, output)
    jobs = workspace.jobs(call, documents, output)
    options = Options(items=frozenset(call.items), verify=verify)
    codes: list[int] = []
    found: list[dict[str, Any]] = []
    with workspace.ledger(call, keyless=True) as opened:
        workspace.note_trouble(opened, output)
        for job in jobs:
            code, result = _check(job, documents, opened, options, call, output)
            codes.append(code)
            found.append(result)
    code = exits.gravest(codes)
    if output.json:
        output.document(results.frame(found, documents, code))
    return code


def _check(
    job: JobDocument, documents: Documents, opened: OpenLedger, options: Options, call: Call, output: Output
) -> tuple[int, dict[str, Any]]:
    async def check() -> tuple[Report, list[dict[str, Any]]]:
        with watching(output, job.name, collect=output.json) as observer:
            report = await steps.check(
                job,
                documents,
                opened.ledger,
                environ=os.environ,
                fingerprint_key=opened.fingerprint_key or None,
                options=options,
                observer=observer,
            )
        return report, observer.outcomes

    try:
        report, outcomes = event_loop.run(check)
    except Exception as raised:  # noqa: BLE001  what is not ours is raised again
        return report_view.show_failed_job(raised, job, output)
    _show(report, job, output, why="the ledger's key is gone" if opened.lost else "the destination cannot be read")
    _keep(report, options, call, output)
    return results.of_check(report), report_object(report, outcomes, report.drifted)


def _keep(report: Report, options: Options, call: Call, output: Output) -> None:
    """Keep what was found. Who may only read the ledger is shown it all the same."""
    try:
        with workspace.ledger(call, write=True) as opened:
            opened.ledger.drift.keep(report.job, report.run, report.drifted, report.drifted_count, items=options.items)
    except LedgerError as error:
        output.note(f"the result was not recorded: {error.message}")


def _show(report: Report, job: JobDocument, output: Output, *, why: str) -> None:
    report_view.show_warnings(report.warnings, output)
    report_view.show_errors(report.errors, output)
    checked, drifted = report.total(), report.drifted_count
    if drifted:
        mark = output.paint(f"{number(drifted)} of {plural(checked, 'key')} drifted", "bold yellow")
    elif report.errors:
        mark = output.paint("check incomplete", "bold red")
    elif not checked and report.drift_unknown:
        mark = output.paint("drift unknown", "bold yellow")
    elif not checked:
        mark = "nothing to check: this job has written no keys yet"
    else:
        mark = f"{output.paint('no drift', 'bold green')}, {plural(checked, 'key')} checked"
    output.line(f"{plan_view.heading(job, output)}: {mark}, in {duration(report.finished - report.started)}")
    many = len(job.spec.dest) > 1
    if report.total(Result.FAILED, Result.REFUSED) > drifted and report.unseen:
        report_view.show_failures(report, output, dests=many)
    if not output.quiet:
        report_view.show_drift(report.drifted, drifted, output, title="Drifted", dests=many)
    if report.drift_unknown:
        output.line(f"  Unknown for {plural(report.drift_unknown, 'key')}: {why}")
    if drifted and not output.quiet:
        output.line(
            output.paint(
                f"  Fix it with `secretsync sync {job.name}`; preview with `secretsync plan {job.name}`", "dim"
            )
        )
    output.flush()
