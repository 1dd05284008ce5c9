"""Names for the plan items that have none: from what they select, made unique by a number."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secretsync_core.schema.job import PlanItem

_LONGEST = 63


def with_names(plan: tuple[PlanItem, ...]) -> tuple[PlanItem, ...]:
    """The same items, every one with a name: the given ones as they are, the others derived around them."""
    taken: set[str | None] = {item.name for item in plan}
    named: list[PlanItem] = []
    for item in plan:
        if item.name is not None:
            named.append(item)
            continue
        name = _free(_derived(item), taken)
        taken.add(name)
        named.append(item.model_copy(update={"name": name}))
    return tuple(named)


def _derived(item: PlanItem) -> str:
    if item.secret is not None:
        return slug(item.secret.key)
    if item.query is not None:
        return slug(item.query.path) if item.query.path.strip("/*") else "all"
    return slug(item.key or "")


def slug(text: str) -> str:
    """Lower-case letters, digits and single dashes, as a name needs it; ``item`` where nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:_LONGEST].strip("-") or "item"


def _free(base: str, taken: set[str | None]) -> str:
    name, number = base, 1
    while name in taken:
        number += 1
        ending = f"-{number}"
        name = base[: _LONGEST - len(ending)].rstrip("-") + ending
    return name
