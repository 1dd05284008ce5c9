"""What became of announced writes whose answer nobody has: of a run that was killed, or of a request that got none.

Only a look at the destination can tell. Where it cannot be taken now, the write stays announced, which is *uncertain*,
and the next run looks again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit.moving import goodbye
from secretsync_core.audit.record import Draft, Event
from secretsync_core.audit.reopening import is_late
from secretsync_core.counting import plural
from secretsync_core.errors import SecretNotFound, SecretSyncError
from secretsync_core.model.change import Action, Change, Reason
from secretsync_core.model.report import Outcome, Result
from secretsync_core.model.versions import is_same_object
from secretsync_core.run.look import look_at_keys
from secretsync_core.run.record import counts_of, told

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.record import Record
    from secretsync_core.audit.state import Recorded
    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.versions import VersionOrder
    from secretsync_core.run.fingerprint import Fingerprinter
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.record import Recorder
    from secretsync_core.secret import Secret

CODE = "uncertain"
"""The code of an outcome that nobody knows yet."""

NEXT = "the next run finds out whether it was made"
"""What happens to it, for people."""


class Fate(Enum):
    """What a look at the destination says of an announced write."""

    MADE = "made"
    NOT_MADE = "not made"
    THEIRS = "theirs"  # something else stands there than what was before, and than what was announced
    UNSEEN = "unseen"  # it cannot be looked at now
    REFUSED = "refused"  # the store answered, and said no
    REPLACED = "replaced"  # what a later run recorded stands there
    UNTOLD = "untold"  # another version stands there, and its value cannot be read: nobody knows whose it is
    NEVER_SEEN = "never seen"  # it can never be looked at: we may only write there, or the documents have it no more


UNKNOWN = (Fate.UNSEEN, Fate.NOT_MADE, Fate.UNTOLD)
"""The fates that tell nothing for sure right after a request that got no answer."""


class Found(NamedTuple):
    """A fate, and with MADE the version that we made; None where that one cannot be told from a later one."""

    fate: Fate
    version: str | None = None


def judge(
    intended: Draft,
    looked: Secret | SecretSyncError,
    fingerprinter: Fingerprinter,
    newer: Recorded | None = None,
) -> Found:
    """What a look says of an announced write; ``looked`` is what stands there, or why that was not seen.

    ``newer`` is what the ledger has of the key from a record that is later than the announcement.
    """
    if isinstance(looked, SecretNotFound):
        return Found(Fate.MADE if intended.action == "delete" else Fate.NOT_MADE)
    if isinstance(looked, SecretSyncError):
        return Found(Fate.UNSEEN)
    if newer is not None and _is_recorded(newer, intended, looked, fingerprinter):
        return Found(Fate.REPLACED)
    stood = looked.version is not None and looked.version == intended.dest_version  # no write went through since
    if intended.action == "delete":
        # With Merge only our fields were to go.
        place = (intended.dest, intended.key)
        left = not intended.fields or fingerprinter.holds(*place, looked.value, intended.fields)
        return Found(Fate.NOT_MADE if left or stood else Fate.MADE)
    if stood:
        return Found(Fate.NOT_MADE)
    if fingerprinter.is_value(intended.fingerprint, intended.dest, intended.key, looked.value, intended.fields):
        return Found(Fate.MADE, looked.version)
    # A secret without versions may be what was there before.
    seen_before = intended.action == "update" and (looked.version is None or intended.dest_version is None)
    return Found(Fate.NOT_MADE if seen_before else Fate.THEIRS)


def judge_by_version(
    intended: Draft, entry: Entry | None, newer: Recorded | None = None, *, marked: bool = False
) -> Found:
    """The same where a look shows versions and no values; ``entry`` is None where the key is absent.

    ``marked``: it carries this job's mark, which it got when it was created.
    """
    deleting = intended.action == "delete"
    if entry is None or entry.deleted:
        return Found(Fate.MADE if deleting else Fate.NOT_MADE)
    if newer is not None and entry.version is not None and newer.version == entry.version:
        return Found(Fate.REPLACED)
    if deleting or (entry.version is not None and entry.version == intended.dest_version):
        return Found(Fate.NOT_MADE)
    if marked and intended.action == "create":
        # The secret is ours. That nobody has changed it since is another matter, so no version counts as ours.
        return Found(Fate.MADE)
    return Found(Fate.UNTOLD)


def _is_recorded(newer: Recorded, intended: Draft, looked: Secret, fingerprinter: Fingerprinter) -> bool:
    """Whether what stands there is what the ledger has of it, so that nothing else was written since."""
    if newer.version is not None and looked.version is not None:
        return newer.version == looked.version
    return fingerprinter.is_value(newer.fingerprint, intended.dest, intended.key, looked.value, newer.fields)


async def look_at(
    intended: Draft, opened: OpenStores, fingerprinter: Fingerprinter, newer: Recorded | None = None
) -> Found:
    """Look at the destination of an announced write. What carries another owner's mark is never taken for ours."""
    if intended.dest not in opened.stores:
        # Gone from the documents, or out of reach now: only the first is for good.
        return Found(Fate.UNSEEN if intended.dest in opened.failed else Fate.NEVER_SEEN)
    halves = opened.get(intended.dest)
    if halves.looker is None:
        return Found(Fate.NEVER_SEEN)
    try:
        if halves.reader is None:
            return await _look_unread(intended, opened, newer)
        found = judge(intended, await halves.reader.read(intended.key), fingerprinter, newer)
        if found.fate is Fate.MADE and intended.owned:
            mark = None
            if halves.marker is not None and opened.mark:
                mark = (await halves.marker.marks([intended.key])).get(intended.key)
            of_others = mark is not None and mark not in {opened.mark, *opened.former_marks}
            if of_others or (mark is None and _is_remade(intended, found, halves.facts.version_order)):
                return Found(Fate.THEIRS)
    except SecretSyncError as error:
        return judge(intended, error, fingerprinter)
    return found


