"""A saved plan as a limit to what a run does; pure. See docs/design/0014-saved-plans.md.

A run that carries out a saved plan looks and decides as every run does. Of what it decided, only that is left which the
plan names and which is still as the plan saw it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.counting import plural
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.inventory import display_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.model.state import KeyState
    from secretsync_core.run.decide import ChangeSet

Place = tuple[str, str]
"""Destination and key."""

_COPIES = (Action.CREATE, Action.UPDATE)
_SHOWN = 5


class Named(NamedTuple):
    """Names of values, as HMACs, where versions are missing: of what would be written, and of what stands there."""

    wanted: str = ""
    current: str = ""


@dataclass(frozen=True, slots=True)
class Pins:
    """What a saved plan says of one job.

    Attributes:
        digest: hex SHA-256 of the plan's file.
        changes: what it says, by place; all that was not plainly unchanged.
        named: by place, the names of values, where a version is missing.
        key: what made these names.
    """

    digest: str
    changes: Mapping[Place, Change]
    named: Mapping[Place, Named] = field(default_factory=dict)
    key: bytes = field(default=b"", repr=False)


class Held(NamedTuple):
    """What is left of a change set under a saved plan, and what is due besides: one change for each such key.

    ``undone`` are the items of which something is to be copied besides: they are not whole, and delete nothing.
    """

    found: ChangeSet
    beyond: Sequence[Change]
    undone: frozenset[str]


def is_kept(change: Change) -> bool:
    """Whether a saved plan has to name a change: all but those that nothing is done or recorded for."""
    if change.action is Action.UNCHANGED:
        return not change.known or change.adopt
    return change.action is not Action.SKIP


def unversioned_deletes(changes: Iterable[Change]) -> list[Place]:
    """What is to be deleted where no version says which value it is."""
    return [
        (change.dest, change.key)
        for change in changes
        if change.action is Action.DELETE and change.dest_version is None
    ]


def hold(
    found: ChangeSet,
    pins: Pins,
    state: Mapping[str, Mapping[str, KeyState]],
    values: Mapping[Place, Named] | None = None,
) -> Held:
    """Leave of what was decided what the plan names; ``state`` is what the ledger knows, by destination and key.

    ``values`` are the names of the values that it has of :func:`unversioned_deletes`.

    What moved since is refused. So is what the plan names and nothing asks for any more, unless it is done already.
    """
    beyond: list[Change] = []
    changes = [kept for change in found.changes if (kept := _copy(change, pins, beyond)) is not None]
    undone = frozenset(change.item for change in beyond)
    deletes = [kept for change in found.deletes if (kept := _delete(change, pins, beyond, values or {})) is not None]
    met = {(change.dest, change.key) for change in (*found.changes, *found.deletes)}
    blind = any(not error.item and error.code != "max-delete" for error in found.errors)
    unseen = {error.item for error in found.errors if error.item}
    for place, pin in pins.changes.items():
        if place in met or blind or pin.item in unseen or _is_done(pin, state.get(pin.dest, {}).get(pin.key)):
            continue  # what was not seen is told by its error
        if pin.action is Action.DELETE:
            deletes.append(refusal(pin, "it is not to be deleted now: its source is there again, or in doubt"))
        elif pin.action in _COPIES or pin.adopt:
            changes.append(refusal(pin, "nothing asks for it any more as the plan did"))
    return Held(replace(found, changes=changes, deletes=deletes), beyond, undone)


def _copy(change: Change, pins: Pins, beyond: list[Change]) -> Change | None:
    pin = pins.changes.get((change.dest, change.key))
    if change.action in (Action.SKIP, Action.REFUSE):
        return change  # a refusal writes nothing, and is told as in any sync
    if pin is None and change.action is Action.COMPARE and change.known:
        return change  # it has no versions, or all is compared on request: values tell whether anything is due
    if pin is None:
        beyond.append(change)
        return None
    if pin.action is Action.DELETE:
        return refusal(change, "the plan says delete, and its source is there again")
    if pin.action is Action.REFUSE:
        # Whether it is refused still only values may tell.
        return change if change.action is Action.COMPARE else refusal(change, _other(pin, change))
    why = _difference(pin, change)
    return refusal(change, why) if why else change


def _delete(change: Change, pins: Pins, beyond: list[Change], values: Mapping[Place, Named]) -> Change | None:
    place = change.dest, change.key
    pin = pins.changes.get(place)
    if pin is None or pin.action not in (Action.DELETE, Action.REFUSE):
        beyond.append(change)
        return None
    if pin.action is Action.REFUSE:  # kept then, and so it is now, for the same reason
        return change if change.action is Action.REFUSE else change._replace(action=Action.REFUSE, reason=pin.reason)
    if change.action is Action.REFUSE or change.reason is Reason.REMOVED_OUTSIDE:
        return change  # what is gone already only leaves the ledger
    if pin.dest_version != change.dest_version:
        return refusal(change, _versions("destination", pin.dest_version, change.dest_version))
    if change.dest_version is None and values.get(place) != pins.named.get(place):
        return refusal(change, "the destination holds another value than the plan saw")
    return change


def _difference(pin: Change, change: Change) -> str:
    """In what a copy is another one than the plan's, as far as can be told before anything is read."""
    if pin.item != change.item:
        return f"the plan has it of item {pin.item}, and it is item {change.item}'s now"
    if pin.definition != change.definition:
        return "its plan item makes something else of the source than it did in the plan"
    if pin.sources != change.sources:
        return "its sources have changed since the plan was made"
    if pin.adopt != change.adopt or pin.holder != change.holder:
        return "its owner has changed since the plan was made"
    # Where one of the two is not known yet, what is read tells before anything is written.
    if None not in (pin.source_version, change.source_version) and pin.source_version != change.source_version:
        return _versions("source", pin.source_version, change.source_version)
    if None not in (pin.dest_version, change.dest_version) and pin.dest_version != change.dest_version:
        return _versions("destination", pin.dest_version, change.dest_version)
    return ""


