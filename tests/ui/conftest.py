"""The UI, started once for all of these tests, and a browser that looks at it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from secretsync_core.demo.ui import WebUi
from ui.chromium import browse, find_chromium
from ui.history import History
from ui.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

SECONDS = 60
"""How long anything in the UI may take before a test gives up on it."""


expect.set_options(timeout=SECONDS * 1000)


@pytest.fixture(scope="package")
def stage() -> Iterator[Stage]:
    """The documents and the files behind them."""
    # Not in pytest's own directory: another session that cleans up old ones would take it from under the server.
    with tempfile.TemporaryDirectory(prefix="secretsync-tests-") as directory:
        yield Stage(Path(directory) / "secretsync")


@pytest.fixture(scope="package")
def ui(stage: Stage) -> Iterator[WebUi]:
    """The code location, the daemon and the webserver."""
    # Dagster looks twice a minute who is late: often enough for people, too seldom to wait for.
    environ = os.environ | {"FRESHNESS_DAEMON_INTERVAL_SECONDS": "3"}
    with WebUi(stage.directory.parent / "home", config=stage.directory, environ=environ) as started:
        yield started.wait()


@pytest.fixture(scope="package")
def history(ui: WebUi, stage: Stage) -> Iterator[History]:
    """What has happened before the tests look, begun while the first of them run."""
    with History(ui, stage) as begun:
        yield begun


@pytest.fixture(scope="package", autouse=True)
def _begin(request: pytest.FixtureRequest) -> None:
    """Where any of these tests needs it, begin at once, so that none has to wait for all of it."""
    if any("history" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("history")


# Not for longer than a module: while it is open, no test of the same worker may have an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    if find_chromium() is None:
        # What holds the UI must not be left out unseen where the gate runs.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "there is no chromium on this machine: apt-get install chromium"
        )
    with browse() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, ui: WebUi) -> Iterator[Page]:
    """A new window; addresses may be given from the webserver's root on."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, base_url=ui.address)
    context.set_default_timeout(SECONDS * 1000)
    yield context.new_page()
    context.close()
