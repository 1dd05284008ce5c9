"""What has happened before somebody opens the UI: runs that went one way or the other, and one of long ago."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ui.stage import ITEMS_OF

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

DAYS_AGO = 3

_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_STATUS = (
    """query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"""
)


class History:
    """Makes it, beside the tests; ask for a part of it, and it is waited for.

    A method's name is what it stands for: ``history.drift()`` returns once the job ``drift`` has been synced.
    """

    def __init__(self, ui: WebUi, stage: Stage) -> None:
        self._ui = ui
        self._stage = stage
        self._threads = ThreadPoolExecutor(3, thread_name_prefix="history")
        # In the order in which the tests come to ask for them.
        self._late = self._threads.submit(self._make_late)
        self._refill = self._threads.submit(self._make_refill)
        self._drift = self._threads.submit(lambda: self._run("drift"))
        self._trend = self._threads.submit(self._make_trend)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def drift(self) -> None:
        """The job ``drift`` was synced."""
        assert self._drift.result() == "SUCCESS"

    def late(self) -> None:
        """The job ``late``, which is due every hour, was synced last three days ago."""
        self._late.result()

    def refill(self) -> str:
        """A backfill of ``refill`` ended, of all items and with one that failed; gives its id."""
        return self._refill.result()

    def trend(self) -> None:
        """Three runs of ``trend``: all is copied; one copy was edited, and is put right; one secret fails."""
        assert self._trend.result() == ["SUCCESS", "SUCCESS", "FAILURE"]

    def _run(self, job: str) -> str:
        return self._ui.wait_for(self._ui.launch(job), 240)

    def _make_trend(self) -> list[str]:
        first = self._run("trend")
        self._stage.tamper("trend", "trend-own/key-0")
        second = self._run("trend")
        self._stage.write("trend-own/key-1", {"host": "spoiled.internal"})
        return [first, second, self._run("trend")]

    def _make_refill(self) -> str:
        params = {"assetSelection": [{"path": ["sync", "refill"]}], "partitionNames": ITEMS_OF["refill"]}
        backfill = str(self._ui.graphql(_BACKFILL, params=params)["launchPartitionBackfill"]["backfillId"])
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            status = self._ui.graphql(_STATUS, id=backfill)["partitionBackfillOrError"]["status"]
            if status == "COMPLETED_FAILED":
                return backfill
            assert status in ("REQUESTED", "FAILING"), status
            time.sleep(0.5)
        raise AssertionError("the backfill does not end")

    def _make_late(self) -> None:
        path = os.pathsep.join((str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
        environ = {"DAGSTER_HOME": str(self._ui.home), "SECRETSYNC_CONFIG": str(self._stage.directory)}
        for _ in range(3):  # the daemon may be at the same job just now
            done = subprocess.run(
                [sys.executable, "-m", "ui.long_ago", "late", str(DAYS_AGO)],
                env=os.environ | environ | {"PYTHONPATH": path, "DAGSTER_DISABLE_TELEMETRY": "yes"},
                check=False, capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            if not done.returncode:
                return
        raise AssertionError(done.stderr[-4000:])
