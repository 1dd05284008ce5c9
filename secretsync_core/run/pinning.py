"""What of a saved plan can be told only by values: where a side has no versions, values are named in their place.

The other half of :mod:`~secretsync_core.run.pins`, which is pure.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING

from secretsync_core.errors import SecretNotFound, SecretSyncError
from secretsync_core.model.change import Action, Reason
from secretsync_core.run.fingerprint import Fingerprinter
from secretsync_core.run.pins import Named, moved, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.model.metadata import Slot
    from secretsync_core.run.compare import Comparer, Verdict
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.pins import Pins, Place
    from secretsync_core.run.record import Recorder

_STILL = (Action.UNCHANGED, Action.SKIP, Action.REFUSE)


async def name_values(
    changes: Sequence[Change], comparer: Comparer, opened: OpenStores, key: bytes, concurrency: int
) -> dict[Place, Named]:
    """Name the values of those copies of a plan that versions do not tell; reads them once more."""
    fingerprinter = Fingerprinter(key)
    found: dict[Place, Named] = {}

    async def worker(rest: Iterator[Change]) -> None:
        for change in rest:
            try:
                wanted = await comparer.want(change.item, change.sources)
                compared = change
                if change.action is Action.UPDATE and opened.readable(change.dest):
                    compared = change._replace(action=Action.COMPARE)  # as the run will: with Merge it adds our fields
                verdict = await comparer.decide(compared, wanted)
                current = await _current(change, opened, fingerprinter)
            except SecretSyncError:
                continue  # without a name the run refuses it
            if verdict.value is not None:
                value = fingerprinter.value(change.dest, change.key, verdict.value)
                found[change.dest, change.key] = Named(value, current)

    rest = iter([change for change in changes if _lacks_versions(change)])
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker(rest))
    return found


async def name_deletes(places: Iterable[Place], recorder: Recorder, key: bytes) -> dict[Place, Named]:
    """Names of the values that the ledger has of keys to be deleted, whose stores have no versions. Nothing is read."""
    keys: dict[str, list[str]] = {}
    for dest, name in places:
        keys.setdefault(dest, []).append(name)
    known = {dest: await recorder.fingerprints(dest, names) for dest, names in keys.items()}
    return {
        (dest, name): Named(current=hmac.digest(key, f"{dest}\0{name}\0{fingerprint}".encode(), "sha256").hex())
        for dest, found in known.items()
        for name, (fingerprint, _) in found.items()
    }


def _lacks_versions(change: Change) -> bool:
    update = change.action is Action.UPDATE
    return (update and change.dest_version is None) or (
        (update or change.action is Action.CREATE) and change.source_version is None
    )


async def _current(change: Change, opened: OpenStores, fingerprinter: Fingerprinter) -> str:
    """The name of what stands at a destination that has no versions; empty where that need not be known."""
    if change.action is not Action.UPDATE or change.dest_version is not None or not opened.readable(change.dest):
        return ""
    try:
        current = await opened.reader(change.dest).read(change.key)
    except SecretNotFound:
        return ""
    return fingerprinter.value(change.dest, change.key, current.value)


class PinCheck:
    """Says of what is about to be written whether a saved plan names it. ``beyond`` has what it does not name."""

    def __init__(self, pins: Pins, opened: OpenStores) -> None:
        self.beyond: list[Change] = []
        self._pins = pins
        self._opened = opened
        self._fingerprinter = Fingerprinter(pins.key)

    async def judge(self, verdict: Verdict, *, marked: bool = False) -> Verdict:
        """The verdict; refused where it is another one than the plan's, and left alone where the plan has none.

        ``marked``: it was taken over, and our mark on it may count as a version.
        """
        change = verdict.change
        if change.action in _STILL:
            return verdict
        pin = self._pins.changes.get((change.dest, change.key))
        if pin is None:
            self.beyond.append(change)
            return verdict._replace(change=change._replace(action=Action.SKIP, reason=Reason.MOVED_SINCE_PLAN))
        why = moved(pin, change, marked=marked) or await self._other_values(pin, verdict)
        return verdict._replace(change=refusal(change, why)) if why else verdict

    async def value_at(self, change: Change) -> str:
        """A name of the value that stands at a destination now; empty where there is none, or we may not read it."""
        if not self._opened.readable(change.dest):
            return ""
        try:
            current = await self._opened.reader(change.dest).read(change.key)
        except SecretNotFound:
            return ""
        return self._fingerprinter.value(change.dest, change.key, current.value)

    def metadata(self, change: Change, lacking: Mapping[Slot, str]) -> dict[Slot, str]:
        """What of ``lacking`` the plan has set beside a value; the rest is left alone."""
        pin = self._pins.changes.get((change.dest, change.key))
        planned = {slot: text for slot, text in lacking.items() if pin is not None and slot.words in pin.metadata}
        if len(planned) < len(lacking):
            self.beyond.append(change)
        return planned

    async def _other_values(self, pin: Change, verdict: Verdict) -> str:
        """In what the values are others than the plan's, where versions do not tell."""
        if not _lacks_versions(pin) or verdict.value is None:
            return ""
        named = self._pins.named.get((pin.dest, pin.key), Named())
        if self._fingerprinter.value(pin.dest, pin.key, verdict.value) != named.wanted:
            return "what would be written is another value than the plan saw"
        if await _current(pin, self._opened, self._fingerprinter) != named.current:
            return "the destination holds another value than the plan saw"
        return ""
