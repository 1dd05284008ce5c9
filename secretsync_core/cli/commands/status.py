"""``secretsync status``: how each job stands, by its document and the ledger. Touches no store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsync_core.cli import due, exits, results, workspace
from secretsync_core.cli.escape import safe
from secretsync_core.cli.tables import show, table
from secretsync_core.cli.times import ago, iso
from secretsync_core.cli.wording import RESULTS
from secretsync_core.counting import number, plural
from secretsync_core.model.report import Result
from secretsync_core.run.findings import findings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.audit.drift import Look
    from secretsync_core.audit.items import OutOfSync
    from secretsync_core.audit.ledger import JobSummary, Ledger, RunSummary
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.run.findings import Findings
    from secretsync_core.schema.documents import JobDocument

GRACE = timedelta(minutes=5)
"""How late a scheduled run may start before it is called overdue."""

_LINE = 100  # columns that names of items may fill


class Standing(NamedTuple):
    """One job and what is known of it.

    ``running`` is whether somebody holds its lease; ``overdue`` is None where nothing says when it should have run;
    ``found`` is None where there is no ledger, or one that does not keep it.
    """

    job: JobDocument
    summary: JobSummary | None
    running: bool
    next_run: datetime | None
    overdue: bool | None
    found: Findings | None


def run(output: Output, call: Call) -> int:
    """Show how the jobs of the call, or all, stand."""
    documents = workspace.load(call, output)
    jobs = workspace.jobs(call, documents, output, suspended=True)
    now = datetime.now(UTC)
    with workspace.ledger_if_any(call, keyless=True) as opened:
        workspace.note_outdated(opened, output)
        ledger = opened.ledger if opened else None
        standings = [_standing(job, ledger, now) for job in jobs]
        gone = sorted(set(ledger.jobs()) - set(documents.jobs)) if ledger and not call.names else []
    if output.json:
        output.document(results.frame([_object(standing) for standing in standings], documents, exits.OK))
        return exits.OK
    grid = table("JOB", "SCHEDULE", "LAST RUN", "RESULT", "LAST SUCCESS", "KEYS", "FAILED", right=("KEYS", "FAILED"))
    for standing in standings:
        grid.add_row(*_row(standing, now.timestamp()))
    show(grid, output)
    lines = [line for standing in standings for line in _lines(standing, output, now.timestamp())]
    if lines:
        output.line("\n".join(["", *lines]))
    output.flush()
    if ledger is None:
        output.note("no ledger yet: nothing has been synced")
    if gone:
        output.note(f"jobs in the ledger that are no longer in the documents: {', '.join(gone)}")
    return exits.OK


def _standing(job: JobDocument, ledger: Ledger | None, now: datetime) -> Standing:
    spec = job.spec
    summary: JobSummary | None = None
    running = False
    found: Findings | None = None
    if ledger is not None:
        # Before and after, so that a run that begins or ends just now is not taken for one that was cut off.
        before = ledger.leases.find(job.name)
        summary = ledger.runs.summary(job.name)
        running = (before or ledger.leases.find(job.name)) is not None
        found = findings(job, ledger)
    if spec.schedule is None or spec.suspend:
        return Standing(job, summary, running, None, None, found)
    expected = due.previous(spec.schedule.cron, spec.timezone, now - GRACE)
    overdue = None
    # A job that never ran may be a minute old: nothing says since when it should have.
    if summary is not None and summary.last_run is not None and expected is not None:
        overdue = summary.last_run.started / 1e6 < expected.timestamp()
    return Standing(job, summary, running, due.following(spec.schedule.cron, spec.timezone, now), overdue, found)


def _row(standing: Standing, now: float) -> tuple[str | tuple[str, str], ...]:
    job, summary, running, _, overdue, _ = standing
    last = summary.last_run if summary else None
    success = summary.last_success if summary else None
    failed = summary.failed_keys if summary else 0
    ran = ago(last.started / 1e6, now) if last else "now" if running else "never"
    return (
        (job.name, "bold"),
        _schedule(job),
        (f"{ran}, overdue", "bold yellow") if overdue else ran,
        _result(last, running=running),
        ago(success / 1e6, now) if success is not None else "never",
        number(summary.live_keys) if summary else "0",
        (number(failed), "bold red") if failed else "0",
    )


def _lines(standing: Standing, output: Output, now: float) -> Iterator[str]:
    """What is uncertain or out of sync, and what the last look for drift found, below the table."""
    name = standing.job.name
    last = standing.summary.last_run if standing.summary else None
    if standing.running and (last is None or last.finished is not None):
        # What it holds is its lease; its beginning is recorded once it knows what there is to do.
        yield output.paint(f"{name}: a run is under way, and looks at the stores", "yellow")
    if last is not None and (uncertain := last.counts.get(Result.UNCERTAIN, 0)):
        yield output.paint(f"{name}: {plural(uncertain, 'secret')} uncertain: the next run settles it", "yellow")
    if last is not None and (returned := last.counts.get("returned", 0)):
        yield output.paint(f"{name}: {plural(returned, 'secret')} there again after this job had deleted it", "yellow")
    if last is not None and (orphans := last.counts.get("orphans", 0)):
        told = f"{plural(orphans, 'orphan')}: `secretsync orphans {name}` lists them, and deletes or forgets them"
        yield output.paint(f"{name}: {told}", "yellow")
    if standing.found is None:
        return
    out, look = standing.found
    if out:
        yield output.paint(_names(f"{name}: out of sync: ", out), "red")
    if look is not None:
        found = f"{plural(look.count, 'secret')} changed or removed outside SecretSync" if look.count else "none found"
        line = f"{name}: drift check {ago(look.time / 1e6, now)}: {found}"
        yield output.paint(line, "yellow") if look.count else line


def _names(start: str, out: Sequence[OutOfSync]) -> str:
    """``start`` and as many of the items as a line has room for, one at the least."""
    names = [safe(each.item) or "the job as a whole" for each in out]
    for shown in range(len(names), 0, -1):
        rest = len(names) - shown
        text = start + ", ".join(names[:shown]) + (f", and {number(rest)} more" if rest else "")
        if shown == 1 or len(text) <= _LINE:
            break
    return text


def _schedule(job: JobDocument) -> str | tuple[str, str]:
    spec = job.spec
    parts = []
    if spec.schedule is not None:
        parts.append(f"{spec.schedule.text} {spec.timezone}")
    if spec.on_change is not None:
        parts.append("on change")
    text = ", ".join(parts) or "manual"
    return (f"suspended ({text})", "yellow") if spec.suspend else text


def _result(last: RunSummary | None, *, running: bool) -> str | tuple[str, str]:
    if last is None:
        return ("running", "yellow") if running else "-"
    if last.finished is None:
        # A run that goes on holds the lease. One that was killed may do so for a minute more.
        return ("running, or just interrupted", "yellow") if running else ("interrupted", "red")
    counts = [f"{number(last.counts[name])} {word}" for name, word in RESULTS.items() if last.counts.get(name)]
    text = ", ".join(counts) or "nothing to do"
    return (f"ok: {text}", "green") if last.ok else (f"{last.reason or 'failed'}: {text}", "red")


def _object(standing: Standing) -> dict[str, Any]:
    job, summary, running, next_run, overdue, found = standing
    spec = job.spec
    last = summary.last_run if summary else None
    return {
        "job": job.name,
        "source": spec.source,
        "dest": list(spec.dest),
        "schedule": spec.schedule.text if spec.schedule else None,
        "timezone": spec.timezone,
        "suspended": spec.suspend,
        "running": running,
        "onChangeSeconds": spec.on_change.interval if spec.on_change else None,
        "lastRun": {
            "run": last.run,
            "started": iso(last.started / 1e6),
            "finished": iso(last.finished / 1e6) if last.finished is not None else None,
            "counts": dict(last.counts),
            "reason": last.reason,
            "ok": last.ok,
        }
        if last
        else None,
        "lastSuccess": iso(summary.last_success / 1e6) if summary and summary.last_success is not None else None,
        "keys": summary.live_keys if summary else 0,
        "failed": summary.failed_keys if summary else 0,
        "nextRun": iso(next_run.timestamp()) if next_run else None,
        "overdue": overdue,
        "outOfSync": [
            {"item": each.item or None, "run": each.run, "since": iso(each.since / 1e6)} for each in found.out_of_sync
        ]
        if found
        else None,
        "lastDriftCheck": _look_object(found.look) if found and found.look else None,
    }


def _look_object(look: Look) -> dict[str, Any]:
    return {
        "run": look.run,
        "time": iso(look.time / 1e6),
        "driftedCount": look.count,
        "drifted": [{"item": key.item, "dest": key.dest, "key": key.key, "drift": key.kind} for key in look.keys],
    }
