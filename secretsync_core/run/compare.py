"""What versions alone cannot tell: read, render, compare. The plan and the transfer both ask here, and nowhere else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.errors import (
    InvalidSecret,
    SecretNotFound,
    SecretSyncError,
    ServerBehind,
    StoreError,
)
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.field_names import quoted
from secretsync_core.model.plan import SourceRef
from secretsync_core.model.versions import is_older, is_same_object
from secretsync_core.run.by_version import decide_by_version, gone_meanwhile
from secretsync_core.run.convert import VALUE, Base64, blob_to_fields, fields_to_split, is_object, to_shape
from secretsync_core.run.differences import difference
from secretsync_core.run.fingerprint import same
from secretsync_core.run.kinds import kept_by, of_the_kind_there, type_kept
from secretsync_core.run.look import look_at_key
from secretsync_core.run.marks import carrying_our_mark
from secretsync_core.run.older_versions import behind_our_write
from secretsync_core.run.origins import recall_fields, split_version
from secretsync_core.run.render import render
from secretsync_core.run.targets import joint_version, pinned_version
from secretsync_core.schema.encoding import Encoding, encoding_of
from secretsync_core.schema.job import WritePolicy
from secretsync_core.secret import OBJECT, SecretValue
from secretsync_core.stores.echo import refuse_echo
from secretsync_core.stores.fit import check_fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.model.capabilities import Shape
    from secretsync_core.run.fingerprint import Fingerprinter
    from secretsync_core.run.items import Item, JobPlan
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.record import Recorder
    from secretsync_core.run.seen import Fields, SourceSeen
    from secretsync_core.schema.encoding import Encodings
    from secretsync_core.secret import FieldValue

_BLURRED = (Reason.NO_VERSIONS, Reason.VERIFY, Reason.CANNOT_SEE)


class Wanted(NamedTuple):
    """What the plan wants at a destination key: the value, and the version of the sources it was made from.

    With ``split`` it is the whole of which each destination key is one field.
    """

    value: SecretValue
    source_version: str | None


class Verdict(NamedTuple):
    """A change that is decided for good, and the whole value to write where it says to write.

    ``ours`` names, with Merge, the fields that are ours, as the ledger holds them.
    """

    change: Change
    value: SecretValue | None = None
    ours: str = ""


class Comparer:
    """Decides changes by their values, for one run."""

    def __init__(
        self, plan: JobPlan, opened: OpenStores, fingerprinter: Fingerprinter | None, recorder: Recorder | None
    ) -> None:
        self._items = {item.name: item for item in plan.items}
        self._opened = opened
        self._fingerprinter = fingerprinter
        self._recorder = recorder
        self._deleted: frozenset[tuple[str, str]] | None = None

    @property
    def fingerprinter(self) -> Fingerprinter | None:
        """What names values; None in a plan that has no ledger."""
        return self._fingerprinter

    async def want(self, item_name: str, sources: Sequence[SourceRef]) -> Wanted:
        """Read a target's sources and render what the destinations should hold."""
        item = self._items[item_name]
        if len(sources) == 1:
            found = [await self._read(item, sources[0])]
        else:
            found = list(await asyncio.gather(*(self._read(item, ref) for ref in sources)))
        versions = [(ref, version) for ref, _, version in found]
        version = joint_version(versions) if item.combined else versions[0][1]
        return Wanted(render(item, [(ref, value) for ref, value, _ in found]), version)

    async def _read(self, item: Item, ref: SourceRef) -> tuple[SourceRef, SecretValue, str | None]:
        part = next(part for part in item.parts if part.name == ref.part)
        pin = part.secret.version if part.secret is not None else None
        secret = await self._opened.reader(ref.store).read(ref.key, pin)
        if part.query is not None and part.query.type not in (None, secret.value.kind):
            raise StoreError(  # a proxy may leave out what it does not know of a request
                f"{ref.store} lists {ref.key} with the type {part.query.type}, and it has another one",
                store=ref.store,
                key=ref.key,
                hint="if it was replaced just now, sync again",
            )
        return ref, secret.value, pinned_version(part, secret.version)

    async def decide(self, change: Change, wanted: Wanted) -> Verdict:
        """Turn ``compare`` into create, update, unchanged, skip or refuse; and give what to write.

        A create or update comes back as it is, with its value. Reads the destination only for ``compare``.
        """
        policy = self._items[change.item].write_policy
        if change.sources and (field := change.sources[0].field) is not None:
            wanted = _field_of(wanted, field, change, self._items[change.item].encoding)
        facts = self._opened.stores[change.dest].facts
        shape = facts.shape
        if wanted.source_version != change.source_version:
            self._check_age(change, wanted)
            change = change._replace(source_version=wanted.source_version, known=False)
        ours_now = kept_by(facts, to_shape(wanted.value, shape, self._items[change.item].encoding))
        check_fits(ours_now, facts, change.key)
        refuse_echo(change.dest, change.key, change.dest_version, ours_now)
        if change.action is not Action.COMPARE:
            return Verdict(change, ours_now, self._names(change, ours_now))
        if self._opened.get(change.dest).reader is None:
            return await self._decide_unread(change, ours_now)
        try:
            current = await self._opened.reader(change.dest).read(change.key)
        except SecretNotFound:
            # What was there when we looked is gone, or is there as a deleted version: its token says from where on.
            seen = [entry async for entry in self._opened.reader(change.dest).stat([change.key])]
            token = getattr(seen[0], "version", None) if seen else None
            change = gone_meanwhile(change, token)
            return Verdict(change, ours_now, self._names(change, ours_now))
        if current.version != change.dest_version:
            change = await self._unless_remade(change, current.version)
            change = change._replace(dest_version=current.version, known=False)
            refuse_echo(change.dest, change.key, change.dest_version, ours_now)
        if policy is WritePolicy.IF_NOT_EXISTS:
            return Verdict(change._replace(action=Action.SKIP, reason=Reason.EXISTS))
        whole, ours = of_the_kind_there(ours_now, current.value), ""
        drift, reason = change.drift, change.reason
        recorded = await self._recorded(change) if drift is Drift.CHANGED or policy is WritePolicy.MERGE else None
        if policy is WritePolicy.MERGE:
            whole, ours = self._merge(change, ours_now, current.value, shape, recorded[1] if recorded else "")
            whole = of_the_kind_there(whole, current.value)
            check_fits(whole, facts, change.key)
        right = same(current.value, whole)
        blurred = not right and reason in _BLURRED  # its versions could not tell whether it moved without us
        if blurred and recorded is None:
            recorded = await self._recorded(change)
        if (drift is Drift.CHANGED or blurred) and recorded is not None and self._fingerprinter is not None:
            fingerprint, ours_then = recorded
            as_left = self._fingerprinter.is_value(fingerprint, change.dest, change.key, current.value, ours_then)
            drift = Drift.NONE if as_left else Drift.CHANGED  # none: somebody wrote, but not another value
        if right:
            reason = Reason.ADOPTED if change.adopt else Reason.SAME_VALUE
            return Verdict(change._replace(action=Action.UNCHANGED, reason=reason, drift=drift), whole, ours)
        if change.foreign:
            change = change._replace(differs=difference(current.value, whole))
        if change.adopt:
            reason = Reason.ADOPTED
        elif change.foreign and policy is WritePolicy.MANAGED:
            if not await self._carries_our_mark(change):
                return Verdict(change._replace(action=Action.REFUSE, reason=Reason.NOT_MANAGED, drift=drift))
            reason = Reason.MARKED
        elif drift is Drift.CHANGED:
            reason = Reason.DRIFTED
        elif reason in (*_BLURRED, Reason.FIRST_SIGHT, Reason.DRIFTED):
            reason = Reason.DIFFERENT_VALUE
        detail = type_kept(ours_now, current.value, facts) or change.detail
        return Verdict(change._replace(action=Action.UPDATE, reason=reason, drift=drift, detail=detail), whole, ours)

    async def _unless_remade(self, change: Change, version: str | None) -> Change:
        """A change of what is at ``version`` now. What somebody has made anew is ours only if it says so itself."""
        order = self._opened.stores[change.dest].facts.version_order
        if change.dest_version is None or is_same_object(version, change.dest_version, order):
            return change
        if not change.owned or change.adopt or await self._carries_our_mark(change):
            return change
        return change._replace(owned=False)

    async def _decide_unread(self, change: Change, value: SecretValue) -> Verdict:
        """Decide where a look shows the version and nothing shows the value: by one more look, and by the ledger."""
        policy = self._items[change.item].write_policy
        entry = await look_at_key(self._opened, change.dest, change.key)
        there, behind = False, False
        if entry is not None and not entry.deleted:
            there, behind = True, await self._is_behind(change, entry.version)
            if not behind:
                change = await self._unless_remade(change, entry.version)
        asked = there and change.foreign and not change.adopt and policy is WritePolicy.MANAGED
        recorded = await self._recorded(change) if there and not change.foreign else None
        change = decide_by_version(
            change,
            entry,
            policy=policy,
            marked=asked and await self._carries_our_mark(change),
            as_written=recorded is not None and self._is_recorded(change, value, *recorded),
            behind=behind,
        )
        return Verdict(change, value)

    async def _is_behind(self, change: Change, version: str | None) -> bool:
        """Whether a look shows what our own latest write has replaced."""
        if self._recorder is None or version == change.dest_version or not self._opened.get(change.dest).facts.lags:
            return False
        return bool(await behind_our_write(change.dest, {change.key: version}, self._recorder))

    def _is_recorded(self, change: Change, value: SecretValue, fingerprint: str, fields: str) -> bool:
        """Whether the ledger names this value as the whole of what was written."""
        place = (change.dest, change.key)
        return not fields and self._fingerprinter is not None and self._fingerprinter.is_value(
            fingerprint, *place, value
        )  # fmt: skip

    async def _carries_our_mark(self, change: Change) -> bool:
        """Whether a secret that the ledger does not know says itself that this job of this installation made it."""
        if self._opened.get(change.dest).facts.lasting_marks and await self._was_deleted(change):
            return False
        return bool(await carrying_our_mark(self._opened, change.dest, [change.key]))

    async def _was_deleted(self, change: Change) -> bool:
        """Whether the ledger says that this job deleted what it had there: what stands there now is another's."""
        if self._recorder is None:
            return False
        if self._deleted is None:
            self._deleted = frozenset(await self._recorder.deleted())
        return (change.dest, change.key) in self._deleted

    async def is_merged(self, change: Change) -> bool:
        """Whether the ledger says that only some fields of a secret are ours, whatever its policy is by now."""
        recorded = await self._recorded(change)
        return recorded is not None and bool(recorded[1])

    def _check_age(self, change: Change, wanted: Wanted) -> None:
        """Raise ServerBehind where what was read of a source is older than what it has listed."""
        if len(change.sources) != 1:
            return
        store, key = change.sources[0].store, change.sources[0].key
        order = self._opened.get(store).facts.version_order
        if is_older(wanted.source_version, change.source_version, order):
            raise ServerBehind(
                f"{store} gives an older version of {key} than it has listed",
                store=store,
                key=key,
                hint="several servers may answer there, one of them behind the others; sync again",
            )

    async def without_ours(self, change: Change) -> tuple[SecretValue | None, str, str | None]:
        """With Merge, what stands at a destination besides our fields (None: nothing), our fields, and its version."""
        recorded = await self._recorded(change)
        current = await self._opened.reader(change.dest).read(change.key)
        ours = recorded[1] if recorded else ""
        if not ours or self._fingerprinter is None:
            return None, ours, current.version
        fields = _fields(current.value, Encoding.UTF_8)
        held = self._fingerprinter.named_by(change.dest, change.key, ours, fields)
        kind = _kind_of_merged(current.value, Encoding.UTF_8)
        rest = SecretValue({name: value for name, value in fields.items() if name not in held}, kind)
        shape = self._opened.stores[change.dest].facts.shape
        kept = of_the_kind_there(to_shape(rest, shape, Encoding.UTF_8), current.value)
        return (kept if fields.keys() - held else None), ours, current.version

    async def _recorded(self, change: Change) -> tuple[str, str] | None:
        """The fingerprint that the ledger holds of a key, and its fields of ours."""
        if self._recorder is None:
            return None
        found = await self._recorder.fingerprints(change.dest, [change.key])
        return found.get(change.key)

    def _names(self, change: Change, value: SecretValue) -> str:
        item = self._items[change.item]
        if item.write_policy is not WritePolicy.MERGE or self._fingerprinter is None:
            return ""
        fields = _fields(value, item.encoding)
        return self._fingerprinter.field_names(change.dest, change.key, fields)

    def _merge(
        self, change: Change, ours_now: SecretValue, current: SecretValue, shape: Shape, ours_before: str
    ) -> tuple[SecretValue, str]:
        """The destination's value with our fields in it: those of ours that the source dropped go, no others."""
        encoding = self._items[change.item].encoding
        new, old = _fields(ours_now, encoding), _fields(current, encoding)
        ours, dropped = "", set[str]()
        if self._fingerprinter is not None:
            ours = self._fingerprinter.field_names(change.dest, change.key, new)
            dropped = self._fingerprinter.named_by(change.dest, change.key, ours_before, old) - new.keys()
        merged = {name: value for name, value in old.items() if name not in dropped} | new
        if same(SecretValue(merged), SecretValue(old)):
            return current, ours  # as it is written there, whatever the order and spaces of its JSON
        return to_shape(SecretValue(merged, _kind_of_merged(current, encoding)), shape, encoding), ours


