"""Whether what a store says is older than what the ledger knows of its place; see docs/design/0007-stale-servers.md.

The ledger keeps, by place, how far the server had got. It is read before the stores are opened, so that a run of
another job which goes on at the same time and gets further does not make this one's server look old.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from secretsync_core.errors import OtherServer, SecretSyncError, ServerBehind, StoreError
from secretsync_core.model.place import Place, text_of
from secretsync_core.model.position import position_of_text
from secretsync_core.model.position import text_of as text_of_position

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.position import Position
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.record import Recorder


def place_of(facts: StoreFacts) -> Place:
    """Under which place a store's position is kept: the declared one, whoever answers there; or else its name."""
    return Place("", "", facts.name) if facts.place is None else facts.place._replace(identity="")


async def known_positions(ledger: Ledger, recorder: Recorder) -> dict[str, Position]:
    """How far every server had got that the ledger knows, by the text of its place."""
    found = await recorder.call(ledger.places.positions)
    return {place: position for place, text in found.items() if (position := position_of_text(text)) is not None}


async def fault_of(name: str, plan: JobPlan, opened: OpenStores) -> SecretSyncError | None:
    """Why nothing that an open store has said so far decides anything; None where nothing speaks against it.

    A destination that another server answers for is left to its binding, which knows where its keys are.
    """
    if name in plan.restored:
        return None
    try:
        position = await _position(name, opened)
    except SecretSyncError as failure:
        return failure
    known = opened.reached.get(text_of(place_of(opened.stores[name].facts)))
    if position is None or known is None:
        return None
    error: StoreError | None = None
    if position.is_of_another_server(known):
        if name not in plan.spec.dest:
            error = OtherServer(
                f"{name} is another server than the ledger knows: it was {known.server}, and {position.server} answers",
                store=name,
                hint=f"if it was replaced on purpose, `secretsync sync {plan.job} --restored {name}` accepts it",
            )
    elif position.is_behind(known):
        error = ServerBehind(
            f"{name} is behind: it is at {position.lowest}, and the ledger has seen it at {known.highest}",
            store=name,
            hint="it may be a disconnected standby; if it was restored on purpose, `secretsync sync"
            f" {plan.job} --restored {name}` accepts it",
        )
    if error is not None:
        opened.distrusted.add(name)
    return error


async def keep_positions(
    names: Iterable[str], plan: JobPlan, opened: OpenStores, ledger: Ledger, recorder: Recorder
) -> None:
    """Keep how far these stores have got, where that is news and nothing speaks against them."""
    for name in dict.fromkeys(names):
        if name not in opened.stores or name in opened.distrusted:
            continue
        try:
            position = await _position(name, opened)
        except SecretSyncError:
            continue
        if position is None:
            continue
        place = place_of(opened.stores[name].facts)
        known = opened.reached.get(text_of(place))
        told = position.after(None if name in plan.restored else known)
        before = text_of_position(known) if known is not None else ""
        if text_of_position(told) != before:
            opened.reached[text_of(place)] = told
            await recorder.call(partial(ledger.places.reached, place, text_of_position(told), before))


async def _position(name: str, opened: OpenStores) -> Position | None:
    halves = opened.stores[name]
    position = await halves.positioned.position() if halves.positioned is not None else None
    if position is None or position.server or halves.facts.place is None:
        return position
    return position._replace(server=halves.facts.place.identity)