def moved(pin: Change, change: Change, *, marked: bool = False) -> str:
    """In what a copy that is about to be written is another one than the plan's, by what was read of both sides.

    ``marked``: we have put our mark on it since, which may count as a version.
    """
    if change.action is not pin.action:
        return _other(pin, change)
    if pin.source_version is not None and pin.source_version != change.source_version:
        return _versions("source", pin.source_version, change.source_version)
    if not marked and pin.dest_version != change.dest_version:
        return _versions("destination", pin.dest_version, change.dest_version)
    return ""


def _other(pin: Change, change: Change) -> str:
    if pin.action is Action.REFUSE:
        return "the saved plan refuses it: fix the cause, then make a new plan"
    return f"the plan says {pin.action}, and it would be {change.action} now"


def _versions(side: str, then: str | None, now: str | None) -> str:
    before, after = display_version(then), display_version(now)
    if before == after:
        return f"the {side} has moved on since the plan was made"
    return f"the plan saw the {side} at version {before}, and it is at {after}"


def _is_done(pin: Change, held: KeyState | None) -> bool:
    """Whether the ledger says that what the plan names is done."""
    if pin.action is Action.DELETE:
        return held is None
    if pin.action in _COPIES or pin.adopt:
        return (
            held is not None
            and pin.source_version is not None
            and held.source_version == pin.source_version
            and held.definition == pin.definition
        )
    return True


def refusal(change: Change, why: str) -> Change:
    """The change, refused because it is another one than the plan's."""
    return change._replace(action=Action.REFUSE, reason=Reason.MOVED_SINCE_PLAN, detail=why)


def told_of_beyond(job: str, beyond: Sequence[Change]) -> list[str]:
    """A warning about what is due and the plan does not name."""
    if not beyond:
        return []
    keys = ", ".join(change.key for change in beyond[:_SHOWN]) + (", ..." if len(beyond) > _SHOWN else "")
    what = f"{plural(len(beyond), 'key')} {'needs' if len(beyond) == 1 else 'need'} something that the saved plan"
    return [f"{what} does not name, left alone: {keys}; `secretsync plan {job}` shows what"]
