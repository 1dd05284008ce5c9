"""After a run that was killed: what it had announced is looked up at the destination, and what is true is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.audit.record import Draft, Event
from secretsync_core.errors import SecretNotFound
from secretsync_core.model.change import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.record import Record
    from secretsync_core.engine.canonical import Fingerprinter
    from secretsync_core.engine.opening import OpenStores
    from secretsync_core.engine.recorder import Recorder


async def settle(
    job: str,
    run: str,
    ledger: Ledger,
    recorder: Recorder,
    opened: OpenStores,
    fingerprinter: Fingerprinter,
    only: Callable[[Draft], bool] | None = None,
) -> int:
    """Give every intent that a dead run left open its outcome, and end that run; gives how many there were.

    ``run`` itself may be one of them, where a step of it was killed and another goes on: that one is not ended.
    An intent whose destination cannot be looked at now stays open, and its run unfinished, for the next run to see.
    With ``only``, other intents are left alone and no run is ended: other steps of this run may be at work.
    """
    dead: list[str] = await recorder.call(_for(ledger.runs.unfinished, job))
    if not dead:
        return 0
    unsettled: list[Record] = await recorder.call(_for(ledger.runs.unsettled, job))
    unsettled = [record for record in unsettled if only is None or only(record.draft)]
    left: set[str] = set()
    for record in unsettled:
        outcome = await _outcome(record.draft, run, opened, fingerprinter)
        if outcome is None:
            left.add(record.draft.run)
        else:
            recorder.later(outcome)
    for name in dead:
        if only is None and name not in left and name != run:
            recorder.later(Draft(Event.RUN_FINISHED, run=name, reason=Reason.INTERRUPTED))
    await recorder.flush()
    return len(unsettled)


def _for(work: Callable[[str], list[Any]], job: str) -> Callable[[], list[Any]]:
    return lambda: work(job)


async def _outcome(intended: Draft, run: str, opened: OpenStores, fingerprinter: Fingerprinter) -> Draft | None:
    """What became of one announced write; None where it cannot be found out now."""
    told = intended._replace(run=run, reason=Reason.INTERRUPTED)
    not_done = told._replace(event=Event.FAILED)
    if intended.dest not in opened.stores:
        # Gone from the documents, or out of reach now: only the first is for good.
        return None if intended.dest in opened.failed else not_done._replace(reason=Reason.CANNOT_SEE)
    reader = opened.get(intended.dest).reader
    if reader is None:
        return not_done._replace(reason=Reason.CANNOT_SEE)
    try:
        found = await reader.read(intended.key)
    except SecretNotFound:
        gone = told._replace(event=Event.DONE, dest_version=None)
        return gone if intended.action == "delete" else not_done
    except Exception:  # noqa: BLE001  a third party's store may raise anything
        return None
    if intended.action == "delete":
        # With Merge only our fields were to go.
        left = not intended.fields or fingerprinter.holds(intended.dest, intended.key, found.value, intended.fields)
        return not_done if left else told._replace(event=Event.DONE, dest_version=None)
    if not fingerprinter.is_value(intended.fingerprint, intended.dest, intended.key, found.value, intended.fields):
        return not_done
    return told._replace(event=Event.DONE, dest_version=found.version)
