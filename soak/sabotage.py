"""Does the model notice? After each clean sync something is spoiled, and that must be found. Finds nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from soak import comparison
from soak.destinations import TEMPORARY
from soak.findings import Findings, say
from soak.model import VAULT
from soak.world import world

if TYPE_CHECKING:
    from collections.abc import Callable

    from soak.parts import Task
    from soak.world import World

_UNANNOUNCED = {
    "a write that was not announced", "a version of which nothing says that it was done",
    "written more often than it changed",
}  # fmt: skip
_OTHERS = {"x": "y"}


class Sabotage(NamedTuple):
    """What is spoiled, and what must be found at least."""

    act: Callable[[World, str], object]
    noticed: set[str]


def _file(made: World, key: str) -> None:
    (made.destinations.directory / key).write_text("{}")


SABOTAGES = {
    "a copy is changed": Sabotage(
        lambda made, key: made.dest.put(key, _OTHERS), {"a copy is missing or wrong", *_UNANNOUNCED}
    ),
    "a copy is written twice": Sabotage(
        lambda made, key: made.dest.put(key, made.sources.copies()[key]), _UNANNOUNCED
    ),
    "a copy is gone": Sabotage(lambda made, key: made.dest.delete(key), {"a copy is missing or wrong"}),
    "a copy too many": Sabotage(
        lambda made, key: made.dest.put(f"{key}/more", _OTHERS), {"a copy is left", *_UNANNOUNCED}
    ),
    "a file is changed": Sabotage(_file, {"a copy is missing or wrong"}),
    "a secret of others is changed": Sabotage(
        lambda made, key: made.dest.put("copy/foreign", _OTHERS), {"somebody else's secret is changed"}
    ),
    "a temporary file": Sabotage(
        lambda made, key: _file(made, f"copy/{TEMPORARY}x"), {"a temporary file is left"}
    ),
    "a value is left": Sabotage(
        lambda made, key: (made.directory / "home" / "x").write_text(made.sources.word()),
        {"a value or a token is in a file"},
    ),
}  # fmt: skip


def sabotage(task: Task) -> list[Findings]:
    """Each sabotage once; what was not noticed is what this part finds."""
    found = Findings()
    with world(task.directory, task.seed, small=True) as made:
        keys = iter([key for key in sorted(made.sources.copies()) if made.owned[VAULT, key] and "/app/" in key])
        for name, one in SABOTAGES.items():
            found.begin(name)
            made.findings.begin(name)
            made.begin()
            ended = made.clean_sync()
            say(f"sabotage: {name}. What is found now has to be")
            one.act(made, next(keys))
            comparison.compare(made, ended)
            made.product.search_files()
            if unnoticed := one.noticed - made.findings.found[name].keys():
                found.add("not noticed", sorted(unnoticed))
            made.product.run("sync", "--quiet")
    return [found]
