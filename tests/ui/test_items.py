"""The asset's page: the state of every item, and backfills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from ui.stage import PER_ITEM

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

pytestmark = [pytest.mark.xdist_group("ui"), pytest.mark.timeout(240)]

_RUNS = """{ runsOrError(filter: {tags: [{key: "dagster/backfill", value: "%s"}]}) { ... on Runs {
  results { runId status } } } }"""
_BACKFILLS = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id status numPartitions } } } }"


def test_a_backfill_of_two_items_from_the_assets_page(page: Page, ui: WebUi, stage: Stage) -> None:
    """Two items chosen and launched are synced in one run, and shown as in place; the third stays missing."""
    page.goto("/assets/sync/fill?view=partitions")
    expect(page.get_by_text("Missing (3)")).to_be_visible()
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize").first
    expect(dialog.get_by_text("Backfills all partitions in a single run.")).to_be_visible()
    dialog.get_by_text("Select a partition").click()
    choices = page.get_by_role("dialog").filter(has_text="Select all").last
    for item in ("team-a", "team-b"):
        choices.get_by_text(item, exact=True).locator("visible=true").last.click()
    dialog.get_by_text("Launch runs to materialize").click()
    expect(dialog.get_by_text("2 partitions")).to_be_visible()
    dialog.get_by_role("button", name="Launch backfill").click()
    page.wait_for_timeout(1000)
    page.goto("/assets/sync/fill?view=partitions")
    expect(page.get_by_text("Materialized (2)")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Missing (1)")).to_be_visible()
    found = ui.graphql(_BACKFILLS)["partitionBackfillsOrError"]["results"]
    assert [one["numPartitions"] for one in found] == [2]
    assert len(ui.graphql(_RUNS % found[0]["id"])["runsOrError"]["results"]) == 1
    assert {key.split("/")[0] for key in stage.dest("fill")} == {"team-a", "team-b"}
    assert len(stage.dest("fill")) == 2 * PER_ITEM
