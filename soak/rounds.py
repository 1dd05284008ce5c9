"""One round: changes, a run that is disrupted, perhaps more of them, a clean one, and the comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soak.disruptions import DISRUPTIONS

if TYPE_CHECKING:
    from soak.disruptions import Suffered
    from soak.model import Fields, Place
    from soak.world import World

_IDLE_EVERY, _AUDIT_EVERY = 7, 20
_UNSURE = ("two at once", "freeze")
"""After these exit code 0 does not say that all is in place."""


def one_round(world: World, kind: str) -> None:
    """One round of a kind of ``DISRUPTIONS``."""
    world.findings.begin(kind)
    world.begin()
    before = world.sources.places()
    changes(world)
    suffered = DISRUPTIONS[kind](world)
    # Killed again, also while it makes up for the first time. Such writes are no changes: none is allowed for them.
    for _ in range(world.random.choice((0, 1, 2, 3)) if kind in ("kill", "faults and kill") else 0):
        again = DISRUPTIONS[kind](world)
        suffered.code, suffered.still = again.code, suffered.still and again.still
    world.heal()
    world.settle()
    world.look(f"right after {kind}")
    if suffered.code is not None:
        world.findings.counts[f"{kind}: exit code {suffered.code}"] += 1
    _hold_to_code(world, kind, suffered, before)
    world.come_to_rest()
    if world.findings.round % _IDLE_EVERY == 0:
        _idle(world)
    if world.findings.round % _AUDIT_EVERY == 0:
        audit(world)


def changes(world: World) -> None:
    """What happens before a run: at the source, and at the destinations by others."""
    random = world.random
    world.change_sources(random.choice((0, 1, 3, 10, 25)))
    if random.random() < 0.5:
        world.meddle(random.randint(1, 6))


def _hold_to_code(world: World, kind: str, suffered: Suffered, before: dict[Place, Fields]) -> None:
    """Exit code 0 says that all is done, and what was killed or stopped without a fault never ends with 3."""
    if kind == "kill" and suffered.code == 3:
        world.findings.add("exit code", "3 of a run without faults")
    if suffered.code != 0 or not suffered.still or kind in _UNSURE:
        return
    if missing := world.missing():
        world.findings.add("exit code 0, and not all is in place", missing[:4])
    spared = world.kept | world.refused | world.sources.places().keys()
    if left := [place for place in before.keys() - spared if world.destinations.held(place) is not None]:
        world.findings.add("exit code 0, and not all is deleted", left[:4])


def _idle(world: World) -> None:
    """A second sync writes nothing."""
    ended = world.product.run("sync", "--quiet")
    if ended.code or world.dest_proxy.writes:
        told = [(write.method, write.path) for write in world.dest_proxy.writes[:4]]
        world.findings.add("a second sync is not idle", f"exit code {ended.code}, {told} {ended.said}")
    world.dest_proxy.writes.clear()


def audit(world: World) -> None:
    """The ledger is sound, there is no drift and nothing to do, and no value lies about."""
    for command in (("audit", "verify"), ("check", "--quiet"), ("plan", "--detailed-exitcode", "--quiet")):
        ended = world.product.run(*command)
        if ended.code:
            world.findings.add(f"{command[0]} finds something after a clean sync", f"{ended.code}: {ended.said}")
    world.product.search_files()


def renew(world: World, count: int) -> None:
    """New values for some sources, so that a run has something to do."""
    with world.changing():
        keys = world.random.sample(sorted(key for key in world.sources.live if not key.startswith("mk/")), count)
        world.apply(world.sources.renew(keys))


def drop_refused(world: World) -> None:
    """Take away copies of which a delete would be refused."""
    world.settle()
    for place in world.refused:
        world.destinations.remove(place)
    world.refused.clear()
