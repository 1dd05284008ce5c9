"""Compares everything with the model, after a sync that nothing hindered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soak.destinations import OURS, TEMPORARY
from soak.model import FILES, VAULT, surplus

if TYPE_CHECKING:
    from soak.product import Ended
    from soak.world import World

_OURS_ALONE = 0o600


def compare(world: World, ended: Ended) -> None:
    """Compare what a clean sync left behind; begins a new count of what others changed and of what was written."""
    world.look("after a clean sync")
    if ended.code:
        world.findings.add("a clean sync fails", f"exit code {ended.code}: {failures(ended)}")
    _copies(world, ended.code)
    _leftovers(world)
    world.strangers.check(world.findings)
    _files(world)
    _versions(world)
    world.witness.close()
    wanted = world.sources.places()
    world.owned = {place: owned for place, owned in world.owned.items() if place in wanted or not owned}
    for place in wanted:
        world.owned.setdefault(place, True)
    world.strangers.dirty.clear()
    world.dest_proxy.writes.clear()


def failures(ended: Ended) -> str:
    """What a sync with ``--output json`` says went wrong."""
    try:
        jobs = ended.document()["jobs"]
    except (ValueError, KeyError):
        return ended.said
    fine = ("created", "updated", "deleted", "skipped")
    told = [
        (one["dest"], one["key"], one["result"], one["code"])
        for job in jobs
        for one in job["outcomes"]
        if one["result"] not in fine
    ]
    return f"{told[:5]} {[job['errors'] for job in jobs]}"


def _copies(world: World, code: int) -> None:
    for place in world.missing():
        held = "absent" if world.destinations.held(place) is None else "another value"
        world.findings.add("a copy is missing or wrong", f"{place}: {held}, exit code {code}; {world.story(place)}")


def _leftovers(world: World) -> None:
    for place in sorted(world.destinations.places() - set(world.sources.places()) - world.kept):
        if not world.strangers.has(place) and world.owned.get(place) is not False:
            world.findings.add("a copy is left", f"{place}: {world.story(place)}")
            world.kept.add(place)  # told once


def _files(world: World) -> None:
    for name, mark in world.destinations.files.items():
        place = FILES, name
        if TEMPORARY in name:
            world.findings.add("a temporary file is left", name)
            (world.destinations.directory / name).unlink()
        elif mark.mode != _OURS_ALONE and not (
            world.strangers.has(place) or place in world.strangers.dirty or place in world.kept
        ):
            world.findings.add("others may read a file", f"{name}: {mark.mode:o}")


def _versions(world: World) -> None:
    written: dict[str, list[str]] = {}
    for key in world.destinations.secrets:
        if not key.startswith(OURS) or world.strangers.has((VAULT, key)):
            continue
        before = world.before.get(key, {"versions": {}})["versions"]
        old = {f"{number}@{about['created_time']}" for number, about in before.items()}
        theirs = {version for name, version in world.strangers.versions if name == key}
        if new := world.destinations.versions(key) - old - theirs:
            written[key] = sorted(new)
            world.findings.counts["versions written"] += len(new)
    for key, versions in surplus(written, world.allowed).items():
        uncertain = [one for one in world.dest_proxy.writes if one.path.endswith(f"/data/{key}") and one.carried]
        told = f"{versions} for {world.allowed[key]} changes, {sum(not one.told for one in uncertain)} answers lost"
        world.findings.add("written more often than it changed", f"{key}: {told}; {world.story((VAULT, key))}")
