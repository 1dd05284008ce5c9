"""``secretsync plan``: what a sync would do, key by key, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from secretsync_core.cli import event_loop, exits, plan_view, report_view, results, workspace
from secretsync_core.cli.json_output import plan_object
from secretsync_core.cli.progress import watching
from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_core.run import steps
from secretsync_core.run.items import check_restored

if TYPE_CHECKING:
    from secretsync_core.audit.opening import OpenLedger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.run.options import Options
    from secretsync_core.schema.documents import Documents, JobDocument


def run(output: Output, call: Call, options: Options, *, show_all: bool, detailed_exitcode: bool) -> int:
    """Plan every job of the call and show it."""
    if options.verify and not options.render:
        raise UsageError("--verify compares values, and --no-render reads none", hint="give one of the two")
    documents = workspace.load(call, output)
    jobs = workspace.jobs(call, documents, output)
    workspace.check_adopt(options.adopt, jobs)
    check_restored(options.restored, jobs)
    codes: list[int] = []
    found: list[dict[str, Any]] = []
    with workspace.ledger_if_any(call) as opened:
        for job in jobs:
            try:
                planned = _plan(job, documents, opened, workspace.fingerprint_key(call, opened), options, output)
            except Exception as raised:  # noqa: BLE001  what is not ours is raised again
                code, result = report_view.show_failed_job(raised, job, output)
                codes.append(code)
                found.append(result)
                continue
            codes.append(results.of_plan(planned, detailed=detailed_exitcode))
            if output.json:
                found.append(plan_object(planned, job))
            else:
                _show(planned, job, output, show_all=show_all, first=len(codes) == 1)
    code = exits.gravest(codes)
    if output.json:
        output.document(results.frame(found, documents, code))
    return code


def _plan(
    job: JobDocument,
    documents: Documents,
    opened: OpenLedger | None,
    fingerprint_key: tuple[bytes, ...] | None,
    options: Options,
    output: Output,
) -> steps.Planned:
    async def plan() -> steps.Planned:
        with watching(output, job.name, collect=False) as observer:
            return await steps.plan(
                job,
                documents,
                opened.ledger if opened else None,
                environ=os.environ,
                fingerprint_key=fingerprint_key,
                options=options,
                observer=observer,
            )

    return event_loop.run(plan)


def _show(planned: steps.Planned, job: JobDocument, output: Output, *, show_all: bool, first: bool) -> None:
    if not output.quiet:
        if not first:
            output.line()
        plan_view.show(planned, job, output, show_all=show_all)
    output.flush()  # so that what follows on stderr comes after it
    report_view.show_warnings(planned.warnings, output)
    report_view.show_errors(planned.errors, output)
    if planned.errors:
        output.error(f"the plan is incomplete: {plural(len(planned.errors), 'error')} above")
    output.line(output.paint(plan_view.counts_line(planned.changes), "bold"))
