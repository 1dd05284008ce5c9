"""Backfills of several SyncJobs: a run each, which names its SyncJob."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagster_jobs.lab import KEY
from secretsync_dagster.backfills import backfill_policies
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.naming import JOB_TAG

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab


def _jobs(lab: Lab, *names: str) -> Catalog:
    lab.two_items()
    text = (lab.config / "job.yaml").read_text()
    for name in names:
        (lab.config / f"{name}.yaml").write_text(text.replace("name: job", f"name: {name}"))
    return Catalog(lab.documents)


def test_no_two_sync_jobs_have_partitions_and_policy_in_common(lab: Lab) -> None:
    """That is what Dagster goes by; none of the policies splits a job's items, and those of other scopes differ too."""
    catalog = _jobs(lab, "job-b", "job-c")
    policies = backfill_policies(catalog)
    scoped = backfill_policies(Catalog(lab.documents, scope="other"))
    every = [*policies.values(), *scoped.values()]
    assert len(set(every)) == len(every) == 6
    assert {policy.max_partitions_per_run for policy in policies.values()} == {None, 1001, 1002}
    assert all(1000 < (policy.max_partitions_per_run or 2000) < 2**31 for policy in every)
    graph = lab.definitions.resolve_asset_graph()
    assert {graph.get(catalog.asset_key(job)).backfill_policy for job in catalog.jobs} == set(policies.values())


def test_one_job_alone_says_that_it_takes_one_run(lab: Lab) -> None:
    """As the dialog of Materialize shows it."""
    assert backfill_policies(_jobs(lab)) == {"job": dg.BackfillPolicy.single_run()}


@pytest.mark.parametrize("dry", [(), ("job",), ("job", "job_b")])
def test_a_run_of_two_sync_jobs_syncs_both_and_names_both(lab: Lab, dry: tuple[str, ...]) -> None:
    """As the Launchpad of two assets starts it. It is a dry run where it is one of both, and each is what it was asked
    for."""
    catalog = _jobs(lab, "job-b")
    lab.store("far")
    path = lab.config / "job-b.yaml"
    path.write_text(path.read_text().replace("dest: dst", "dest: far"))
    keys = [KEY, dg.AssetKey(["sync", "job_b"])]
    result = lab.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        run_config={"ops": {name: {"ops": {"expand": {"config": {"dryRun": True}}}} for name in dry}},
        asset_selection=keys,
        tags={"dagster/asset_partition_range_start": "alpha", "dagster/asset_partition_range_end": "beta"},
        instance=lab.instance,
    )
    run = lab.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[JOB_TAG] == "job, job-b"
    assert sorted(one.name for one in catalog.jobs_of(run)) == ["job", "job-b"]
    assert run.tags.get("secretsync/dry-run") == ("true" if len(dry) == 2 else None)
    assert [len(lab.held(store)) for store in ("dst", "far")] == [0 if "job" in dry else 4, 0 if "job_b" in dry else 4]
    assert lab.ledger.leases.held() == []


def test_a_run_of_the_asset_names_its_sync_job(lab: Lab) -> None:
    """As runs of the job do, so that the queue, the filters and the job's page know it."""
    lab.two_items()
    run = lab.materialize("beta").run_id
    found = lab.instance.get_run_by_id(run)
    assert found is not None
    assert found.tags[JOB_TAG] == "job"
    assert found.asset_selection == {KEY}
    shown = lab.definitions.resolve_job_def("job").metadata["runs, backfills too"]
    assert shown.value == "[Runs of job, those of backfills too](/runs?q%5B0%5D=tag%3Asecretsync%2Fjob%3Djob)"
