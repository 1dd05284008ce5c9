"""What people see of a run: tables, counts and a summary, as Dagster metadata. Names and versions, never a value."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.cli.escape import safe
from secretsync_core.cli.held_view import failure, names, since, versions
from secretsync_core.cli.plan_order import versions_of
from secretsync_core.cli.wording import drift, reason
from secretsync_core.counting import number, plural
from secretsync_core.model.change import Action
from secretsync_core.model.report import NOT_DONE, Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.audit.held import FailedKey, Found, HeldKey
    from secretsync_core.cli.plan_order import Pairs
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError, Outcome, Report

_REASONS = 3
_DRIFT = ("key", "item", "drift")
ROWS = 100
"""The most rows that a table shows; it says so where there are more."""

MOST_PAGES = 50
"""The most items whose pages are told what concerns all of them alike: each is an event that Dagster keeps."""


def outcome_table(outcomes: Sequence[Outcome], pairs: Pairs, total: int = 0) -> dg.TableMetadataValue:
    """Each key with what happened to it and why, and both versions; what went wrong first. ``total``: of all of them.

    Three columns: in Dagster's list of events there is no room for more, and it breaks the words of narrow ones.
    """
    ordered = sorted(outcomes, key=lambda outcome: (outcome.result not in NOT_DONE, outcome.change.key))
    return _table(
        ("key", "result", "versions"),
        [
            (
                pairs.key_of(outcome.change),
                f"{outcome.result.value}: {_why(outcome)}",
                versions_of(outcome.dest_version or outcome.change.dest_version, outcome.change.source_version),
            )
            for outcome in ordered[:ROWS]
        ],
        max(total, len(ordered)),
        "`secretsync audit log --run` has every write and every failure",
    )


def held_table(held: Sequence[HeldKey], count: int, pairs: Pairs) -> dg.TableMetadataValue:
    """The keys that an item holds, each with what it is a copy of, both versions, and the run that it is from.

    Long versions and the run's id are cut, or they leave no room for the key; the job that finds keys shows all of
    them.
    """
    rows = [
        (
            names(key, dest=not pairs.one_dest, source=not pairs.one_source),
            versions(key, whole=False),
            since(key, whole=False),
        )
        for key in held
    ]
    return _table(("key", "versions", "since"), rows, count, "the job that finds keys shows any of them")


def found_table(found: Found) -> dg.TableMetadataValue:
    """Keys that were searched for, of any number of jobs: those that a last run failed at first."""
    rows = [(names(key, dest=True, source=True), _whose(key), failure(key)) for key in found.failed]
    rows += [
        (names(key, dest=True, source=True), _whose(key), f"{versions(key, whole=True)}, {since(key, whole=True)}")
        for key in found.held
    ]
    more = "write more of the key"
    return _table(("key", "job / item", "since"), rows, found.total + len(found.failed), more)


def _whose(key: HeldKey | FailedKey) -> str:
    return f"{key.job} / {key.item}"


def first_reasons(bad: Sequence[Outcome], pairs: Pairs, total: int) -> str:
    """``: a: why; one and two: b: why; and 7 more``, of what failed first; empty where nothing did.

    A key that fails alike in several destinations is told once, with all of them.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for outcome in sorted(bad, key=lambda one: (one.change.key, one.change.dest)):
        alike.setdefault((safe(outcome.change.key), safe(_why(outcome))), []).append(outcome.change.dest)
    first = list(alike.items())[:_REASONS]
    told = [
        f"{key}: {why}" if pairs.one_dest else f"{' and '.join(dests)}: {key}: {why}" for (key, why), dests in first
    ]
    shown = sum(len(dests) for _, dests in first)
    if told and total > shown:
        told.append(f"and {number(total - shown)} more")
    return f": {'; '.join(told)}" if told else ""


def first_errors(told: Sequence[ItemError]) -> str:
    """The first of what kept items from being synced, and how many more there are."""
    more = f"; and {plural(len(told) - 1, 'more error')}" if len(told) > 1 else ""
    return f"{safe(told[0].message)}{more}"


def what_to_do(bad: Sequence[Outcome], errors: Sequence[ItemError] = ()) -> dict[str, dg.MetadataValue]:
    """The hints of what failed, each once, as the command line tells them; nothing where there are none."""
    hints = dict.fromkeys(filter(None, [*(one.hint for one in bad), *(error.hint for error in errors)]))
    return {"what to do": text("; ".join(list(hints)[:_REASONS]))} if hints else {}


def _why(outcome: Outcome) -> str:
    return outcome.message or reason(str(outcome.code or outcome.change.reason))


def drift_table(changes: Sequence[Change], pairs: Pairs, total: int) -> dg.TableMetadataValue:
    """The keys that were changed or removed outside SecretSync."""
    ordered = sorted(changes, key=lambda change: (change.key, change.dest))[:ROWS]
    return drift_rows([(pairs.key_of(change), change.item, drift(change)) for change in ordered], total)


