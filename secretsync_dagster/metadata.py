"""What people see of a run: tables, counts and a summary, as Dagster metadata. Names and versions, never a value."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.cli.markdown import note
from secretsync_core.cli.wording import drift, reason
from secretsync_core.counting import number, plural
from secretsync_core.model.change import Action
from secretsync_core.model.inventory import display_version
from secretsync_core.model.report import NOT_DONE, Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.model.report import Outcome, Report

ROWS = 100
"""The most rows that a table shows; it says so where there are more."""


def outcome_table(outcomes: Sequence[Outcome], total: int = 0) -> dg.TableMetadataValue:
    """Each key with what happened to it and both versions; what went wrong first. ``total``: if there were more."""
    ordered = sorted(outcomes, key=lambda outcome: (outcome.result not in NOT_DONE, outcome.change.key))
    return _table(
        ("key", "result", "why", "source version", "destination version"),
        [
            (
                f"{outcome.change.dest}: {outcome.change.key}",
                outcome.result.value,
                outcome.message or reason(str(outcome.code or outcome.change.reason)),
                display_version(outcome.change.source_version),
                display_version(outcome.dest_version or outcome.change.dest_version),
            )
            for outcome in ordered[:ROWS]
        ],
        max(total, len(ordered)),
        "`secretsync audit log --run` has every write and every failure",
    )


def drift_table(changes: Sequence[Change], total: int) -> dg.TableMetadataValue:
    """The keys that were changed or removed outside SecretSync."""
    return _table(
        ("key", "item", "drift"),
        [
            (f"{change.dest}: {change.key}", change.item, drift(change))
            for change in sorted(changes, key=lambda change: (change.key, change.dest))[:ROWS]
        ],
        total,
        "`secretsync check JOB --output json` lists every one",
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], total: int, where: str) -> dg.TableMetadataValue:
    """A table, and a last row that says how many more there are and where they are to be found."""
    more = [f"... and {number(total - len(rows))} more; {where}", *[""] * (len(columns) - 1)]
    return table(columns, [*rows, more] if total > len(rows) else rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> dg.TableMetadataValue:
    """A table of texts."""
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(
        records, schema=dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in columns])
    )


_SHOWN = {
    "copied": (Result.CREATED, Result.UPDATED),
    "unchanged": (Result.UNCHANGED, Result.SKIPPED),
    "deleted": (Result.DELETED,),
    "failed": NOT_DONE,
}
"""The results that are shown as one number, under its name."""


def _tally(counts: Mapping[Result, int]) -> dict[str, int]:
    return {name: sum(counts.get(result, 0) for result in results) for name, results in _SHOWN.items()}


def numbers(
    counts: Mapping[Result, int], *, drifted: int = 0, seconds: float | None = None
) -> dict[str, dg.MetadataValue]:
    """Counts as numeric metadata, under names that stay the same from run to run, so that Dagster plots them."""
    told = {**_tally(counts), "uncertain": counts.get(Result.UNCERTAIN, 0), "drifted": drifted}
    shown: dict[str, dg.MetadataValue] = {name: dg.MetadataValue.int(count) for name, count in told.items()}
    if seconds is not None:
        shown["seconds"] = dg.MetadataValue.float(round(seconds, 3))
    return shown


def summary(report: Report, healed: int) -> dg.MarkdownMetadataValue:
    """A run in a few lines of Markdown."""
    lines = [f"| item | {' | '.join(_SHOWN)} |", f"|---|{'---:|' * len(_SHOWN)}"]
    for item, counts in sorted(report.counts.items()):
        lines.append(f"| {item} | {' | '.join(map(str, _tally(counts).values()))} |")
    if uncertain := report.total(Result.UNCERTAIN):
        lines += ["", uncertain_words(uncertain)]
    if healed:
        lines += ["", f"**{healed}** secrets of steps that never ran were synced by this one."]
    lines += [f"- {note(warning)}" for warning in report.warnings[:20]]
    lines += [
        f"- **{error.item or 'the job'}**: {note(f'{error.message}. {error.hint}'.strip())}"
        for error in report.errors[:20]
    ]
    return dg.MetadataValue.md("\n".join(lines))


def uncertain_words(count: int) -> str:
    """What is to be said of secrets of which nobody knows whether they were written."""
    return f"{plural(count, 'secret')} uncertain: the next run looks at the destination and settles it"


def warnings(told: Sequence[str]) -> dict[str, dg.MetadataValue]:
    """Sentences as a list; nothing where there are none."""
    if not told:
        return {}
    lines = [f"- {note(one)}" for one in told[:_WARNINGS]]
    if len(told) > _WARNINGS:
        lines.append(f"- ... and {number(len(told) - _WARNINGS)} more")
    return {"warnings": dg.MetadataValue.md("\n".join(lines))}


_WARNINGS = 20


def counted(changes: Sequence[Change]) -> dict[str, int]:
    """How many changes there are of each action."""
    counts = Counter(change.action for change in changes)
    return {action.value: counts[action] for action in Action if counts[action]}
