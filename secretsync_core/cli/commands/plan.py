"""``secretsync plan``: what a sync would do, key by key, and why."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from secretsync_core.cli import (
    event_loop,
    exits,
    plan_file,
    plan_markdown,
    plan_view,
    report_view,
    results,
    same_call,
    workspace,
)
from secretsync_core.cli.escape import safe
from secretsync_core.cli.json_output import plan_object
from secretsync_core.cli.progress import watching
from secretsync_core.cli.whole_files import check_writable
from secretsync_core.counting import plural
from secretsync_core.errors import SecretSyncError, UsageError
from secretsync_core.run import saved_plan, steps
from secretsync_core.run.items import check_restored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from secretsync_core.audit.opening import OpenLedger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.run.options import Options
    from secretsync_core.run.saved_plan import SavedJob
    from secretsync_core.schema.documents import Documents, JobDocument


def run(
    output: Output,
    call: Call,
    options: Options,
    *,
    show_all: bool,
    detailed_exitcode: bool,
    out: Path | None = None,
    markdown: bool = False,
) -> int:
    """Plan every job of the call and show it; ``out`` is the file to save it in."""
    if options.verify and not options.render:
        raise UsageError("--verify compares values, and --no-render reads none", hint="give one of the two")
    if out is not None and not options.render:
        raise UsageError(
            "--out names values where versions are missing, and --no-render reads none", hint="give one of the two"
        )
    if out is not None:
        check_writable(out)  # before any store is asked
    documents = workspace.load(call, output)
    jobs = workspace.jobs(call, documents, output)
    workspace.check_adopt(options.adopt, jobs)
    check_restored(options.restored, jobs)
    codes: list[int] = []
    found: list[tuple[JobDocument, steps.Planned | SecretSyncError]] = []
    bound: dict[str, SavedJob] = {}
    with workspace.ledger_if_any(call, keyless=out is None) as opened:
        workspace.note_trouble(opened, output)
        if out is not None:
            # The first plan is before the first sync, which makes the key otherwise.
            signing = opened.keys if opened is not None else workspace.keys(call, create=True)
            options = replace(options, pin_key=signing.plan)
        key = workspace.fingerprint_key(call, opened)
        for job in jobs:
            if options.pin_key is not None:
                ledger = opened.ledger if opened is not None else None
                bound[job.name] = saved_plan.bind(job, documents, ledger, options, options.pin_key)
            try:
                planned = _plan(job, documents, opened, key, options, output)
            except Exception as raised:  # noqa: BLE001  what is not ours is raised again
                error = results.job_error(raised)
                codes.append(error.exit_code)
                found.append((job, error))
                if markdown:
                    output.failure(error)
                else:
                    report_view.show_failed_job(raised, job, output)
                continue
            codes.append(results.of_plan(planned, detailed=detailed_exitcode))
            found.append((job, planned))
            if not output.json and not markdown:
                _show(planned, job, output, show_all=show_all, first=len(codes) == 1)
    digest = _save(out, found, bound, options, call, output, markdown=markdown) if out is not None else ""
    code = exits.gravest(codes)
    if output.json:
        jobs_found = [_object(job, plan) for job, plan in found]
        saved = {"saved": {"file": str(out), "digest": digest}} if digest else {}
        output.document({**results.frame(jobs_found, documents, code), **saved})
    elif markdown:
        output.write(plan_markdown.render(found, digest=digest, show_all=show_all))
    return code


def _object(job: JobDocument, found: steps.Planned | SecretSyncError) -> dict[str, Any]:
    return results.failed_job(job, found) if isinstance(found, SecretSyncError) else plan_object(found, job)


def _save(
    out: Path,
    found: Sequence[tuple[JobDocument, steps.Planned | SecretSyncError]],
    bound: Mapping[str, SavedJob],
    options: Options,
    call: Call,
    output: Output,
    *,
    markdown: bool,
) -> str:
    """Save the plans of all jobs, or of none; gives the digest of the file, or nothing."""
    planned = [(bound[job.name], plan) for job, plan in found if not isinstance(plan, SecretSyncError)]
    if len(planned) < len(found):
        failed = ", ".join(job.name for job, plan in found if isinstance(plan, SecretSyncError))
        output.error(f"the plan was not saved: {failed} could not be planned", f"{out} is as it was before")
        return ""
    digest = plan_file.save(out, planned, options.pin_key or b"")
    told = f"Saved as {safe(str(out))}, sha256:{digest}"
    if markdown:
        output.note(told)
    else:
        output.line(told)
        told = same_call.command(call, "sync", "--plan", str(out))
        output.line(output.paint(f"  `{told}` carries it out", "dim"))
    output.flush()
    return digest


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
