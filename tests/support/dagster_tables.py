"""Dagster's own migrations, read once: it reads some hundred files for each database that a test has it make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from alembic.config import Config


def read_once() -> None:
    """From now on Dagster's instances in this process share what they read of their migrations."""
    read = ScriptDirectory.from_config
    known: dict[str, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        place = config.get_main_option("script_location") or ""
        if not place.startswith("dagster:"):
            return read(config)
        if place not in known:
            known[place] = read(config)
        return known[place]

    ScriptDirectory.from_config = from_config  # type: ignore[method-assign]
