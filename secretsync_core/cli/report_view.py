"""Shows people what a sync or a check found: counts, the first failures with what to do about them, drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.cli import plan_view, results
from secretsync_core.cli.escape import safe
from secretsync_core.cli.layout import hang
from secretsync_core.cli.paint import cells
from secretsync_core.cli.times import duration
from secretsync_core.cli.wording import RESULTS, drift, reason, why_not
from secretsync_core.counting import number, plural
from secretsync_core.model.change import Reason
from secretsync_core.model.report import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.cli.output import Output
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError, Outcome, Report
    from secretsync_core.schema.documents import JobDocument

SHOWN = 20
"""How many failures, and how many drifted keys, are shown."""

_ALWAYS = (Result.CREATED, Result.UPDATED, Result.UNCHANGED)
_STYLES = {
    Result.CREATED: "green",
    Result.UPDATED: "yellow",
    Result.DELETED: "red",
    Result.FAILED: "bold red",
    Result.UNCERTAIN: "bold yellow",
    Result.REFUSED: "bold red",
    Result.NOT_REACHED: "bold yellow",
}


def counts_line(report: Report, output: Output) -> str:
    """``3 created, 1 updated, 1,204 unchanged in 2.1 s``."""
    parts = []
    for result, word in RESULTS.items():
        count = report.total(result)
        if count or result in _ALWAYS:
            parts.append(output.paint(f"{number(count)} {word}", _STYLES.get(result, "") if count else "dim"))
    return f"{', '.join(parts)} in {duration(report.finished - report.started)}"


def requests_line(report: Report) -> str:
    """What it cost: ``Requests: vault-main 2 list, 40 read; aws 1 list, 40 write``."""
    stores = (
        f"{store} {', '.join(f'{number(count)} {kind}' for kind, count in sorted(kinds.items()))}"
        for store, kinds in sorted(report.requests.items())
    )
    return f"Requests: {'; '.join(stores) or 'none'}"


def show_failures(report: Report, output: Output, *, dests: bool) -> None:
    """The first failures, and the first secrets of which nobody knows, each with why and what to do.

    ``dests`` is whether to name destinations, because there are several.
    """
    _show_some("Failed", (Result.FAILED, Result.REFUSED), report, output, dests=dests)
    _show_some("Uncertain", (Result.UNCERTAIN,), report, output, dests=dests)


def _show_some(title: str, results: Sequence[Result], report: Report, output: Output, *, dests: bool) -> None:
    count = report.total(*results)
    kept = [outcome for outcome in report.failures if outcome.result in results]
    if count and kept:
        output.line()
        output.line(f"  {title} ({number(count)}):")
        for outcome in sorted(kept, key=lambda outcome: (outcome.change.key, outcome.change.dest))[:SHOWN]:
            _show_failure(outcome, output, dests=dests)
        if count > SHOWN:
            output.line(f"    ... and {number(count - SHOWN)} more")


def _show_failure(outcome: Outcome, output: Output, *, dests: bool) -> None:
    plain = f"  ! {_key(outcome.change, dests=dests)}  "
    output.line(hang(output.paint(plain, "bold red"), cells(plain), why_not(outcome), output.columns, 6))
    if outcome.hint:
        output.line(hang(output.paint("      hint: ", "cyan"), 12, safe(outcome.hint), output.columns, 12))


def show_drift(drifted: Sequence[Change], count: int, output: Output, *, title: str, dests: bool) -> None:
    """Keys that were changed or removed outside SecretSync."""
    if not count:
        return
    output.line()
    output.line(f"  {title} ({number(count)}):")
    shown = sorted(drifted, key=lambda change: (change.key, change.dest))
    shown = shown if output.columns is None else shown[:SHOWN]
    for change in shown:
        plain = f"  ~ {_key(change, dests=dests)}  "
        text = reason(change.reason) if change.reason is Reason.BACK_AGAIN else drift(change)
        output.line(hang(output.paint(plain, "yellow"), cells(plain), text, output.columns, 6))
    if count > len(shown):
        output.line(f"    ... and {number(count - len(shown))} more; --output json lists them")


def _key(change: Change, *, dests: bool) -> str:
    return f"{change.dest}: {safe(change.key)}" if dests else safe(change.key)


def show_failed_job(raised: Exception, job: JobDocument, output: Output) -> tuple[int, dict[str, Any]]:
    """What kept a whole job from being looked at; gives its exit code and its JSON. Raises what is no error of ours."""
    error = results.job_error(raised)
    output.line(plan_view.heading(job, output))
    output.flush()
    output.failure(error)
    return error.exit_code, results.failed_job(job, error)


def show_errors(errors: Sequence[ItemError], output: Output) -> None:
    """What kept whole items from being synced, on stderr."""
    for error in errors:
        where = f"{safe(error.item)}: " if error.item else ""
        output.error(f"{where}{error.message}", error.hint)


def show_warnings(warnings: Sequence[str], output: Output) -> None:
    """Sentences for people, on stderr."""
    for warning in warnings:
        output.warning(warning)


def stopped_line(report: Report) -> str:
    """How to go on after a sync was stopped."""
    left = report.total(Result.NOT_REACHED)
    what = f"{plural(left, 'secret')} not reached" if left else "stopped"
    return f"{what}; continue with `secretsync sync {report.job}`"
