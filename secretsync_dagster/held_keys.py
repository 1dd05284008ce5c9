"""What a plan item holds, shown with its state: the first of its keys, as the ledger knows them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.errors import SecretSyncError
from secretsync_dagster import metadata
from secretsync_dagster.find_key import find_key_name
from secretsync_dagster.shared_assets import location_of_run

if TYPE_CHECKING:
    from collections.abc import Collection

    from secretsync_dagster.resources import Runtime

_ROWS_OF_ITEM = 50
_ROWS_OF_STEP = 500
_LEAST = 5
"""Dagster keeps these rows anew with every run. So a step has a number of them in all, and each item at least a few."""


def held_keys(
    context: dg.OpExecutionContext, runtime: Runtime, job: str, items: Collection[str]
) -> dict[str, dict[str, dg.MetadataValue]]:
    """For each item the metadata that says which keys it holds, and where any other key is found.

    Empty where the ledger cannot be read: a step that needs it has failed already.
    """
    limit = max(_LEAST, min(_ROWS_OF_ITEM, _ROWS_OF_STEP // max(1, len(items))))
    pairs = runtime.catalog.pairs(job)
    link = _link(context, runtime)
    found: dict[str, dict[str, dg.MetadataValue]] = {}
    with contextlib.suppress(SecretSyncError), runtime.ledger(write=False) as opened:
        for item in items:
            held, count = opened.ledger.held.of_item(job, item, limit)
            found[item] = {
                **({"keys held": metadata.held_table(held, count, pairs)} if held else {}),
                **link,
                "keys": dg.MetadataValue.int(count),
            }
    return found


def _link(context: dg.OpExecutionContext, runtime: Runtime) -> dict[str, dg.MetadataValue]:
    repository, _, location = location_of_run(context.run).rpartition("@")
    if not location:
        return {}  # not started from a workspace: there is no page to go to
    name = find_key_name(runtime.catalog.scope)
    return {"find a key": dg.MetadataValue.job(name, location_name=location, repository_name=repository)}
