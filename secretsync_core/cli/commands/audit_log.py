"""``secretsync audit log``: what was recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core import known
from secretsync_core.audit.counts import results_of
from secretsync_core.audit.export import to_document
from secretsync_core.audit.record import PLAN, REOPENED, UNDO, Event
from secretsync_core.audit.schema import PLACED
from secretsync_core.cli import exits, workspace
from secretsync_core.cli.escape import safe
from secretsync_core.cli.layout import hang, widest
from secretsync_core.cli.paint import cells, pad
from secretsync_core.cli.plan_view import shown_version
from secretsync_core.cli.times import clock, moment
from secretsync_core.cli.wording import reason
from secretsync_core.counting import number, plural
from secretsync_core.errors import UsageError
from secretsync_core.model.place import place_of_text

if TYPE_CHECKING:
    from secretsync_core.audit.record import Record
    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output

_STYLES = {Event.DONE: "green", Event.FAILED: "bold red", Event.SKIPPED: "dim", Event.INTENDED: "dim"}


class Wanted(NamedTuple):
    """Which records are asked for; None and empty are all."""

    job: str | None
    run: str | None
    key: str | None
    since: str | None
    events: tuple[str, ...]
    limit: int


def run(output: Output, call: Call, wanted: Wanted) -> int:
    """Show the newest records that fit, the newest last."""
    if which := known.which("--event", wanted.events, set(Event)):
        raise UsageError(f"{which} names no event", hint=known.hint_of(wanted.events, list(Event), there="events"))
    since = moment(wanted.since, datetime.now(UTC), of="--since") if wanted.since else None
    with workspace.ledger(call, keyless=True) as opened:
        workspace.note_trouble(opened, output)
        records = list(
            opened.ledger.records(
                job=wanted.job,
                run=wanted.run,
                key=wanted.key,
                since=max(0, int(since.timestamp() * 1e6)) if since else None,
                events=[Event(event) for event in wanted.events] or None,
                limit=wanted.limit + 1 if wanted.limit else None,
                newest_first=True,
            )
        )
    more = bool(wanted.limit) and len(records) > wanted.limit
    records = (records[: wanted.limit] if more else records)[::-1]
    if output.json:
        output.document({"records": [to_document(record) for record in records], "more": more, "exitCode": exits.OK})
        return exits.OK
    _show(records, output)
    output.flush()
    if more:
        output.note(f"showing only the newest {number(wanted.limit)}; use --limit 0 for all")
    if not records:
        output.note("no matching records")
    return exits.OK


def _show(records: list[Record], output: Output) -> None:
    times = [clock(record.time / 1e6) for record in records]
    wide_job = widest((record.job for record in records), 3, 40)
    wide_event = widest((record.draft.event for record in records), 5)
    wide_time = widest(times)
    for record, when in zip(records, times, strict=True):
        draft = record.draft
        plain = f"{pad(when, wide_time)}  {pad(safe(record.job), wide_job)}  {pad(draft.event, wide_event)}  "
        style = _STYLES.get(draft.event, "")
        before = plain
        if output.paint.on:
            before = f"{output.paint(pad(when, wide_time), 'dim')}  {pad(safe(record.job), wide_job)}  "
            before += f"{output.paint(pad(draft.event, wide_event), style)}  "
        output.line(hang(before, cells(plain), _words(record), output.columns, 6))


def _count(name: str, count: int) -> str:
    if name == "orphans":
        return plural(count, "orphan")
    return f"{number(count)} {'there again' if name == 'returned' else name}"


def _words(record: Record) -> str:
    """What a record says besides when, whose and which kind."""
    draft = record.draft
    if draft.event is Event.RUN_STARTED and draft.reason == UNDO:
        return f"run {safe(draft.run)} undoes run {safe(draft.intent)}"
    if draft.event is Event.RUN_STARTED and draft.reason == PLAN:
        return f"run {safe(draft.run)} carries out plan sha256:{draft.definition}"
    if draft.event is Event.RUN_STARTED and draft.reason == REOPENED:
        return f"run {safe(draft.run)} wrote late: the next run looks at it"
    if draft.event is Event.RUN_STARTED:
        return f"run {safe(draft.run)}"
    if draft.event is Event.RUN_FINISHED:
        pairs = [_count(name, count) for name, count in results_of(draft.counts).items()]
        ended = f" ({reason(draft.reason)})" if draft.reason else ""
        return f"run {safe(draft.run)}: {', '.join(pairs) or 'nothing to do'}{ended}"
    if draft.event is Event.SKIPPED and draft.reason == PLACED:
        return f"{draft.dest} is {safe(str(place_of_text(draft.key) or draft.key))}"
    words = [draft.action, f"{draft.dest}:{safe(draft.key)}"] if draft.dest else []
    if draft.source_key and draft.action != "delete":
        same = draft.source_key == draft.key
        words.append(f"<- {draft.source}" if same else f"<- {draft.source}:{safe(draft.source_key)}")
    if draft.source_version is not None and draft.source_key and draft.action != "delete":
        words.append(f"@{shown_version(draft.source_version)}")
    if draft.event is Event.DONE and draft.dest_version is not None:
        words.append(f"as {shown_version(draft.dest_version)}")
    if draft.reason:
        words.append(f"({reason(draft.reason)})")
    return " ".join(word for word in words if word)
