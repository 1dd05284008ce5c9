"""The checks of a SyncJob's asset: whether its items are in sync, and if copies were changed outside SecretSync."""

# No deferred annotations here: Dagster reads those of its checks, and takes none that are text.

from collections.abc import Callable, Iterator

import dagster as dg

from secretsync_core.errors import SecretSyncError
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.drift_looks import look
from secretsync_dagster.error_boundary import error_boundary
from secretsync_dagster.in_sync import by_ledger
from secretsync_dagster.naming import DRIFT, IN_SYNC, IO_MANAGER_KEY
from secretsync_dagster.op_factory import NOTHING, make_op
from secretsync_dagster.resources import runtime_of
from secretsync_dagster.shared_assets import why_refused
from secretsync_dagster.translator import OpData

_RESULT = {"result": dg.Out(io_manager_key=IO_MANAGER_KEY)}
_ASSET = "asset"


def make_checks(catalog: Catalog, job: str) -> list[dg.AssetChecksDefinition]:
    """Both checks of one SyncJob, by its name in the documents."""
    return [_in_sync(catalog, job), _drift(catalog, job)]


def _in_sync(catalog: Catalog, job: str) -> dg.AssetChecksDefinition:
    def in_sync(context: dg.OpExecutionContext) -> Iterator[dg.AssetCheckResult]:
        with error_boundary(context):
            runtime = runtime_of(context, catalog.resource)
            if (refused := why_refused(context, runtime.catalog, job)) is not None:
                yield _shared(refused)
                return
            said = by_ledger(runtime, job, context.run_id)
            yield dg.AssetCheckResult(
                passed=said.passed, severity=said.severity, description=said.description, metadata=said.metadata
            )

    return _check(
        catalog,
        job,
        IN_SYNC,
        "Whether every secret is as the plan wants it, by the last runs of its items.",
        in_sync,
    )


def _drift(catalog: Catalog, job: str) -> dg.AssetChecksDefinition:
    def drift(context: dg.OpExecutionContext) -> Iterator[dg.AssetCheckResult]:
        with error_boundary(context):
            runtime = runtime_of(context, catalog.resource)
            if (refused := why_refused(context, runtime.catalog, job)) is not None:
                yield _shared(refused)
                return
            found = look(runtime, job, context.run_id)
            yield dg.AssetCheckResult(passed=found.passed, description=found.description, metadata=found.metadata)

    return _check(
        catalog,
        job,
        DRIFT,
        "Whether the copies are still as the last sync left them. Reads the destinations only.",
        drift,
    )


def _shared(error: SecretSyncError) -> dg.AssetCheckResult:
    """The result while another code location has the asset too: what is shown could be either's."""
    return dg.AssetCheckResult(passed=False, description=error.message, metadata={"what to do": error.hint})


def _check(
    catalog: Catalog,
    job: str,
    name: str,
    description: str,
    body: Callable[[dg.OpExecutionContext], Iterator[dg.AssetCheckResult]],
) -> dg.AssetChecksDefinition:
    key = catalog.asset_key(job)
    spec = dg.AssetCheckSpec(name, asset=key, description=description)
    made: dg.AssetChecksDefinition = dg.AssetChecksDefinition.create(
        keys_by_input_name={_ASSET: key},
        node_def=make_op(
            body,
            name=catalog.op_name(OpData("check", catalog.scope, job=catalog.jobs[job], check=name)),
            resource=catalog.resource,
            ins={_ASSET: NOTHING},
            outs=_RESULT,
        ),
        check_specs_by_output_name=dict.fromkeys(_RESULT, spec),
        can_subset=False,
    )
    return made
