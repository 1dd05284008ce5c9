"""What metadata the plan wants beside each destination secret, and in what a secret lacks it. Pure, without a value.

Only what a job created or took over is touched, and only what the documents ask for: all other tags, labels and the
like stay. Nothing is taken away, for nothing tells what an earlier document had asked for from what people have set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.counting import plural
from secretsync_core.metadata_rules import NEVER_COPIED, OURS, change_fault, in_utc, metadata_fault
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.metadata import SETTINGS, Kind, Slot
from secretsync_core.schema.job import WritePolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.change import Change
    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.metadata import Described
    from secretsync_core.model.plan import Target
    from secretsync_core.run.items import Item, JobPlan
    from secretsync_core.run.seen import Destination, SourceSeen


def everything_on(entry: Entry, facts: StoreFacts) -> Described | None:
    """All the metadata that an entry shows, by kind and name; None where we may not look at it.

    Where only the notes may not be looked at, they count as the document wants them.
    """
    kind = main_kind(facts)
    if entry.metadata is None:
        return None
    main = {} if kind is None else {Slot(kind, name): text for name, text in entry.metadata.items()}
    if entry.notes is None:
        return {**{slot: text for slot, text in facts.metadata.asked.items() if slot.kind is not kind}, **main}
    return {**main, **entry.notes}


def carried(entry: Entry, item: Item) -> Described:
    """What an item copies of a source's metadata: annotations and settings as such, and all else under one kind."""
    texts = {Slot(Kind.CUSTOM, name): text for name, text in (entry.metadata or {}).items()}
    texts |= {slot: text for slot, text in (entry.notes or {}).items() if slot.kind is Kind.ANNOTATION}
    named = {slot: text for slot, text in texts.items() if item.copies(slot.name) and _may_be_copied(slot.name)}
    return {**named, **_settings(entry, texts, item.settings)}


def _settings(entry: Entry, texts: Described, names: Iterable[str]) -> Described:
    """The settings of a secret; of one that has none what its metadata of that name says."""
    found: dict[Slot, str] = {}
    for name in names:
        kind = SETTINGS[name]
        places = (Slot(kind), Slot(Kind.CUSTOM, name), Slot(Kind.ANNOTATION, name))
        text = next((told[slot] for slot in places for told in (entry.notes or {}, texts) if slot in told), None)
        if text is not None:
            # Of a time that is none the destination says so, where it needs one.
            found[Slot(kind)] = (in_utc(text) or text) if kind in (Kind.EXPIRES, Kind.NOT_BEFORE) else text
    return found


def _may_be_copied(name: str) -> bool:
    return not name.lower().startswith(NEVER_COPIED)


def main_kind(facts: StoreFacts) -> Kind | None:
    """What custom metadata is in a store; None where there is none that takes any name."""
    return next(iter(facts.metadata.rules), None)


def translated(copied: Described, item: Item, facts: StoreFacts) -> Described:
    """What is copied, as the kinds of metadata that the destination has. Of two of one name a label wins."""
    kinds, main = facts.metadata.rules, main_kind(facts)
    made: dict[Slot, str] = {}
    for slot, text in copied.items():
        if slot.kind in facts.metadata.settings:
            made[slot] = text
            continue
        if main is None:
            continue
        if (setting := _SETTING_NAMES.get(slot.kind)) is not None:
            wanted = item.copy_as or Kind.ANNOTATION
            made[Slot(wanted if wanted in kinds else main, setting)] = text
            continue
        wanted = item.copy_as or (Kind.ANNOTATION if slot.kind is Kind.ANNOTATION else main)
        there = Slot(wanted if wanted in kinds else main, slot.name)
        if there not in made or slot.kind is not Kind.ANNOTATION:
            made[there] = text
    return made


_SETTING_NAMES = {kind: name for name, kind in SETTINGS.items()}


def wanted_at(item: Item, copied: Described, facts: StoreFacts) -> Described:
    """All the metadata that a destination secret is to have. What the SecretStore asks for comes first."""
    return {**translated(copied, item, facts), **facts.metadata.asked}


def missing(wanted: Described, found: Described) -> dict[Slot, str]:
    """What of ``wanted`` is not there, or is otherwise."""
    return {slot: text for slot, text in wanted.items() if found.get(slot) != text}


def names(slots: Iterable[Slot]) -> tuple[str, ...]:
    """What people call them, sorted."""
    return tuple(sorted(slot.words for slot in slots))


