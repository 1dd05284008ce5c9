"""What a run that only looks shows of its plan: all of it, deletes and refusals first, and that nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.cli.escape import safe
from secretsync_core.cli.plan_order import (
    FIRST,
    Pairs,
    by_prefix,
    counts_line,
    key_of,
    parts,
    title,
    to_show,
    versions_of,
)
from secretsync_core.cli.wording import advice, why
from secretsync_core.counting import number, plural
from secretsync_dagster import metadata
from secretsync_dagster.naming import DRY_RUN_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.schema.documents import JobDocument

ROWS = 1000
"""The most rows of the table; deletes and refusals beyond it follow in the log, everything else is counted."""

_LINES = 200  # of one log entry
_PREFIXES = 100

ONLY_LOOKS = "DRY RUN: this run only looks. It writes nothing, to no store and not to the ledger."


def mark(context: dg.OpExecutionContext, job: str, *, dry: bool, all_dry: bool) -> None:
    """Tag the run as one that only looks; or take the tag's word back, which a re-execution has from its parent.

    ``dry`` is whether this SyncJob is only looked at, and ``all_dry`` whether so are all others of the run.
    """
    tagged = context.run.tags.get(DRY_RUN_TAG)
    if tagged != "true" and all_dry:
        context.instance.add_run_tags(context.run_id, {DRY_RUN_TAG: "true"})
    elif tagged == "true" and not all_dry:
        context.instance.add_run_tags(context.run_id, {DRY_RUN_TAG: "false"})
    if dry and all_dry:
        context.log.info(ONLY_LOOKS)
    elif dry:
        context.log.info("DRY RUN of SyncJob %s: nothing of it is written. This run syncs others.", job)


def show(
    context: dg.OpExecutionContext,
    job: JobDocument,
    changes: Sequence[Change],
    warnings: Sequence[str],
    *,
    command: str,
) -> None:
    """Show a plan as the metadata of the step's output ``manifest``, and in the log what does not fit there.

    ``command`` is the command line's that shows the same.
    """
    pairs = Pairs(job)
    ordered = [change for part in parts(to_show(changes)) for change in sorted(part, key=pairs.of)]
    shown, left = ordered[:ROWS], ordered[ROWS:]
    context.add_output_metadata(
        {
            "dry run": dg.MetadataValue.text(ONLY_LOOKS),
            "stores": pairs.heading,
            "plan": _table(shown, pairs),
            **_more(left, command),
            **{f"would {name}": count for name, count in metadata.counted(changes).items()},
            **metadata.warnings(warnings),
        },
        output_name="manifest",
    )
    for text in _texts([change for change in left if change.action in FIRST], pairs):
        context.log.warning(text)
    context.log.info("%s Nothing was written: this was a dry run.", counts_line(changes))


def _table(changes: Sequence[Change], pairs: Pairs) -> dg.TableMetadataValue:
    """The plan key by key; between which stores only where a job has several.

    What would be done and why are one column: Dagster breaks the words of a narrow one.
    """
    columns = ["key", "would", "versions", *([] if pairs.one else ["stores"])]
    rows = [
        [
            key_of(change),
            ": ".join(filter(None, (change.action.value, "; ".join(filter(None, (why(change), advice(change))))))),
            versions_of(change.dest_version, change.source_version),
            *([] if pairs.one else [pairs.of(change)]),
        ]
        for change in changes
    ]
    return metadata.table(columns, rows)


def _more(left: Sequence[Change], command: str) -> dict[str, dg.MetadataValue]:
    """What the table has no room for, by the first part of its keys; nothing where it has room for all."""
    if not left:
        return {}
    first = [change for change in left if change.action in FIRST]
    told = f"the table ends after {number(ROWS)} rows; more: {title(left).lower()}; `{command}` shows every key"
    if first:
        told += f"; deletes and refusals among them ({number(len(first))}) are in the log of this step, each one"
    return {
        "more of the plan": metadata.text(told),
        "more by the first part of the key": metadata.table(("keys", "would"), list(by_prefix(left, _PREFIXES))),
    }


def _texts(changes: Sequence[Change], pairs: Pairs) -> Iterator[str]:
    """Log entries with one line for each change."""
    for at in range(0, len(changes), _LINES):
        some = changes[at : at + _LINES]
        lines: list[Any] = [f"more of the plan: {plural(len(some), 'delete or refusal', 'deletes and refusals')}"]
        lines += [safe(f"{change.action.value} {pairs.of(change)}: {key_of(change)}: {why(change)}") for change in some]
        yield "\n".join(lines)
