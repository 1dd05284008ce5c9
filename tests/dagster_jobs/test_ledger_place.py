"""What a run in Dagster says of a ledger that it cannot open: no part of its password, however its URL is written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from audit.test_ledger_address import CANARY, NOWHERE

from dagster_jobs.lab import failures
from secretsync_core.schema.loader import examine
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.compile import compile_documents
from secretsync_dagster.resources import Runtime

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab


@pytest.mark.parametrize(
    "place",
    [
        f"postgresql+psycopg2://app:some@{CANARY}@{NOWHERE}/ledger",
        f"postgresql+psycopg2://app:{CANARY}@{NOWHERE}/ledger",
        f"postgres:/app:{CANARY}@{NOWHERE}/ledger",
    ],
)
def test_no_event_and_no_log_holds_it(lab: Lab, place: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the failure, nor what hangs on to it, nor what was logged."""
    lab.two_items()
    documents, problems = examine([lab.config])
    definitions = compile_documents(documents, problems, directory=lab.config, ledger_url=place)
    with caplog.at_level(logging.DEBUG):
        job = definitions.resolve_job_def("job")
        result = job.execute_in_process(instance=lab.instance, raise_on_error=False)
    assert "ledger" in failures(result)["expand"]["told"]
    told = "".join(str(record) for record in lab.instance.all_logs(result.run_id))
    assert CANARY not in told + caplog.text
    assert CANARY not in repr(Runtime(Catalog(documents), lab.config, place))
    assert not [path for path in lab.config.rglob("*") if CANARY in str(path)]