def read_together(change: Change) -> tuple[str, str]:
    """What changes that are made of the same reads have in common: item and key, or the source that is split."""
    split = bool(change.sources) and change.sources[0].field is not None
    return change.item, change.sources[0].key if split else change.key


async def find_fields(
    plan: JobPlan, seen: Sequence[SourceSeen], comparer: Comparer, recorder: Recorder | None
) -> dict[str, Fields]:
    """The field names of every source secret that is split, by item: from the ledger where it knows all, else read.

    One that cannot be read, or has no fields of its own, has its error in their place.
    """
    found: dict[str, Fields] = {}
    for one in seen:
        if one.item.split:
            origins = await recorder.origins(one.item.name) if recorder is not None else {}
            found[one.item.name], unread = recall_fields(one, origins)
            keys = iter(unread)
            async with asyncio.TaskGroup() as group:
                for _ in range(min(len(unread), plan.spec.limits.concurrency)):
                    group.create_task(_read_fields(one.item, keys, comparer, found[one.item.name]))
    return found


async def _read_fields(item: Item, keys: Iterator[str], comparer: Comparer, found: Fields) -> None:
    store = item.parts[0].store
    for key in keys:
        try:
            wanted = await comparer.want(item.name, (SourceRef(store, key),))
        except SecretSyncError as error:
            found[key] = error
            continue
        fields = fields_to_split(wanted.value, item.encoding)
        if fields is None:
            found[key] = InvalidSecret(
                f"{key} in {store} is split, and has no fields", store=store, key=key, hint="leave it out of the query"
            )
        else:
            found[key] = tuple(sorted(fields))


