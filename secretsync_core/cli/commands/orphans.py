"""``secretsync orphans``: list the copies that nothing asks for any more, and end them on purpose."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from secretsync_core.cli import event_loop, exits, plan_view, report_view, results, workspace
from secretsync_core.cli.escape import safe
from secretsync_core.cli.json_output import report_object
from secretsync_core.cli.paint import is_terminal
from secretsync_core.cli.progress import watching
from secretsync_core.cli.tables import show, table
from secretsync_core.cli.wording import ORPHANS
from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_core.run import ending, steps

if TYPE_CHECKING:
    from secretsync_core.audit.opening import OpenLedger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.run.orphans import Orphan
    from secretsync_core.schema.documents import Documents, JobDocument


def run(output: Output, call: Call, *, keys: tuple[str, ...], forget: bool, delete: bool, yes: bool) -> int:
    """Show the orphans of the call's jobs; with ``forget`` or ``delete`` end them, if ``yes`` or somebody agrees."""
    if forget and delete:
        raise UsageError("--forget and --delete exclude each other")
    documents = workspace.load(call, output)
    jobs = workspace.jobs(call, documents, output, suspended=True)
    codes: list[int] = []
    found: list[dict[str, Any]] = []
    with workspace.ledger(call, write=forget or delete) as opened:
        for job in jobs:
            code, result = _of_job(job, documents, opened, output, keys=keys, forget=forget, delete=delete, yes=yes)
            codes.append(code)
            found.append(result)
    code = exits.gravest(codes)
    if output.json:
        output.document(results.frame(found, documents, code))
    return code


def _of_job(
    job: JobDocument,
    documents: Documents,
    opened: OpenLedger,
    output: Output,
    *,
    keys: tuple[str, ...],
    forget: bool,
    delete: bool,
    yes: bool,
) -> tuple[int, dict[str, Any]]:
    try:
        planned = event_loop.run(
            lambda: steps.plan(
                job, documents, opened.ledger, environ=os.environ, fingerprint_key=opened.fingerprint_key
            )
        )
    except Exception as raised:  # noqa: BLE001  what is not ours is raised again
        error = results.job_error(raised)
        output.line(plan_view.heading(job, output))
        output.flush()
        output.failure(error)
        return error.exit_code, results.failed_job(job, error)
    chosen = [one for one in planned.orphans if not keys or {one.key, f"{one.dest}:{one.key}"} & set(keys)]
    if missing := sorted(key for key in keys if not any(key in (one.key, f"{one.dest}:{one.key}") for one in chosen)):
        raise UsageError(
            f"{job.name} has no orphan {', '.join(map(safe, missing))}", hint="`secretsync orphans` lists them"
        )
    told: dict[str, Any] = {
        "job": job.name,
        "orphans": [{"dest": one.dest, "key": one.key, "item": one.item, "why": one.why.value} for one in chosen],
    }
    _show(job, chosen, output)
    report_view.show_errors(planned.errors, output)
    output.flush()
    code = exits.gravest([error.exit_code for error in planned.errors])
    if not chosen or not (forget or delete) or not _agreed(output, chosen, delete=delete, yes=yes):
        return code, told
    if forget:
        count = event_loop.run(lambda: ending.forget_orphans(job.name, opened.ledger, chosen))
        output.line(f"{job.name}: {plural(count, 'copy', 'copies')} forgotten: they stay, and are no longer this job's")
        output.flush()
        return code, {**told, "forgotten": count}
    return _delete(job, documents, opened, chosen, output, told)


def _delete(
    job: JobDocument,
    documents: Documents,
    opened: OpenLedger,
    chosen: list[Orphan],
    output: Output,
    told: dict[str, Any],
) -> tuple[int, dict[str, Any]]:
    async def end() -> tuple[steps.Done, list[dict[str, Any]]]:
        with watching(output, job.name, collect=output.json) as observer:
            done = await ending.delete_orphans(
                job,
                documents,
                opened.ledger,
                chosen,
                environ=os.environ,
                fingerprint_key=opened.fingerprint_key,
                observer=observer,
            )
        return done, observer.outcomes

    done, outcomes = event_loop.run(end)
    report_view.show_failures(done.report, output)
    report_view.show_errors(done.report.errors, output)
    output.line(f"{job.name}: {report_view.counts_line(done.report, output)}")
    output.flush()
    return results.of_sync(done.report), {**told, **report_object(done.report, outcomes, done.report.drifted)}


def _show(job: JobDocument, orphans: list[Orphan], output: Output) -> None:
    if not orphans:
        output.line(f"{job.name}: no orphans")
        return
    output.line(f"{job.name}: {plural(len(orphans), 'orphan')}")
    grid = table("DESTINATION", "KEY", "ITEM", "WHY")
    for one in orphans:
        grid.add_row(safe(one.dest), safe(one.key), safe(one.item), ORPHANS[one.why])
    show(grid, output)


def _agreed(output: Output, orphans: list[Orphan], *, delete: bool, yes: bool) -> bool:
    if yes:
        return True
    if output.json or not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        output.note("nothing was changed; --yes does it")
        return False
    output.write(f"{'Delete' if delete else 'Forget'} {plural(len(orphans), 'copy', 'copies')}? [y/N] ")
    output.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
