"""Which runs are worth a message, and what it says."""

from __future__ import annotations

import pytest

from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.model.report import ItemError, Outcome, Report, Result
from secretsync_core.notify.ending import Ending, events_of, of_report
from secretsync_core.notify.wording import headline, json_body, slack_text, text
from secretsync_core.schema.notify import NotifyEvent

FAILURE, RECOVERY, DRIFT, BLOCKED = (
    NotifyEvent.FAILURE,
    NotifyEvent.RECOVERY,
    NotifyEvent.DRIFT,
    NotifyEvent.BLOCKED_DELETES,
)


def change(key: str, action: Action = Action.UPDATE, *, drift: Drift = Drift.NONE, source: bool = True) -> Change:
    sources = (SourceRef("source", key),) if source else ()
    return Change("item", "dest", key, action, Reason.NEW, sources, owned=not source, drift=drift)


@pytest.mark.parametrize(
    ("ending", "previous", "expected"),
    [
        (Ending("j", "r", ok=True), None, []),
        (Ending("j", "r", ok=True), True, []),
        (Ending("j", "r", ok=True), False, [RECOVERY]),
        (Ending("j", "r", ok=False), True, [FAILURE]),
        (Ending("j", "r", ok=False), False, [FAILURE]),
        (Ending("j", "r", ok=True, drifted_count=1), False, [DRIFT, RECOVERY]),
        (Ending("j", "r", ok=False, blocked=2), None, [FAILURE, BLOCKED]),
    ],
)
def test_events(ending: Ending, previous: bool | None, expected: list[NotifyEvent]) -> None:
    """A run is worth a message for failure, blocked deletes, drift, and success after a run that did not go well."""
    assert events_of(ending, previous) == expected


def test_a_report_becomes_an_ending() -> None:
    """Counts, failed keys in order, drift, blocked deletes and errors are taken over; refused copies block nothing."""
    report = Report("run-1", "job", 0.0)
    report.begin({"item": 7}, [], [ItemError("other", "unavailable", "the store cannot be reached", "", 3)], 0)
    report.add(Outcome(change("b"), Result.FAILED, "access-denied", "denied"))
    report.add(Outcome(change("a"), Result.FAILED, "conflict", "it changed"))
    report.add(Outcome(change("c", drift=Drift.CHANGED), Result.UPDATED))
    report.add(Outcome(change("d", Action.REFUSE, source=False), Result.REFUSED, Reason.MAX_DELETE))
    report.add(Outcome(change("e", Action.REFUSE), Result.REFUSED, Reason.INVALID_KEY))
    ending = of_report(report)
    assert (ending.ok, ending.blocked, ending.failed_count, ending.drifted_count) == (False, 1, 2, 1)
    assert ending.counts == {"updated": 1, "unchanged": 7, "refused": 2, "failed": 2}
    assert [(key.key, key.reason) for key in ending.failed] == [("a", "conflict"), ("b", "access-denied")]
    assert ending.errors == ("other: the store cannot be reached",)
    assert report.counted.endswith("drifted=1 blocked=1")


def test_only_the_first_keys_are_named() -> None:
    """A message names twenty failed keys, and counts the rest."""
    report = Report("run-1", "job", 0.0)
    for number in range(50):
        report.add(Outcome(change(f"k{number:02}"), Result.FAILED, "conflict"))
    ending = of_report(report)
    body = json_body(ending, [FAILURE])
    assert len(body["failed"]) == 20
    assert body["failedCount"] == 50
    assert "and 30 more" in text(ending)


def test_names_from_outside_do_no_harm() -> None:
    """Line breaks in a key are escaped, and so is Slack's markup; no key ends the block of code that it stands in."""
    report = Report("run-1", "job", 0.0)
    report.add(Outcome(change("a\n<!channel>&"), Result.FAILED, "conflict"))
    ending = of_report(report)
    assert "- a\\u000a<!channel>& in dest: conflict" in text(ending)
    assert "a\\u000a&lt;!channel&gt;&amp;" in slack_text(ending, [FAILURE])
    report.add(Outcome(change("```![x](http://x)"), Result.FAILED, "conflict"))
    assert slack_text(of_report(report), [FAILURE]).count("`") == 6
    assert headline(ending, [FAILURE, BLOCKED]) == "SecretSync: job failed, deletes were blocked"
