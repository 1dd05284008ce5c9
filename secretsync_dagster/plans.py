"""What a run that only looks shows of its plan: all of it, deletes and refusals first, and that nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.cli.markdown import code
from secretsync_core.cli.plan_order import FIRST, Pairs, by_prefix, counts_line, key_of, parts, title, to_show
from secretsync_core.cli.wording import advice, why
from secretsync_core.counting import number, plural
from secretsync_core.model.inventory import display_version
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


def mark(context: dg.OpExecutionContext, *, dry: bool) -> None:
    """Tag the run as one that only looks; or take the tag's word back, which a re-execution has from its parent."""
    tagged = context.run.tags.get(DRY_RUN_TAG)
    if tagged != "true" and dry:
        context.instance.add_run_tags(context.run_id, {DRY_RUN_TAG: "true"})
    elif tagged == "true" and not dry:
        context.instance.add_run_tags(context.run_id, {DRY_RUN_TAG: "false"})
    if dry:
        context.log.info(ONLY_LOOKS)


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
            "dry run": dg.MetadataValue.md(f"**{ONLY_LOOKS}**"),
            "stores": pairs.heading,
            "plan": _table(shown, pairs),
            **({"more of the plan": _counted(left, command)} if left else {}),
            **{f"would {name}": count for name, count in metadata.counted(changes).items()},
            **metadata.warnings(warnings),
        },
        output_name="manifest",
    )
    for text in _texts([change for change in left if change.action in FIRST], pairs):
        context.log.warning(text)
    context.log.info("%s Nothing was written: this was a dry run.", counts_line(changes))


def _table(changes: Sequence[Change], pairs: Pairs) -> dg.TableMetadataValue:
    """The plan key by key; between which stores only where a job has several."""
    columns = ["key", "would", "why", "source version", "destination version", *([] if pairs.one else ["stores"])]
    rows = [
        [
            key_of(change),
            change.action.value,
            "; ".join(filter(None, (why(change), advice(change)))),
            display_version(change.source_version),
            display_version(change.dest_version),
            *([] if pairs.one else [pairs.of(change)]),
        ]
        for change in changes
    ]
    return metadata.table(columns, rows)


def _counted(left: Sequence[Change], command: str) -> dg.MarkdownMetadataValue:
    """What the table has no room for, by the first part of its keys."""
    first = [change for change in left if change.action in FIRST]
    lines = [f"The table ends after {number(ROWS)} rows. More: {title(left).lower()}."]
    if first:
        lines.append(f"Deletes and refusals among them ({number(len(first))}) are in the log of this step, each one.")
    lines += [f"`{command}` shows every key. By the first part of their keys:", ""]
    lines += [f"- {code(prefix)}: {words}" for prefix, words in by_prefix(left, _PREFIXES)]
    return dg.MetadataValue.md("\n".join(lines))


def _texts(changes: Sequence[Change], pairs: Pairs) -> Iterator[str]:
    """Log entries with one line for each change."""
    for at in range(0, len(changes), _LINES):
        some = changes[at : at + _LINES]
        lines: list[Any] = [f"more of the plan: {plural(len(some), 'delete or refusal', 'deletes and refusals')}"]
        lines += [f"{change.action.value} {pairs.of(change)}: {key_of(change)}: {why(change)}" for change in some]
        yield "\n".join(lines)
