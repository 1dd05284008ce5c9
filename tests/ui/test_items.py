"""The asset's page: the state of every item, backfills, what went on over time, and who is late."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from ui.history import DAYS_AGO
from ui.presses import events, press_in, press_to_open
from ui.stage import PER_ITEM

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Response

    from secretsync_core.demo.ui import WebUi
    from ui.history import History
    from ui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(300)]

_RUNS = """{ runsOrError(filter: {tags: [{key: "dagster/backfill", value: "%s"}]}) { ... on Runs {
  results { runId status } } } }"""
_BACKFILLS = """{ partitionBackfillsOrError { ... on PartitionBackfills { results {
  id status numPartitions assetSelection { path } } } } }"""
_LAST_RUN = """{ assetNodeOrError(assetKey: {path: ["sync", "refill"]}) { ... on AssetNode {
  latestMaterializationByPartition(partitions: ["refill-broken"]) { runId } } } }"""


def _backfills(ui: WebUi, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ui.graphql(_BACKFILLS)["partitionBackfillsOrError"]["results"]
    return [one for one in found if one["assetSelection"] == [{"path": ["sync", job]}]]


def test_a_backfill_of_two_items_from_the_assets_page(page: Page, ui: WebUi, stage: Stage) -> None:
    """Two items chosen and launched are synced, and shown as in place; the one between them stays missing.

    Dagster makes a run of each stretch of neighbours: the second of them waits for the first.
    """
    page.goto("/assets/sync/fill?view=partitions")
    expect(page.get_by_text("Missing (3)")).to_be_visible()
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize").first
    press_to_open(page.get_by_role("button", name="Materialize").first, dialog)
    expect(dialog.get_by_text(re.compile("in a single run|multiple runs"))).to_be_visible()
    choices = page.get_by_role("dialog").filter(has_text="Select all").last
    for item in ("team-a", "team-c"):
        press_in(dialog.get_by_text("Select a partition"), choices.get_by_text(item, exact=True))
    dialog.get_by_text("Launch runs to materialize").click()
    expect(dialog.get_by_text("2 partitions")).to_be_visible()
    dialog.get_by_role("button", name="Launch backfill").click()
    page.wait_for_timeout(1000)
    page.goto("/assets/sync/fill?view=partitions")
    expect(page.get_by_text("Materialized (2)")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Missing (1)")).to_be_visible()
    found = _backfills(ui, "fill")
    assert [one["numPartitions"] for one in found] == [2]
    runs = ui.graphql(_RUNS % found[0]["id"])["runsOrError"]["results"]
    assert [ui.wait_for(run["runId"], 120) for run in runs] == ["SUCCESS"] * 2
    assert {key.split("/")[0] for key in stage.dest("fill")} == {"team-a", "team-c"}
    assert len(stage.dest("fill")) == 2 * PER_ITEM


def test_what_failed_in_a_backfill_is_retried_alone(page: Page, ui: WebUi, stage: Stage, history: History) -> None:
    """After a backfill of four items in which one failed, "Failed and missing" runs that one, and no other."""
    backfill = history.refill()
    assert len(ui.graphql(_RUNS % backfill)["runsOrError"]["results"]) == 1
    stage.write("refill-broken/key-0", {"host": "broken.internal", "port": "2"})
    page.goto("/assets/sync/refill?view=partitions")
    expect(page.get_by_text("Failed (1)")).to_be_visible()
    expect(page.get_by_text("Materialized (3)")).to_be_visible()
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize").first
    press_to_open(page.get_by_role("button", name="Materialize").first, dialog)
    dialog.get_by_role("button", name="Failed and missing").click()
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Launch 1 run").click()
    page.wait_for_timeout(1000)
    page.goto("/assets/sync/refill?view=partitions")
    expect(page.get_by_text("Materialized (4)")).to_be_visible(timeout=120_000)
    run = ui.graphql(_LAST_RUN)["assetNodeOrError"]["latestMaterializationByPartition"][0]["runId"]
    transfers = {str(event.get("stepKey")) for event in events(ui, run) if "transfer" in str(event.get("stepKey"))}
    assert transfers == {"refill.transfer[refill_broken]"}
    assert len(stage.dest("refill")) == 3 * PER_ITEM + 2


def _numbers(bodies: list[Any]) -> dict[str, list[float]]:
    """Every number that the page got of an asset's events, by its name."""
    found: dict[str, list[float]] = {}

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("__typename") in ("IntMetadataEntry", "FloatMetadataEntry"):
                number: Any = part.get("intRepr", part.get("floatValue", part.get("intValue")))
                found.setdefault(part["label"], []).append(float(number))
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    for body in bodies:
        walk(body)
    return found


_PAINTED = """canvas => { const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  for (let at = 3; at < pixels.length; at += 4) if (pixels[at]) return true; return false; }"""


def test_what_went_on_over_time_is_plotted(page: Page, history: History) -> None:
    """After three runs the asset's page plots copied, unchanged, failed, drifted and seconds, a point an event."""
    history.trend()
    bodies: list[Any] = []

    def keep(answer: Response) -> None:
        if answer.url.endswith("graphql") or "/graphql?" in answer.url:
            bodies.append(answer.json())

    page.on("response", keep)
    page.goto("/assets/sync/trend?view=overview")
    page.get_by_role("button", name="Plots").click()
    page.get_by_role("button", name="Events").last.click()
    for name in ("copied", "unchanged", "failed", "drifted", "seconds"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    page.wait_for_timeout(1000)  # they are drawn in a few steps
    plots = page.locator("canvas")
    assert plots.count() >= 6
    assert all(plots.nth(index).evaluate(_PAINTED) for index in range(plots.count()))
    numbers = _numbers(bodies)
    assert {3.0, 1.0} <= set(numbers["copied"])
    assert 1.0 in numbers["drifted"]
    assert 1.0 in numbers["failed"]
    assert 2.0 in numbers["unchanged"]
    assert all(number > 0 for number in numbers["seconds"])


def _freshness(page: Page, state: str) -> Locator:
    """What the page's head says of the policy."""
    return page.locator("div").filter(has_text=re.compile(rf"^Freshness policy\s*{state}$")).last


def test_who_is_late_is_shown(page: Page, history: History) -> None:
    """A job that is due every hour and was synced days ago fails its freshness policy; one synced now passes it."""
    history.late()
    page.goto("/assets/sync/late?view=overview")
    expect(page.get_by_text("before each deadline").first).to_be_visible()
    expect(page.get_by_text(f"Last materialized {DAYS_AGO} days ago").first).to_be_visible()
    expect(_freshness(page, "Failed")).to_be_visible()
    history.drift()
    page.goto("/assets/sync/drift?view=overview")
    expect(_freshness(page, "Passing")).to_be_visible()