class Wishes:
    """What the plan wants beside every destination secret, against what was seen there."""

    def __init__(self, plan: JobPlan, facts: Mapping[str, StoreFacts], mark: str) -> None:
        """``facts``: of the stores that tell and set what stands beside their secrets; ``mark``: the job's own."""
        self._items = {item.name: item for item in plan.items}
        self._facts = facts
        self._dests = plan.spec.dest
        self._mark = mark if plan.spec.ownership.mark is not False else ""
        self._marks_everywhere = plan.spec.ownership.mark is True
        self._copying = any(item.carries for item in plan.items)
        self._carried: dict[str, Mapping[str, Described]] = {}
        self._unseen: dict[str, set[str]] = {}

    @property
    def any(self) -> bool:
        """Whether anything is wanted anywhere."""
        return any(self.concern(dest) for dest in self._dests)

    def concern(self, store: str) -> bool:
        """Whether anything is wanted in a destination."""
        facts = self._facts.get(store)
        if facts is None:
            return False
        beside = facts.metadata
        return bool(beside.asked or (self._copying and (beside.rules or beside.settings)))

    def learn(self, sources: Sequence[SourceSeen]) -> None:
        """Take in what the sources carry."""
        self._carried = {one.item.name: one.metadata for one in sources}

    def _wanted(self, target: Target, facts: StoreFacts) -> Described:
        item = self._items[target.item]
        copied = self._carried.get(item.name, {}).get(target.sources[0].key, {}) if item.carries else {}
        return wanted_at(item, copied, facts)

    def are_met(self, target: Target, dest: Destination) -> bool:
        """Whether a secret that stands at a destination, and is the job's, has all that is wanted beside it."""
        if not self._touches(target, dest):
            return True
        found = self._found(target.key, dest)
        return found is None or not missing(self._wanted(target, dest.facts), found)

    def _found(self, key: str, dest: Destination) -> Described | None:
        found = dest.seen.metadata.get(key)
        if found is None and (key in dest.seen.as_left or key in dest.seen.entries):
            self._unseen.setdefault(dest.name, set()).add(key)
        return found

    @property
    def warnings(self) -> list[str]:
        """What could not be compared, because we may not look at it."""
        return [
            f"{dest} does not let us look at the {_of_all(self._facts[dest])} of {plural(len(keys), 'secret')}:"
            " what the documents ask for there is not compared"
            for dest, keys in self._unseen.items()
        ]

    def _touches(self, target: Target, dest: Destination) -> bool:
        held = dest.known.get(target.key)
        ours = held is not None and held.owned
        return ours and not dest.blind and self.concern(dest.name) and self._may_update(target.item)

    def _may_update(self, item: str) -> bool:
        return self._items[item].write_policy is not WritePolicy.IF_NOT_EXISTS

    def judged(self, change: Change, target: Target, dest: Destination, entry: Entry | None) -> Change:
        """A change with what is to be set beside the value; refused where the destination cannot hold that."""
        if change.action in (Action.REFUSE, Action.SKIP) or not change.owned or dest.blind:
            return change
        if not self.concern(dest.name):
            return change
        if change.action is Action.CREATE:
            return self._created(change, target, dest, entry)
        if not self._may_update(target.item) or (found := self._found(target.key, dest)) is None:
            return change
        lacking = missing(self._wanted(target, dest.facts), found)
        if not lacking:
            return change
        if fault := metadata_fault(lacking, found, dest.facts.metadata) or change_fault(lacking, dest.facts.metadata):
            return _refused(change, fault)
        if change.action is Action.UNCHANGED:
            change = change._replace(action=Action.UPDATE, reason=Reason.METADATA, known=False)
        return change._replace(metadata=names(lacking))

    def _created(self, change: Change, target: Target, dest: Destination, entry: Entry | None) -> Change:
        facts = dest.facts
        wanted, asked = self._wanted(target, facts), facts.metadata.asked
        kind = main_kind(facts)
        marks = bool(self._mark) and (self._marks_everywhere or facts.metadata.at_creation)
        marked = {Slot(kind, OURS): self._mark} if kind is not None and marks else {}
        if fault := metadata_fault(wanted, {**asked, **marked}, facts.metadata):
            return _refused(change, fault)
        # What is brought back from a deletion has the metadata that it had.
        anew = facts.metadata.at_creation and entry is None
        lacking = {slot for slot in wanted if not (anew and slot in asked)}
        return change._replace(metadata=names(lacking))


def _of_all(facts: StoreFacts) -> str:
    kind = main_kind(facts)
    return "settings" if kind is None else f"{kind}s"


def _refused(change: Change, fault: str) -> Change:
    return change._replace(action=Action.REFUSE, reason=Reason.CANNOT_HOLD, detail=fault)