def _is_remade(intended: Draft, found: Found, order: VersionOrder) -> bool:
    """Whether an update is seen in another secret than the one that it was to change."""
    before = intended.dest_version if intended.action == "update" else None
    return before is not None and not is_same_object(found.version, before, order)


async def _look_unread(intended: Draft, opened: OpenStores, newer: Recorded | None) -> Found:
    """Look at the destination of an announced write that cannot be read."""
    halves = opened.get(intended.dest)
    seen = await look_at_keys(opened, intended.dest, [intended.key])
    if intended.key in seen.hidden:
        return Found(Fate.UNSEEN)
    entry = seen.entries.get(intended.key)
    mark = None
    if entry is not None and not entry.deleted and intended.owned and halves.marker is not None and opened.mark:
        mark = (await halves.marker.marks([intended.key])).get(intended.key)
    ours = {opened.mark, *opened.former_marks}
    # A mark that outlives its secret may be that of one which this job had there before.
    found = judge_by_version(intended, entry, newer, marked=mark in ours and not halves.facts.lasting_marks)
    return Found(Fate.THEIRS) if found.fate is Fate.UNTOLD and mark is not None and mark not in ours else found


# -- What earlier runs left -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Settled:
    """What came of the announced writes that earlier runs, or steps of this one, left without an outcome.

    Attributes:
        left: those that are still uncertain, oldest first.
        fates: how many had which fate.
        theirs: where somebody else's value stands, by destination.
        untold: where something stands of which nobody can tell whether an earlier run wrote it.
        not_made: the (destination, key) of what the look did not find. A server that hung may carry it out yet.
    """

    left: list[Draft] = field(default_factory=list)
    fates: Counter[Fate] = field(default_factory=Counter)
    theirs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    untold: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    not_made: set[tuple[str, str]] = field(default_factory=set)

    @property
    def places(self) -> set[tuple[str, str]]:
        """The (destination, key) of what is still uncertain. Nothing is written there before it is settled."""
        return {(draft.dest, draft.key) for draft in self.left}

    @property
    def warnings(self) -> list[str]:
        """What is worth a word, one sentence each."""
        return [
            *(
                f"{dest} holds other values than an earlier run may have written, at {_listed(keys)}: it belongs to"
                " somebody else"
                for dest, keys in sorted(self.theirs.items())
            ),
            *(
                f"{dest} holds other versions than before an earlier run, at {_listed(keys)}, and cannot be read:"
                " whether that run wrote it is unknown, so it counts as changed outside"
                for dest, keys in sorted(self.untold.items())
            ),
        ]


def _listed(keys: Sequence[str]) -> str:
    return f"{', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''} ({plural(len(keys), 'secret')})"


