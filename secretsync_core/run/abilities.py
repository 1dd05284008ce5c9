"""Whether the stores can do what the plan asks for, found out before anything is read or written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.key_rules import key_fault, whole
from secretsync_core.model.capabilities import Ability
from secretsync_core.model.metadata import SETTINGS
from secretsync_core.schema.job import WritePolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.metadata import MetadataFacts
    from secretsync_core.run.items import Item, JobPlan


def find_impossible(
    plan: JobPlan, facts: Mapping[str, StoreFacts], abilities: Mapping[str, frozenset[Ability]]
) -> list[str]:
    """Every demand of the plan that a store cannot meet, one sentence each. Stores that are not open are left out."""
    return [
        *(reason for item in plan.items for reason in _item(item, facts, abilities)),
        *(reason for dest in plan.spec.dest if dest in facts for reason in _dest(plan, facts[dest], abilities[dest])),
    ]


def _item(item: Item, facts: Mapping[str, StoreFacts], abilities: Mapping[str, frozenset[Ability]]) -> Iterator[str]:
    for part in item.parts:
        if part.store not in facts:
            continue
        where = f"item {item.name}: store {part.store}"
        limits = facts[part.store].limits
        if Ability.READ not in abilities[part.store]:
            yield f"{where} cannot be read"
        if part.query is not None and Ability.LIST not in abilities[part.store]:
            yield f"{where} cannot be listed, so it takes no query"
        if part.query is not None and part.query.metadata and not limits.custom_metadata:
            yield f"{where} has no custom metadata to select by"
        if item.copied and (Ability.DESCRIBE not in abilities[part.store] or not limits.custom_metadata):
            yield f"{where} has no metadata to copy"
        elif item.settings and Ability.DESCRIBE not in abilities[part.store]:
            yield f"{where} does not show the settings of its secrets, which are to be copied"
        if part.query is not None and part.query.type is not None and not limits.types:
            yield f"{where} has no types of secrets to select by (query.type)"
        if part.secret is not None and part.secret.version is not None:
            if limits.pins is None:
                yield f"{where} keeps no old versions, so version cannot be pinned"
            elif not whole(limits.pins, part.secret.version):
                yield f"{where} has no versions of that form (version: of {part.secret.key})"
        if part.secret is not None and (fault := key_fault(part.secret.key, limits)):
            hint = f"; {limits.slash_hint}" if part.secret.key.startswith("/") else ""
            yield f"{where} cannot have the key {part.secret.key!r}: {fault}{hint}"


def _dest(plan: JobPlan, facts: StoreFacts, abilities: frozenset[Ability]) -> Iterator[str]:
    dest = facts.name
    if Ability.WRITE not in abilities:
        yield f"destination {dest} cannot be written"
    policies = {item.write_policy for item in plan.items}
    if WritePolicy.MERGE in policies and Ability.READ not in abilities:
        yield f"destination {dest} cannot be read, and writePolicy Merge must read what it merges with"
    if (
        WritePolicy.IF_NOT_EXISTS in policies
        and Ability.LOOK not in abilities
        and not abilities & {Ability.COMPARE_AND_SET, Ability.CREATE}
    ):
        yield f"destination {dest} cannot tell whether a key exists, which writePolicy IfNotExists must know"
    if any(item.adopt for item in plan.items) and Ability.LOOK not in abilities:
        yield f"destination {dest} cannot be looked at, and ownership.adopt must see what it takes over"
    if Ability.LOOK not in abilities and any(_concerns(key, dest, plan.spec.dest) for key in plan.adopt):
        yield f"destination {dest} cannot be looked at, and --adopt must see what it takes over"
    can = {Ability.LOOK, Ability.DESCRIBE, Ability.SET_METADATA} <= abilities
    copying = [item for item in plan.items if item.carries and not (can and _has_room(item, facts.metadata))]
    if copying:
        why = "keeps no metadata beside its secrets" if not can else "has no place for the metadata of other stores"
        why = "cannot be looked at" if Ability.LOOK not in abilities else why
        yield f"destination {dest} {why}, and item {copying[0].name} copies metadata"
    if plan.spec.ownership.mark and Ability.MARK not in abilities:
        yield f"destination {dest} has no marks, and ownership.mark asks for them"
    if (plan.deletes_gone or any(plan.deletes.values())) and Ability.DELETE not in abilities:
        yield f"destination {dest} cannot delete, and deletionPolicy is Delete"


def _has_room(item: Item, facts: MetadataFacts) -> bool:
    """Whether what an item copies beside its values has a place in a store that keeps metadata."""
    if facts.rules:
        return True
    return not item.copied and all(SETTINGS[name] in facts.settings for name in item.settings)


def _concerns(named: str, dest: str, dests: Sequence[str]) -> bool:
    """Whether a key that is to be taken over is one of this destination: ``<destination>:<key>``, or of all."""
    return named.startswith(f"{dest}:") or not any(named.startswith(f"{other}:") for other in dests)