def drift_rows(rows: Sequence[Sequence[str]], total: int) -> dg.TableMetadataValue:
    """The table of :func:`drift_table`, by its rows; ``total``: how many keys there are in all."""
    return _table(_DRIFT, rows[:ROWS], total, "`secretsync check JOB --output json` lists every one")


def joined(first: dg.MetadataValue, second: dg.MetadataValue) -> tuple[list[Sequence[str]], int]:
    """The rows of two tables of drift, each key once, as it was found last; and how many of them both tables have."""
    rows, others = ({row[:2]: row for row in _drift_rows_of(each)} for each in (first, second))
    return list((rows | others).values()), len(rows.keys() & others.keys())


def _drift_rows_of(value: dg.MetadataValue) -> list[tuple[str, ...]]:
    """The rows of a table of drift, without the one that says how many more there are."""
    assert isinstance(value, dg.TableMetadataValue)  # noqa: S101  the caller has made it
    found = [tuple(str(record.data[column]) for column in _DRIFT) for record in value.records]
    return [row for row in found if row[-1]]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], total: int, where: str) -> dg.TableMetadataValue:
    """A table, and a last row that says how many more there are and where they are to be found."""
    more = [f"... and {number(total - len(rows))} more; {where}", *[""] * (len(columns) - 1)]
    return table(columns, [*rows, more] if total > len(rows) else rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> dg.TableMetadataValue:
    """A table of texts."""
    records = [dg.TableRecord(dict(zip(columns, map(safe, row), strict=True))) for row in rows]
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
    counts: Mapping[Result, int], *, drifted: int = 0, seconds: float | None = None, requests: int | None = None
) -> dict[str, dg.MetadataValue]:
    """Counts as numeric metadata, under names that stay the same from run to run, so that Dagster plots them."""
    told = {**_tally(counts), "uncertain": counts.get(Result.UNCERTAIN, 0), "drifted": drifted}
    shown: dict[str, dg.MetadataValue] = {name: dg.MetadataValue.int(count) for name, count in told.items()}
    if seconds is not None:
        shown["seconds"] = dg.MetadataValue.float(round(seconds, 3))
    if requests is not None:
        shown["requests"] = dg.MetadataValue.int(requests)
    return shown


def of_whole_run(numbers: Mapping[str, dg.MetadataValue]) -> dict[str, dg.MetadataValue]:
    """The numbers of a run, under names of their own: Dagster plots what has one name in one plot, items and runs."""
    return {f"run: {name}": value for name, value in numbers.items()}


def summary(report: Report, healed: int) -> dict[str, dg.MetadataValue]:
    """A run item by item, and what is to be said of it."""
    rows = [
        (item or "the job", *map(number, _tally(counts).values())) for item, counts in sorted(report.counts.items())
    ]
    told: dict[str, dg.MetadataValue] = {"summary": table(("item", *_SHOWN), rows)}
    if uncertain := report.total(Result.UNCERTAIN):
        told["to be settled"] = dg.MetadataValue.text(uncertain_words(uncertain))
    if healed:
        told["healed"] = dg.MetadataValue.text(f"{plural(healed, 'secret')} of steps that never ran synced by this one")
    return {**told, **warnings(report.warnings), **errors(report.errors)}


def errors(told: Sequence[ItemError]) -> dict[str, dg.MetadataValue]:
    """What kept items from being synced, each as a text."""
    return _texts(
        "error",
        [f"{error.item}: {said}" if error.item else said for error in told for said in [sentence(error)]],
    )


def sentence(error: ItemError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def uncertain_words(count: int) -> str:
    """What is to be said of secrets of which nobody knows whether they were written."""
    return f"{plural(count, 'secret')} uncertain: the next run looks at the destination and settles it"


def warnings(told: Sequence[str]) -> dict[str, dg.MetadataValue]:
    """Sentences, each as a text; nothing where there are none."""
    return _texts("warning", told)


def _texts(name: str, told: Sequence[str]) -> dict[str, dg.MetadataValue]:
    """``warning 1``, ``warning 2`` and so on. Texts and no Markdown: names from stores and files stand in them."""
    shown: dict[str, dg.MetadataValue] = {f"{name} {at}": text(one) for at, one in enumerate(told[:_TEXTS], 1)}
    if len(told) > _TEXTS:
        shown[f"more {name}s"] = dg.MetadataValue.text(f"and {number(len(told) - _TEXTS)} more")
    return shown


_TEXTS = 20


def text(told: str) -> dg.TextMetadataValue:
    """A text in which names from outside may stand, of which no character turns or hides others."""
    return dg.MetadataValue.text(safe(told))


def counted(changes: Sequence[Change]) -> dict[str, int]:
    """How many changes there are of each action."""
    counts = Counter(change.action for change in changes)
    return {action.value: counts[action] for action in Action if counts[action]}
