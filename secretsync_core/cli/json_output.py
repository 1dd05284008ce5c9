"""The shapes of ``--output json``. Names are camelCase, times RFC 3339 in UTC, counts and seconds numbers.

stdout holds exactly one JSON document (``audit export``: one a line). What a command has to say of itself is beside
its results under ``exitCode``, the code that the process ends with.

Every command, where it as a whole fails::

    {"error": {"code", "message", "hint",
               "problems"?: [problem],       the documents are wrong
               "reasons"?: [text]}}          the plan is refused

problem::

    {"file", "line", "severity": "error"|"warning", "message", "hint"}

``validate``::

    {"problems": [problem], "stores": [name], "jobs": [name], "exitCode"}

``plan``::

    {"jobs": [{"job", "source", "dest": [name], "counts": {action: number}, "changes": [change],
               "warnings": [text], "errors": [itemError], "requests": {store: {kind: number}},
               "error": null | error}],
     "saved"?: {"file", "digest"},
     "warnings": [problem], "exitCode"}

``saved`` is there where ``--out`` wrote the plan to a file; ``digest`` is the file's SHA-256 in hex.

change (``plan`` lists every one, unchanged ones too)::

    {"item", "dest", "key", "action", "reason", "why",
     "sources": [{"store", "key", "part"?}], "sourceVersion", "destVersion",
     "owned", "adopt": true | false, "drift": "none"|"changed"|"removed"|"unknown", "detail",
     "failure": null | {"code", "message", "hint"},
     "fields": null | {"added": [name], "changed": [name], "dropped": [name], "formattingOnly": true | false},
     "metadata": [name]}

``adopt`` says that the secret is taken over. ``failure`` is what the sync would say of a secret that it cannot write,
where the plan has found that out. ``fields`` are what a write would do to the fields of a secret that the
job meets for the first time, where both values have fields; ``formattingOnly`` where they are the same JSON but for
its spacing and the order of its fields. ``metadata`` is what is to be set beside the value, such as ``label team``.

itemError::

    {"item", "code", "message", "hint", "exitCode"}

``sync`` and ``check``::

    {"jobs": [{"job", "run", "started", "finished", "seconds", "ok", "stopped",
               "counts": {result: number}, "items": {item: {result: number}},
               "outcomes": [outcome],        every one that is not unchanged
               "drifted": [change], "driftedCount", "driftUnknown",
               "warnings": [text], "errors": [itemError], "requests": {store: {kind: number}},
               "plan": null | digest,        of the saved plan that was carried out
               "error": null | error}],
     "warnings": [problem], "exitCode"}

outcome::

    change and {"result", "code", "message", "hint", "newVersion"}

``undo`` (``jobs`` is as of ``plan``, or as of ``sync`` where it was ``applied``)::

    {"undoes": run, "applied": true | false, "jobs": [...], "warnings": [problem], "exitCode"}

``orphans`` (``jobs`` is as of ``sync`` and with ``orphans`` where they were deleted)::

    {"jobs": [{"job", "orphans": [{"dest", "key", "item", "why": "destination-gone"|"item-gone"|"not-wanted"}],
               "errors": [itemError], "forgotten"?: number, "error": null | error}],
     "warnings": [problem], "exitCode"}

``rebind``::

    {"job", "store", "before": place | "", "now": place, "exitCode"}

``rename``::

    {"from", "job", "keys": number, "exitCode"}

``status``::

    {"jobs": [{"job", "source", "dest": [name], "schedule", "timezone", "suspended", "running", "onChangeSeconds",
               "lastRun": null | {"run", "started", "finished", "counts": {name: number}, "reason", "ok"},
               "lastSuccess": null | time, "keys", "failed", "nextRun": null | time, "overdue": null | true | false,
               "outOfSync": null | [{"item": null | name, "run", "since"}],
               "lastDriftCheck": null | {"run", "time", "driftedCount",
                                         "drifted": [{"item", "dest", "key", "drift": "changed"|"removed"}]}}],
     "warnings": [problem], "exitCode"}

``outOfSync`` is null where no ledger keeps it; its ``item`` is null for the job as a whole. ``drifted`` has the first
keys only, as many as the check named.

``health`` (``ledger.ok`` and ``exists`` are null where its key cannot be used)::

    {"ok",
     "stores": [{"store", "provider", "permissions", "ok", "asked": [text], "seconds", "requests": {kind: number},
                 "error": null | error}],
     "key": {"where", "ok", "error": null | error},
     "ledger": {"name", "exists", "ok", "chains", "version": null | number, "seconds", "error": null | error},
     "warnings": [problem], "exitCode"}

``stores``::

    {"stores": [{"provider", "variant", "package", "version", "abilities": null | [name],
                 "limits": null | {"maxBytes", "maxFields", "maxKeyBytes", "keyPattern", "keyRule"}, "problem"}]}

``audit log``::

    {"records": [record], "more": true | false, "exitCode"}

record (``audit export`` writes the same, one a line)::

    {"job", "seq", "time", "event", "run", "intent", "item", "dest", "key", "action", "reason", "source", "sourceKey",
     "sourceVersion", "destVersion", "definition", "fingerprint", "owned", "fields", "counts",
     "requests": {store: {kind: number}}, "previous", "hash"}

``audit migrate``::

    {"ledger", "before", "after", "exitCode"}

``audit rotate-key``::

    {"ledger", "rotated", "pending", "formerKeys": number, "namedByFormerKeys": {job: number}, "exitCode"}

``audit verify``::

    {"chains": [{"job", "records", "seq", "head", "sound", "faults": [{"seq", "message"}], "unnamedFaults"}],
     "sound", "exitCode"}
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from secretsync_core.cli.times import iso
from secretsync_core.errors import DocumentError, PlanRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from secretsync_core.errors import Problem, SecretSyncError
    from secretsync_core.model.change import Change, Difference
    from secretsync_core.model.report import ItemError, Outcome, Report
    from secretsync_core.run.done import Planned
    from secretsync_core.schema.documents import JobDocument

Object = dict[str, Any]


def problem_object(problem: Problem) -> Object:
    """One problem of one document."""
    return {
        "file": problem.file,
        "line": problem.line,
        "severity": "warning" if problem.warning else "error",
        "message": problem.message,
        "hint": problem.hint,
    }


def error_object(error: SecretSyncError) -> Object:
    """An error that ended a command, or a job."""
    found: Object = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, DocumentError):
        found["problems"] = [problem_object(problem) for problem in error.problems]
    if isinstance(error, PlanRefused):
        found["reasons"] = list(error.reasons)
    return found


def item_error_object(error: ItemError) -> Object:
    """What kept an item, or a part of it, from being synced."""
    return {
        "item": error.item,
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "exitCode": error.exit_code,
    }


def change_object(change: Change) -> Object:
    """One destination secret and what is to be done with it."""
    from secretsync_core.cli.wording import why

    return {
        "item": change.item,
        "dest": change.dest,
        "key": change.key,
        "action": change.action,
        "reason": change.reason,
        "why": why(change),
        "sources": [
            {"store": ref.store, "key": ref.key, **({"part": ref.part} if ref.part else {})} for ref in change.sources
        ],
        "sourceVersion": change.source_version,
        "destVersion": change.dest_version,
        "owned": change.owned,
        "adopt": change.adopt,
        "drift": change.drift,
        "detail": change.detail,
        "failure": None if change.failure is None else change.failure._asdict(),
        "fields": _fields_object(change.differs),
        "metadata": list(change.metadata),
    }


def _fields_object(differs: Difference | None) -> Object | None:
    if differs is None:
        return None
    return {
        "added": differs.added,
        "changed": differs.changed,
        "dropped": differs.dropped,
        "formattingOnly": differs.formatting_only,
    }


def plan_object(planned: Planned, job: JobDocument) -> Object:
    """What a run of one job would do."""
    return {
        "job": planned.job,
        "source": job.spec.source,
        "dest": list(job.spec.dest),
        "counts": dict(Counter(change.action for change in planned.changes)),
        "changes": [change_object(change) for change in planned.changes],
        "warnings": planned.warnings,
        "errors": [item_error_object(error) for error in planned.errors],
        "requests": planned.requests,
        "error": None,
    }


def outcome_object(outcome: Outcome) -> Object:
    """One change and what became of it."""
    return {
        **change_object(outcome.change),
        "result": outcome.result,
        "code": outcome.code,
        "message": outcome.message,
        "hint": outcome.hint,
        "newVersion": outcome.dest_version,
    }


def report_object(report: Report, outcomes: Sequence[Object], drifted: Iterable[Change]) -> Object:
    """What one run of one job did."""
    totals: dict[str, int] = {}
    for counts in report.counts.values():
        for result, count in counts.items():
            totals[result] = totals.get(result, 0) + count
    return {
        "job": report.job,
        "run": report.run,
        "started": iso(report.started),
        "finished": iso(report.finished),
        "seconds": round(report.finished - report.started, 3),
        "ok": report.ok,
        "stopped": report.stopped,
        "counts": totals,
        "items": report.counts,
        "outcomes": outcomes,
        "drifted": [change_object(change) for change in drifted],
        "driftedCount": report.drifted_count,
        "driftUnknown": report.drift_unknown,
        "warnings": report.warnings,
        "errors": [item_error_object(error) for error in report.errors],
        "requests": report.requests,
        "plan": report.plan or None,
        "error": None,
    }
