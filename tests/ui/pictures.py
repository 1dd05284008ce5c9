"""Takes docs/images from a running demo: ``PYTHONPATH=tests python -m ui.pictures http://127.0.0.1:PORT``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from ui.chromium import browse
from ui.presses import launch, open_launchpad, open_table, see_end, type_config

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).parents[2] / "docs" / "images"
JOB = "vault_to_k8s_vault"
_MILLISECONDS = 120_000


def take(address: str) -> None:
    """Take every picture."""
    with browse() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900}, timezone_id="Europe/Berlin", base_url=address)
        page.set_default_timeout(_MILLISECONDS)
        _job(page, address)
        _runs(page, address)
        _asset(page, address)
        _plots(page)
        _plan(page)


def _keep(page: Page, name: str) -> None:
    page.mouse.move(5, 5)
    # What is asked for has come, and is drawn: on a busy machine a page is bare for many seconds.
    page.wait_for_load_state("networkidle")
    expect(page.get_by_text("Loading", exact=False)).to_have_count(0, timeout=_MILLISECONDS)
    page.wait_for_timeout(3000)
    page.screenshot(path=IMAGES / f"{name}.png")


def _job(page: Page, address: str) -> None:
    page.goto(f"{address}/locations/secretsync/jobs/{JOB}")
    page.get_by_text("Copies secrets from").first.wait_for()
    _keep(page, "job")
    page.goto(f"{address}/locations/secretsync/jobs/{JOB}/playground")
    page.get_by_role("button", name="Launch Run").wait_for()
    _keep(page, "launchpad")


def _runs(page: Page, address: str) -> None:
    for job, name, event in (
        (JOB, "run", "step:transfer[production]"),
        ("databases_for_reports", "failed-step", "type:STEP_FAILURE"),
    ):
        page.goto(f"{address}/locations/secretsync/jobs/{job}/runs")
        page.locator("a[href^='/runs/']").first.click()
        page.wait_for_url("**/runs/*")
        page.get_by_placeholder("Filter…").fill(event)
        page.keyboard.press("Escape")
        _keep(page, name)


def _asset(page: Page, address: str) -> None:
    for view, name, drawn in (
        ("partitions", "partitions", "production"),
        ("checks&checkDetail=in_sync", "checks", "all 3 items are in sync"),
        ("lineage", "lineage", "vault_k8s"),
    ):
        page.goto(f"{address}/assets/sync/{JOB}?view={view}")
        page.get_by_text(drawn, exact=True).first.wait_for()
        if name == "partitions":
            page.get_by_text(drawn, exact=True).first.click()
            page.get_by_text("keys held").first.wait_for()
        _keep(page, name)


def _plots(page: Page) -> None:
    """Over the runs that there were, and some more that find nothing to do."""
    for _ in range(3):
        open_launchpad(page, JOB)
        launch(page)
        see_end(page, "Success")
    page.goto(f"/assets/sync/{JOB}?view=overview")
    page.get_by_role("button", name="Plots").click()
    page.get_by_role("button", name="Events").last.click()
    page.locator("canvas").first.scroll_into_view_if_needed()
    _keep(page, "plots")


def _plan(page: Page) -> None:
    """What a run of the other job would do."""
    open_launchpad(page, "databases_for_reports")
    type_config(page, "dryRun: true")
    launch(page)
    see_end(page, "Success")
    open_table(page, "step:expand", 'Yielded output "manifest"')
    _keep(page, "plan")


if __name__ == "__main__":
    take(sys.argv[1])
