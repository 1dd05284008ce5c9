"""Which of the names that the ledger knows a destination has now: by its place, and not by what it is called.

Pure but for :func:`bind`, which asks the ledger and records. See docs/design/0003-places.md.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit.places import binding_of
from secretsync_core.errors import PlaceChanged
from secretsync_core.model.place import Place, text_of
from secretsync_core.run.fingerprint import owner_marks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.record import Draft
    from secretsync_core.errors import SecretSyncError
    from secretsync_core.run.fingerprint import FingerprintKey
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.record import Recorder


class Binding(NamedTuple):
    """What the places of a job's destinations say of their names in the ledger.

    Attributes:
        places: by destination, the place to be recorded, where it is new or more is known of it now.
        former: by destination, the other names under which the ledger knows keys of the same place.
        refused: by destination, why nothing may be done there.
    """

    places: Mapping[str, Place]
    former: Mapping[str, tuple[str, ...]]
    refused: dict[str, SecretSyncError]

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """By destination, every name that its place had when values there were named."""
        return {dest: (*names, *(name.partition("@")[0] for name in names)) for dest, names in self.former.items()}

    def name_now(self, name: str) -> str:
        """What a name of the ledger's is called now."""
        return next((dest for dest, names in self.former.items() if name in names), name)


def judge(job: str, dests: Mapping[str, Place], known: Mapping[str, Place]) -> Binding:
    """What becomes of each name.

    Args:
        job: whose destinations.
        dests: the places of the destinations that are open and say theirs, in the order of the document.
        known: the places that the ledger has bound names of this job to.
    """
    refused: dict[str, SecretSyncError] = {}
    for dest, place in dests.items():
        twin = next((other for other in dests if other != dest and dests[other].is_same(place)), None)
        if twin is not None:
            refused[dest] = PlaceChanged(
                f"{dest} and {twin} are the same place: {place}", store=dest, hint="name one of the two in spec.dest"
            )
    went = {
        name: now
        for name, place in known.items()
        if (now := next((dest for dest in dests if dests[dest].is_same(place)), None)) is not None and now != name
    }
    changed = {dest: before for dest, before in known.items() if dest in dests and not before.is_same(dests[dest])}
    # A name that has lost its place to one that is refused has nowhere to give its keys, and is refused as well.
    while more := [dest for dest in changed if dest not in refused and went.get(dest, dest) in (dest, *refused)]:
        refused |= {dest: _changed(job, dest, changed[dest], dests[dest]) for dest in more}
    former: dict[str, list[str]] = defaultdict(list)
    for name, now in went.items():
        if now not in refused:
            former[now].append(name)
    places: dict[str, Place] = {}
    for dest, place in dests.items():
        before = known.get(dest)
        # The same server at another address, or one that tells more of itself now, is news too.
        told = place
        if before is not None and dest not in changed and not place.identity:
            told = place._replace(identity=before.identity)
        if dest not in refused and told != before:
            places[dest] = told
    return Binding(places, {now: tuple(names) for now, names in former.items()}, refused)


def _changed(job: str, dest: str, before: Place, now: Place) -> PlaceChanged:
    return PlaceChanged(
        f"{dest} is not where the ledger knows it: it was {before}, and is {now}",
        store=dest,
        hint=f"if the same secrets are there, `secretsync rebind {job} {dest} --moved`; if not, `--new` leaves what"
        " the job made at the old place as orphans. Two installations that share a ledger need different job names",
    )


def _silent(job: str, dest: str, before: Place) -> PlaceChanged:
    return PlaceChanged(
        f"{dest} no longer says where it is; the ledger knows it as {before}",
        store=dest,
        hint=f"SyncJob {job} does nothing there until it does; check the version of the store's package",
    )


def places_of(opened: OpenStores, dests: Sequence[str]) -> dict[str, Place]:
    """The places of those destinations that are open and say theirs."""
    found = {dest: opened.stores[dest].facts.place for dest in dests if dest in opened.stores}
    return {dest: place for dest, place in found.items() if place is not None}


async def find_binding(
    job: str, dests: Sequence[str], ledger: Ledger, recorder: Recorder, opened: OpenStores
) -> Binding:
    """Ask the ledger, and keep out of the run what must not be touched: such a destination counts as not open."""
    known = await recorder.call(lambda: ledger.places.of(job))
    told = places_of(opened, dests)
    found = judge(job, told, known)
    silent = {dest: known[dest] for dest in dests if dest in opened.stores and dest in known and dest not in told}
    found.refused.update({dest: _silent(job, dest, before) for dest, before in silent.items()})
    for dest, error in found.refused.items():
        opened.set_aside(dest, error)
    recorder.former = found.former
    return found


async def record_binding(
    job: str, run: str, binding: Binding, ledger: Ledger, recorder: Recorder, reached: Collection[str]
) -> None:
    """Record new places, and bring keys that the ledger has under a former name of a place to its present one.

    Of destinations that have been ``reached``: where a first address is wrong, nothing is to be bound to it.

    A name that is another place's now gives its keys away first, to a name that nobody has: at no moment does the
    ledger say of a key that it is where it is not, also where two names were exchanged, and whoever dies in between.
    """
    if not (binding.places or binding.former) or not await recorder.call(lambda: ledger.places.are_kept):
        return
    known = await recorder.call(lambda: ledger.places.of(job))

    async def rename(old: str, new: str) -> None:
        await recorder.under_lease(lambda holder: ledger.state.rename(job, run, old, new, holder=holder))

    former = {now: list(names) for now, names in binding.former.items()}
    for names in former.values():
        for name in [name for name in names if name in binding.places]:
            parked = parked_name(name, known[name])
            await record_all([binding_of(run, parked, known[name])], recorder)
            await rename(name, parked)
            names.append(parked)
    bound = {dest: place for dest, place in binding.places.items() if dest in known or dest in reached}
    await record_all([binding_of(run, dest, place) for dest, place in bound.items()], recorder)
    for now, names in former.items():
        for name in names:
            if name not in binding.places and (now in known or now in bound):
                await rename(name, now)
    recorder.former = {
        now: tuple(name for name in names if name not in binding.places) for now, names in former.items()
    }


async def record_all(drafts: Sequence[Draft | None], recorder: Recorder) -> None:
    """Append those records that can be, and wait until they are durable."""
    for draft in drafts:
        if draft is not None:
            recorder.later(draft)
    await recorder.flush()


_JOB = "job"
"""The service of what is no place: a binding of this service says what a job was called before."""


def former_name(old: str) -> tuple[str, Place]:
    """The binding that says that a job was called ``old`` before. No SecretStore can have such a name."""
    return f"{_JOB}:{old}", Place(_JOB, old, "")


async def marks_of(job: str, ledger: Ledger | None, recorder: Recorder | None, key: FingerprintKey) -> tuple[str, ...]:
    """The job's own mark, those that it had with former keys, and those of what it was called before."""
    if ledger is None or recorder is None:
        return owner_marks(job, key)
    known = await recorder.call(lambda: ledger.places.of(job))
    names = [job, *(place.server for place in known.values() if place.service == _JOB)]
    return tuple(mark for name in names for mark in owner_marks(name, key))


def parked_name(dest: str, place: Place) -> str:
    """What the ledger calls a place whose name has become another's."""
    return f"{dest[:100]}@{hashlib.sha256(text_of(place).encode()).hexdigest()[:8]}"
