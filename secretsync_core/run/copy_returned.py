"""Copies that this job deleted, and that are at the destination again though nothing asks for them.

A destination that is restored from a backup brings back what was deleted since. The ledger knows what it deleted, at
which version and with which value, so that such a copy is told; and it is deleted once more where it is proven to be
the one that went: its value is the same, and its version is too or it carries this job's mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.counting import plural
from secretsync_core.errors import SecretNotFound, SecretSyncError
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.run.look import look_at_keys
from secretsync_core.run.origins import read_sources
from secretsync_core.schema.job import WritePolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.state import Deleted
    from secretsync_core.run.fingerprint import Fingerprinter
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.seen import State

Gone = dict[str, dict[str, "Deleted"]]
"""What the ledger says was deleted and is not live: by destination, by key."""


class Returned(NamedTuple):
    """A deleted key that is there again.

    Attributes:
        key: where.
        deleted: what the ledger knows of its delete.
        version: the version that stands there now.
        marked: it carries this job's mark.
        proven: it is what this job had deleted.
    """

    key: str
    deleted: Deleted
    version: str | None
    marked: bool
    proven: bool


def gone_keys(plan: JobPlan, deleted: Mapping[tuple[str, str], Deleted], state: State) -> Gone:
    """What was deleted and is not live, of the items of this run and of those that left the document."""
    selected = {item.name for item in plan.items}
    gone: Gone = {}
    for (dest, key), told in deleted.items():
        if key not in state.get(dest, {}) and (not plan.partial or told.item in selected):
            gone.setdefault(dest, {})[key] = told
    return gone


def beside(known: Collection[str], gone: Collection[str]) -> set[str]:
    """Those of ``gone`` that lie among the known keys, so that a look at these sees them at no cost."""
    if not known or not gone:
        return set()
    # The two ends of what is in order have in common what all have in common.
    first, last = min(known), max(known)
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    folder = first[: first.rfind("/", 0, same) + 1]
    return {key for key in gone if key.startswith(folder)}


def weigh(key: str, deleted: Deleted, entry: Entry, *, mark: str | None, ours: Collection[str],
          same: bool | None) -> Returned | None:  # fmt: skip
    """Whether what stands there is what was deleted; None where it is somebody else's.

    ``same`` is whether its value is the one that went, None where nobody knows.
    """
    if mark is not None and mark not in ours:
        return None
    marked = mark is not None
    same_version = entry.version is not None and entry.version == deleted.version
    if not (marked or same_version or same):
        return None
    return Returned(key, deleted, entry.version, marked, bool(same) and (marked or same_version))


async def find_returned(
    plan: JobPlan,
    opened: OpenStores,
    fingerprinter: Fingerprinter,
    dest: str,
    gone: Mapping[str, Deleted],
    seen: Mapping[str, Entry] | None = None,
) -> list[Returned]:
    """Look for deleted keys at a destination that may be looked at; ``seen`` is what a look has shown of them already.

    What cannot be looked at now is not told: it is no error of this run, and the next one looks again.
    """
    entries = dict(seen or {})
    try:
        if rest := [key for key in gone if key not in entries] if seen is None else []:
            entries |= (await look_at_keys(opened, dest, rest)).entries
        there = {key: entry for key, entry in entries.items() if key in gone and not entry.deleted}
        marker = opened.get(dest).marker
        marks: Mapping[str, str] = {}
        if there and marker is not None and opened.mark and plan.spec.ownership.mark is not False:
            marks = await marker.marks(list(there))
        found = []
        lasting = opened.get(dest).facts.lasting_marks
        ours = {opened.mark, *opened.former_marks}
        for key, entry in there.items():
            mark, told = marks.get(key), gone[key]
            if (mark is not None and mark not in ours) or (mark is None and _is_another(entry, told)):
                continue
            reader, same = opened.get(dest).reader, None
            try:
                value = None if reader is None else (await reader.read(key)).value
            except SecretNotFound:
                continue  # a listing may be late
            if told.fields and (value is None or not fingerprinter.holds(dest, key, value, told.fields)):
                continue  # only our fields went, and they are not back, or nobody can see it
            if value is not None and told.fingerprint:
                same = fingerprinter.is_value(told.fingerprint, dest, key, value)
            if lasting and _is_another(entry, told):
                mark = None  # it stands there since before the delete, whoever has written since
            if (one := weigh(key, told, entry, mark=mark, ours=ours, same=same)) is not None:
                found.append(one)
    except SecretSyncError:
        return []
    return found


def _is_another(entry: Entry, deleted: Deleted) -> bool:
    """Whether versions say that somebody made a new secret there."""
    return entry.version is not None and deleted.version is not None and entry.version != deleted.version


def decide_returned(plan: JobPlan, dest: str, found: Iterable[Returned]) -> list[Change]:
    """What is to be done: deleted again where that is proven and asked for, and told in any case."""
    return [_decide(plan, dest, one) for one in found]


def _decide(plan: JobPlan, dest: str, found: Returned) -> Change:
    told = found.deleted
    change = Change(
        told.item, dest, found.key, Action.DELETE, Reason.BACK_AGAIN, dest_version=found.version,
        definition=told.definition, owned=True, drift=Drift.CHANGED,
    )  # fmt: skip
    if not plan.deletes.get(told.item, plan.deletes_gone):
        return change._replace(action=Action.SKIP, detail="deletionPolicy keeps it")
    held = Action.REFUSE if found.marked else Action.SKIP
    item = next((item for item in plan.items if item.name == told.item), None)
    policy = item.write_policy if item is not None else plan.spec.write_policy
    if policy is WritePolicy.MERGE or not found.proven:
        return change._replace(action=held, detail="it is not proven to be what this job left there")
    if item is not None and read_sources(told.source_key, combined=item.combined, split=item.split) is None:
        return change._replace(action=held, detail="the ledger does not say what it was made of")
    return change


def tell_returned(changes: Sequence[Change]) -> list[str]:
    """A sentence for each destination where something is kept that is back."""
    kept: dict[str, list[str]] = {}
    for change in changes:
        if change.reason is Reason.BACK_AGAIN and change.action is not Action.DELETE:
            kept.setdefault(change.dest, []).append(change.key)
    return [
        f"{dest} holds {plural(len(keys), 'secret')} again that this job had deleted: {', '.join(keys[:3])}"
        f"{', ...' if len(keys) > 3 else ''}; if they were restored from a backup, delete what should not stay"
        for dest, keys in kept.items()
    ]