def _field_of(whole: Wanted, name: str, change: Change, encoding: Encodings) -> Wanted:
    """One field of a split secret as a secret of its own: an object's fields, or else the field ``value``."""
    fields = fields_to_split(whole.value, encoding)
    source = change.sources[0]
    if fields is None or name not in fields:
        raise SecretNotFound("the field is not there any more", store=source.store, key=source.key)
    field = fields[name]
    if isinstance(field, dict) and set(field) == {VALUE}:
        raise InvalidSecret(
            f"the field {quoted(name)} is an object whose only field is `value`: put together again it would be "
            "something else",
            store=source.store,
            key=source.key,
        )
    if isinstance(field, str) and encoding_of(encoding, name) is Encoding.BASE64:
        field = Base64(field)  # and stays it under its new name
    made = SecretValue(field if isinstance(field, dict) and field else {VALUE: field})
    return Wanted(made, split_version(whole.source_version, len(fields)))


def _kind_of_merged(there: SecretValue, encoding: Encodings) -> str:
    """The kind of fields that take the place of others: what was a JSON object stays one, whatever is left in it."""
    return OBJECT if encoding_of(encoding, VALUE) is not Encoding.BASE64 and is_object(there) else ""


def _fields(value: SecretValue, encoding: Encodings) -> dict[str, FieldValue]:
    """The fields of a value in a store's own shape; of a blob, those that it stands for."""
    payload = value.reveal()
    return dict(blob_to_fields(payload, encoding)) if isinstance(payload, bytes) else payload
