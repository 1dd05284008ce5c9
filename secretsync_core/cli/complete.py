"""TAB completes the names of jobs and plan items, as the documents on disk have them.

Somebody is in the middle of a line: nothing is printed, no store is asked, no third party's code is loaded, and a
document with errors still gives the names that it has. Names of stores need nothing here: no command takes one, and for
the files of ``--source``, ``--dest`` and ``--job`` the shell completes paths.
"""

# No ``from __future__ import annotations`` here: Typer reads these annotations to know what to pass.

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer


def job_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """SyncJobs that begin with ``incomplete``, without those that the line names already."""
    return _fitting((name for name, _ in _jobs(ctx)), incomplete, ctx.params.get("jobs"))


def item_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Plan items of the jobs that the line names, or of all, without those that it names already."""
    # Where the line ends with ``--item`` its arguments are left over, not yet taken for jobs.
    chosen = {*(ctx.params.get("jobs") or ()), *ctx.args}
    found = (item for name, plan in _jobs(ctx) if not chosen or name in chosen for item in _items(plan))
    return _fitting(found, incomplete, ctx.params.get("items"))


def _fitting(names: Iterable[str], incomplete: str, given: Iterable[str] | None) -> list[str]:
    try:
        return sorted({name for name in names if name.startswith(incomplete)} - set(given or ()))
    except Exception:  # noqa: BLE001  in the middle of somebody's line nothing may be printed: no names, then
        return []


def _jobs(ctx: typer.Context) -> Iterator[tuple[str, list[Any]]]:
    """The name and the plan of each SyncJob that can be made out."""
    from secretsync_core.cli.workspace import DEFAULT
    from secretsync_core.schema import files
    from secretsync_core.schema.base import NAME_PATTERN
    from secretsync_core.schema.yaml_tree import read_documents

    # ``--job`` is a file in the paper's form, and a name in ``audit log``.
    one = ctx.params.get("job")
    found, _ = files.find(one if isinstance(one, Path) else ctx.params.get("config") or DEFAULT)
    for file in found:
        text, _ = files.read(file)
        for raw in read_documents(str(file), text)[0] if text is not None else ():
            metadata, spec = raw.data.get("metadata"), raw.data.get("spec")
            name = metadata.get("name") if isinstance(metadata, dict) else None
            if raw.data.get("kind") == "SyncJob" and isinstance(name, str) and re.fullmatch(NAME_PATTERN, name):
                plan = spec.get("plan") if isinstance(spec, dict) else None
                yield name, plan if isinstance(plan, list) else []


def _items(plan: list[Any]) -> Iterator[str]:
    """The names of plan items, derived ones too; of an item with errors the one that it gives itself."""
    from pydantic import ValidationError

    from secretsync_core.schema.base import NAME_PATTERN
    from secretsync_core.schema.item_names import with_names
    from secretsync_core.schema.job import PlanItem

    sound: list[PlanItem] = []
    for item in plan:
        try:
            sound.append(PlanItem.model_validate(item))
        except ValidationError:
            name = item.get("name") if isinstance(item, dict) else None
            if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name):
                yield name
    yield from (item.name for item in with_names(tuple(sound)) if item.name)
