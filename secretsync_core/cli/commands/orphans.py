"""``secretsync orphans``: list the copies that nothing asks for any more, and end them on purpose."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.cli import event_loop, exits, plan_view, report_view, results, workspace
from secretsync_core.cli.escape import safe
from secretsync_core.cli.json_output import item_error_object, report_object
from secretsync_core.cli.paint import is_terminal
from secretsync_core.cli.progress import watching
from secretsync_core.cli.signals import Stop
from secretsync_core.cli.tables import show, table
from secretsync_core.cli.wording import ORPHANS
from secretsync_core.counting import plural
from secretsync_core.errors import SecretSyncError, UsageError
from secretsync_core.known import which
from secretsync_core.run import ending, steps
from secretsync_core.run.options import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.audit.opening import OpenLedger
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.model.report import ItemError
    from secretsync_core.run.orphans import Orphan
    from secretsync_core.schema.documents import Documents, JobDocument


def run(output: Output, call: Call, *, keys: tuple[str, ...], forget: bool, delete: bool, yes: bool) -> int:
    """Show the orphans of the call's jobs; with ``forget`` or ``delete`` end them, if ``yes`` or somebody agrees."""
    if forget and delete:
        raise UsageError(
            "--forget and --delete exclude each other",
            hint="--forget: the copies stay, and are no longer the job's; --delete: they go",
        )
    documents = workspace.load(call, output)
    jobs = workspace.jobs(call, documents, output, suspended=True)
    codes: list[int] = []
    found: list[dict[str, Any]] = []
    with workspace.ledger_there(call, write=forget or delete) as opened:
        looks = [_look(job, documents, opened, keys) for job in jobs]
        _check_keys(keys, looks)
        for job, look in zip(jobs, looks, strict=True):
            if isinstance(look, SecretSyncError):
                output.line(plan_view.heading(job, output))
                output.flush()
                output.failure(look)
                codes.append(look.exit_code)
                found.append(results.failed_job(job, look))
                continue
            _show(job, look, output, only_some=bool(keys))
            code = exits.gravest([error.exit_code for error in look.errors])
            told = _told(job, look)
            if look.errors and (forget or delete):
                output.note("nothing was removed: what looks like an orphan may be wanted")
            elif look.orphans and (forget or delete) and _agreed(output, look.orphans, delete=delete, yes=yes):
                try:
                    ended, more = _end(job, documents, opened, look.orphans, output, delete=delete)
                    code = exits.gravest([code, ended])
                    told |= more
                except Exception as raised:  # noqa: BLE001  what is not ours is raised again
                    error = results.job_error(raised)
                    output.failure(error)
                    code = error.exit_code
                    told |= results.failed_job(job, error)
            codes.append(code)
            found.append(told)
    code = exits.gravest(codes)
    if output.json:
        output.document(results.frame(found, documents, code))
    return code


class _Look(NamedTuple):
    """The orphans of a job that were asked for, and why there may be more."""

    orphans: list[Orphan]
    errors: list[ItemError]


def _look(job: JobDocument, documents: Documents, opened: OpenLedger, keys: tuple[str, ...]) -> _Look | SecretSyncError:
    """Look for the orphans of a job; gives the error that kept it from being looked at."""
    try:
        planned = event_loop.run(
            lambda: steps.plan(
                job,
                documents,
                opened.ledger,
                environ=os.environ,
                fingerprint_key=opened.fingerprint_key,
                options=Options(render=False),
            )
        )
    except Exception as raised:  # noqa: BLE001  what is not ours is raised again
        return results.job_error(raised)
    chosen = [one for one in planned.orphans if not keys or not _names(one).isdisjoint(keys)]
    return _Look(chosen, planned.errors)


def _names(orphan: Orphan) -> set[str]:
    """What ``--key`` may call it."""
    return {orphan.key, f"{orphan.dest}:{orphan.key}"}


def _check_keys(keys: tuple[str, ...], looks: Sequence[_Look | SecretSyncError]) -> None:
    """Raise UsageError where a key is no orphan of any job; of a job that could not be looked at nobody knows."""
    seen = [look for look in looks if isinstance(look, _Look)]
    if len(seen) < len(looks) or any(look.errors for look in seen):
        return
    orphans = {name for look in seen for one in look.orphans for name in _names(one)}
    if option := which("--key", keys, orphans):
        whose = "this job" if len(looks) == 1 else "these jobs"
        raise UsageError(f"{option} names no orphan of {whose}", hint="`secretsync orphans` lists them")


def _told(job: JobDocument, look: _Look) -> dict[str, Any]:
    return {
        "job": job.name,
        "orphans": [{"dest": one.dest, "key": one.key, "item": one.item, "why": one.why.value} for one in look.orphans],
        "errors": [item_error_object(error) for error in look.errors],
        "error": None,
    }


def _end(
    job: JobDocument,
    documents: Documents,
    opened: OpenLedger,
    chosen: list[Orphan],
    output: Output,
    *,
    delete: bool,
) -> tuple[int, dict[str, Any]]:
    stop = Stop(output)

    async def end() -> tuple[ending.Ended, list[dict[str, Any]]]:
        with stop.listening(), watching(output, job.name, collect=output.json) as observer:
            ended = await ending.end_orphans(
                job,
                documents,
                opened.ledger,
                chosen,
                delete=delete,
                environ=os.environ,
                fingerprint_key=opened.fingerprint_key,
                observer=observer,
                stop=stop.event,
            )
        return ended, observer.outcomes

    (done, forgotten), outcomes = event_loop.run(end)
    report = done.report
    report_view.show_warnings(report.warnings, output)
    report_view.show_failures(report, output, dests=len({one.dest for one in chosen}) > 1)
    report_view.show_errors(report.errors, output)
    if delete:
        output.line(f"{job.name}: {report_view.counts_line(report, output)}")
    else:
        stay, are = ("it stays", "is") if forgotten == 1 else ("they stay", "are")
        what = plural(forgotten, "copy", "copies")
        output.line(f"{job.name}: {what} forgotten: {stay}, and {are} no longer this job's")
    output.flush()
    told = report_object(report, outcomes, report.drifted)
    code = exits.gravest([results.of_sync(report), stop.code])
    return code, told if delete else {**told, "forgotten": forgotten}


def _show(job: JobDocument, look: _Look, output: Output, *, only_some: bool) -> None:
    orphans, errors = look
    if orphans:
        output.line(f"{job.name}: {plural(len(orphans), 'orphan')}")
        grid = table("DESTINATION", "KEY", "ITEM", "WHY")
        for one in orphans:
            grid.add_row(safe(one.dest), safe(one.key), safe(one.item), ORPHANS[one.why])
        show(grid, output)
    elif errors:
        output.line(f"{job.name}: no orphans found so far")
    elif not only_some:
        output.line(f"{job.name}: no orphans")
    output.flush()
    report_view.show_errors(errors, output)
    if errors:
        output.error(f"the list is incomplete: {plural(len(errors), 'error')} above")


def _agreed(output: Output, orphans: list[Orphan], *, delete: bool, yes: bool) -> bool:
    if yes:
        return True
    if output.json or not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        output.note("nothing was changed; --yes does it")
        return False
    output.write(f"{'Delete' if delete else 'Forget'} {plural(len(orphans), 'copy', 'copies')}? [y/N] ")
    output.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    output.note("nothing was changed")
    return False
