"""Metadata beside values in Dagster: shown by a dry run, set by a run, and counted as an update."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dagster_jobs.lab import planned, rows
from secretsync_core.stores import memory

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab


async def _on(lab: Lab, key: str) -> dict[str, str]:
    (entry,) = [entry async for entry in (await lab.handle("dst")).describe([key])]
    return {name: text for name, text in entry.metadata.items() if not name.startswith("secretsync.io/")}


def test_a_run_sets_what_a_dry_run_shows(lab: Lab) -> None:
    """As on the command line: planned by name, set in the transfer's step, and the next run has nothing to do."""
    lab.two_items()
    assert lab.run().success
    memory.set_metadata("src", "alpha/1", {"team": "text-of-metadata"})
    lab.job("- {name: alpha, query: {path: alpha}, metadata: {copy: [team]}}\n- {name: beta, query: {path: beta}}")
    dry = lab.run(dryRun=True)
    (shown,) = [
        event.step_output_data.metadata
        for event in dry.all_events
        if event.is_successful_output and event.step_output_data.output_name == "manifest"
    ]
    (row,) = rows(shown["plan"].value)
    assert planned(row) == ("update", "same value, other metadata: custom metadata team")
    result = lab.run()
    assert result.success
    assert asyncio.run(_on(lab, "alpha/1")) == {"team": "text-of-metadata"}
    assert "text-of-metadata" not in str(result.all_events)
    records = len(lab.records())
    assert lab.run().success
    assert {record.draft.event for record in lab.records()[records:]} == {"run-started", "run-finished"}
