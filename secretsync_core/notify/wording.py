"""What a message says: one text for people, and one JSON object for programs. The same from wherever a run started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.model.report import Result
from secretsync_core.schema.notify import NotifyEvent
from secretsync_core.unsafe_characters import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.notify.ending import Ending, Key

_HEADLINES = {
    NotifyEvent.FAILURE: "failed",
    NotifyEvent.BLOCKED_DELETES: "deletes were blocked",
    NotifyEvent.DRIFT: "has drift",
    NotifyEvent.RECOVERY: "recovered",
}
_COUNTS = {Result.NOT_REACHED: "not reached"}


def headline(ending: Ending, events: Sequence[NotifyEvent]) -> str:
    """One line: the job, and what happened."""
    return f"SecretSync: {ending.job} {', '.join(_HEADLINES[event] for event in events)}"


def more(ending: Ending) -> str:
    """The command that tells more."""
    if ending.looked:
        return f"secretsync check {ending.job}"
    return f"secretsync audit log --run {ending.run}" if ending.run else f"secretsync plan {ending.job}"


def text(ending: Ending) -> str:
    """All that is told, in lines."""
    lines = [_counts(ending)] if ending.counts else []
    lines += [_safe(error) for error in ending.errors]
    if ending.blocked:
        lines.append(f"Blocked deletes: {ending.blocked:,}")
    lines += _keys("Failed", ending.failed, ending.failed_count)
    lines += _keys("Uncertain until the next run looks", ending.uncertain, ending.uncertain_count)
    lines += _keys("Changed or removed outside SecretSync", ending.drifted, ending.drifted_count)
    lines.append(f"Details: {more(ending)}")
    return "\n".join(lines)


def json_body(ending: Ending, events: Sequence[NotifyEvent]) -> dict[str, Any]:
    """What a webhook gets. Documented in docs/documents.md."""
    return {
        "job": ending.job,
        "run": ending.run,
        "event": events[0].value,
        "events": [event.value for event in events],
        "ok": ending.ok,
        "counts": dict(ending.counts),
        "failed": [_key_object(key) for key in ending.failed],
        "failedCount": ending.failed_count,
        "uncertain": [_key_object(key) for key in ending.uncertain],
        "uncertainCount": ending.uncertain_count,
        "drifted": [_key_object(key) for key in ending.drifted],
        "driftedCount": ending.drifted_count,
        "blockedDeletes": ending.blocked,
        "errors": [_safe(error) for error in ending.errors],
        "summary": headline(ending, events),
        "text": text(ending),
        "more": more(ending),
    }


def slack_text(ending: Ending, events: Sequence[NotifyEvent]) -> str:
    """The text as Slack takes it, where ``<``, ``>`` and ``&`` would be markup.

    All but the first line is a block of code, in which names are no links, pictures, mentions or emphasis to Slack or
    to what is compatible with it.
    """
    block = text(ending).replace("`", "'")
    plain = f"{headline(ending, events)}\n```\n{block}\n```"
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _counts(ending: Ending) -> str:
    return ", ".join(f"{count:,} {_COUNTS.get(Result(name), name)}" for name, count in ending.counts.items())


def _keys(title: str, keys: Sequence[Key], count: int) -> list[str]:
    if not count:
        return []
    lines = [f"{title} ({count:,}):", *(f"- {_safe(key.key)} in {key.dest}: {key.reason}" for key in keys)]
    return lines if count <= len(keys) else [*lines, f"- and {count - len(keys):,} more"]


def _key_object(key: Key) -> dict[str, str]:
    return {"item": key.item, "dest": key.dest, "key": _safe(key.key), "reason": key.reason}


def _safe(line: str) -> str:
    return UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