async def settle(
    job: str,
    run: str,
    ledger: Ledger,
    recorder: Recorder,
    opened: OpenStores,
    fingerprinter: Fingerprinter,
    only: Callable[[Draft], bool] | None = None,
    *,
    name_now: Callable[[str], str] = str,
) -> Settled:
    """Give every intent that an earlier run left open its outcome, as far as a look tells, and close that run.

    ``run`` itself may be one of them, where a step of it was killed and another goes on: that one is not closed.
    An intent whose destination cannot be looked at now stays open, and its run unsettled, for the next run to see.
    With ``only``, other intents are left alone and no run is closed: other steps of this run may be at work.
    ``name_now`` gives what a destination of then is called now.
    """
    settled = Settled()
    runs: Mapping[str, bool] = await recorder.call(lambda: ledger.runs.unsettled_runs(job))
    if not runs:
        return settled
    made: dict[str, Counter[Result]] = defaultdict(Counter)
    records: list[Record] = await recorder.call(lambda: ledger.runs.unsettled(job))
    announced = [record.draft._replace(dest=name_now(record.draft.dest)) for record in records]
    left_open = [draft for draft in announced if only is None or only(draft)]
    newer = await recorder.call(lambda: _newer(ledger, job, records))
    looks = await asyncio.gather(
        *(look_at(intended, opened, fingerprinter, newer.get(intended.intent)) for intended in left_open)
    )
    for intended, found in zip(left_open, looks, strict=True):
        settled.fates[found.fate] += 1
        if found.fate is Fate.UNSEEN:
            settled.left.append(intended)
            continue
        if found.fate in (Fate.NOT_MADE, Fate.REPLACED):
            settled.not_made.add((intended.dest, intended.key))
        if found.fate is Fate.THEIRS:
            settled.theirs[intended.dest].append(intended.key)
        if found.fate is Fate.UNTOLD:
            settled.untold[intended.dest].append(intended.key)
        if found.fate is Fate.MADE:
            made[intended.run][_RESULTS[intended.action]] += 1
        recorder.later(_record(intended, found, runs)._replace(run=run))
        if found.fate is Fate.MADE and intended.reason == Reason.RELEASED:
            recorder.later(goodbye(run, intended.item, intended.dest, intended.key))
    still_open = {draft.run for draft in settled.left}
    for name, has_ended in runs.items():
        if only is None and name not in still_open and name != run:
            counts = made[name]
            if not has_ended:  # its end is this one, and says all that it did
                counts += await recorder.call(partial(counts_of, ledger, job, name))
                del counts[Result.UNCERTAIN]
            reason = Reason.SETTLED if has_ended else Reason.INTERRUPTED
            recorder.later(Draft(Event.RUN_FINISHED, run=name, reason=reason, counts=told(counts)))
    await recorder.flush()
    return settled


def _newer(ledger: Ledger, job: str, announced: Collection[Record]) -> dict[str, Recorded]:
    """By intent, what the ledger has of its key from a record that is later than the announcement.

    One that was opened again is late: whatever the ledger has by then counts as newer.
    """
    recorded = ledger.state.recorded(job, {(record.draft.dest, record.draft.key) for record in announced})
    found = ((record, recorded.get((record.draft.dest, record.draft.key))) for record in announced)
    return {
        record.draft.intent: held
        for record, held in found
        if held is not None and (held.seq > record.seq or is_late(record.draft.intent))
    }


_RESULTS = {"create": Result.CREATED, "update": Result.UPDATED, "delete": Result.DELETED}


def _record(intended: Draft, found: Found, runs: Mapping[str, bool]) -> Draft:
    """The record of a look, for a write of an earlier run; ``runs`` has whether each has ended."""
    reason = Reason.SETTLED if runs[intended.run] else Reason.INTERRUPTED
    unseen = found.fate in (Fate.NEVER_SEEN, Fate.UNTOLD)
    record = outcome(intended, found, Reason.CANNOT_SEE if unseen else reason)
    return record._replace(reason=reason) if found.fate is Fate.MADE else record


def outcome(intended: Draft, found: Found, code: str) -> Draft:
    """The record of what a look found of an announced write; ``code`` says why it failed, where it did."""
    if found.fate is Fate.MADE:
        return intended._replace(event=Event.DONE, dest_version=found.version)
    return intended._replace(event=Event.FAILED, reason=code)


# -- What stays uncertain ---------------------------------------------------------------------------------------------


def uncertain(change: Change, fate: Fate, why: str) -> Outcome:
    """The outcome of a change that may have been made, or may be yet; ``why`` says how its request ended."""
    return Outcome(change, Result.UNCERTAIN, CODE, f"it may have been written, and {_SEEN[fate]}: {why}", NEXT)


_SEEN = {
    Fate.UNSEEN: "cannot be looked at",
    Fate.NOT_MADE: "cannot be seen there so far",
    Fate.UNTOLD: "what is there cannot be read to tell",
}


def still_uncertain(intended: Draft, change: Change | None) -> Outcome:
    """The outcome of what an earlier run announced and nobody can see yet; ``change`` is what would be done today."""
    change = change or Change(
        intended.item, intended.dest, intended.key, _ACTIONS[intended.action], Reason.INTERRUPTED,
        source_version=intended.source_version, dest_version=intended.dest_version, definition=intended.definition,
        owned=intended.owned,
    )  # fmt: skip
    message = "an earlier run may have written it, and it cannot be looked at now: nothing is written there meanwhile"
    return Outcome(change, Result.UNCERTAIN, CODE, message, NEXT)


_ACTIONS = {"create": Action.CREATE, "update": Action.UPDATE, "delete": Action.DELETE}


def spare(changes: Collection[Change], places: Collection[tuple[str, str]]) -> list[Change]:
    """The changes of other places than these."""
    return [change for change in changes if (change.dest, change.key) not in places]


def uncertain_writes(count: int) -> str:
    """What a plan, which settles nothing, says of the writes that are open."""
    writes = "write of an earlier run is" if count == 1 else "writes of earlier runs are"
    return f"{count} {writes} uncertain: a sync looks at the destination first, and settles what became of that"
