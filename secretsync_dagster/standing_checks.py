"""What is looked at beside the syncs: that the ledger is intact, and that every store can be reached.

One op looks at the ledger for all SyncJobs, since they share it, and one at all stores, all at once. Both are checks of
assets, so that people see them where they look, execute them by a button, and the daemon does it by a schedule. What is
found, and how far is looked, is the core's.
"""

# No deferred annotations here: Dagster reads those of its checks, and takes none that are text.

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import dagster as dg

from secretsync_core.audit.database import LedgerMissing
from secretsync_core.audit.facts import BROKEN_HINT
from secretsync_core.audit.standing import LOOKED_AT, WATCHED, Look
from secretsync_core.cli.escape import safe
from secretsync_core.counting import number, plural
from secretsync_core.errors import SecretSyncError
from secretsync_core.run.health import Places, StoreHealth, check_stores, places
from secretsync_dagster import metadata
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.error_boundary import error_boundary
from secretsync_dagster.event_loop import run_async
from secretsync_dagster.executor_wrappers import one_step_executor
from secretsync_dagster.naming import IO_MANAGER_KEY, LEDGER_INTACT, REACHABLE, scoped
from secretsync_dagster.op_factory import NOTHING, make_op
from secretsync_dagster.resources import Runtime, runtime_of
from secretsync_dagster.shared_assets import location_of_run, sharers

_STORE_SECONDS = 20.0
"""How long a store may take to answer."""

_MANY = 100
_OFTEN, _SELDOM = "23 * * * *", "23 */6 * * *"
"""When the daemon looks. Each look is an event or two a SyncJob, which Dagster keeps: with more than _MANY of them it
looks four times a day. Not at the full hour, when syncs are due."""

_ALL = "CHECK_ledger_and_stores"
SCHEDULE = "secretsync_ledger_and_stores"


def make_standing_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """Both checks: ``ledger_intact`` of every SyncJob's asset, and ``reachable`` of every store's."""
    made = []
    if catalog.jobs:  # one with errors has its records, too
        jobs = {catalog.asset_key(job): job for job in catalog.jobs}
        text = "Whether the ledger's records of this job are as they were written. Reads the ledger, and no store."
        made.append(_checks(catalog, LEDGER_INTACT, text, jobs, _ledger_results))
    if catalog.store_assets:
        stores = {spec.key: store for store, spec in catalog.store_assets.items()}
        text = "Whether the store answers, and lets us do what the jobs do there. Reads no value."
        made.append(_checks(catalog, REACHABLE, text, stores, _store_results))
    return made


def make_standing_schedule(catalog: Catalog) -> list[dg.ScheduleDefinition]:
    """The schedule that executes all of them, on from the start."""
    jobs, stores = catalog.jobs, catalog.store_assets
    if not jobs:
        return []
    keys = [dg.AssetCheckKey(catalog.asset_key(job), LEDGER_INTACT) for job in jobs]
    keys += [dg.AssetCheckKey(catalog.store_assets[store].key, REACHABLE) for store in stores]
    job = dg.define_asset_job(
        scoped(_ALL, catalog.scope),
        dg.AssetSelection.checks(*keys),
        description="Looks whether the ledger is intact, and whether every store can be reached.",
        executor_def=one_step_executor,
    )
    return [
        dg.ScheduleDefinition(
            name=scoped(SCHEDULE, catalog.scope),
            job=job,
            cron_schedule=_OFTEN if len(jobs) <= _MANY else _SELDOM,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Looks whether the ledger is intact, and whether every store can be reached.",
        )
    ]


_Results = Callable[[dg.OpExecutionContext, Runtime, Mapping[str, dg.AssetKey], str], Iterator[dg.AssetCheckResult]]


def _checks(
    catalog: Catalog, name: str, description: str, names: Mapping[dg.AssetKey, str], results: _Results
) -> dg.AssetChecksDefinition:
    """The checks of one name, of all these assets, by one op that looks at those that are asked for."""
    specs = {f"of_{at}": dg.AssetCheckSpec(name, asset=key, description=description) for at, key in enumerate(names, 1)}
    inputs = {f"asset_{at}": key for at, key in enumerate(names, 1)}

    def look(context: dg.OpExecutionContext) -> Iterator[Any]:
        with error_boundary(context):
            asked = {names[key.asset_key]: key.asset_key for key in context.selected_asset_check_keys}
            yield from results(context, runtime_of(context, catalog.resource), asked, name)

    made: dg.AssetChecksDefinition = dg.AssetChecksDefinition.create(
        keys_by_input_name=inputs,
        node_def=make_op(
            look,
            name=scoped(f"CHECK_{name}", catalog.scope),
            resource=catalog.resource,
            ins=dict.fromkeys(inputs, NOTHING),
            outs={out: dg.Out(is_required=False, io_manager_key=IO_MANAGER_KEY) for out in specs},
        ),
        check_specs_by_output_name=specs,
        can_subset=True,
    )
    return made


# -- The ledger ------------------------------------------------------------------------------------------------------


def _ledger_results(
    context: dg.OpExecutionContext, runtime: Runtime, asked: Mapping[str, dg.AssetKey], check: str
) -> Iterator[dg.AssetCheckResult]:
    found = _look_at_ledger(runtime, asked, WATCHED)
    shared = sharers(context.instance, runtime.catalog, location_of_run(context.run), asked)
    for job, key in sorted(asked.items()):
        yield dg.AssetCheckResult(asset_key=key, check_name=check, **found(job, shared.get(job)))


def ledger_evaluation(runtime: Runtime, job: str) -> dg.AssetCheckEvaluation:
    """What ``ledger_intact`` says of a SyncJob at the end of its run.

    Dagster shows a check as not evaluated from the next materialization on, until it is looked at again.
    """
    found = _look_at_ledger(runtime, [job], LOOKED_AT)
    return dg.AssetCheckEvaluation(
        asset_key=runtime.catalog.asset_key(job), check_name=LEDGER_INTACT, **found(job, None)
    )


def _look_at_ledger(
    runtime: Runtime, jobs: Collection[str], looked_at: int
) -> Callable[[str, SecretSyncError | None], dict[str, Any]]:
    """Look at these chains once; gives what tells the check's result of a job, and of one that may not be told of."""
    found: dict[str, Look] = {}
    missing = ""
    broken: SecretSyncError | None = None
    try:
        with runtime.ledger(write=False) as opened:
            found = {look.job: look for look in opened.ledger.standings.look(jobs, looked_at=looked_at)}
    except LedgerMissing as error:
        missing = f"{error.message}: the first sync makes it"
    except SecretSyncError as error:
        broken = error

    def result(job: str, refused: SecretSyncError | None) -> dict[str, Any]:
        error, look = refused or broken, found.get(job)
        shown: dict[str, Any] = {}
        told, passed = missing, False
        if error is not None:
            told, shown = error.message, {"what to do": metadata.text(error.hint)}
        elif look is not None:
            told, shown, passed = _of_look(look)
        nothing_yet = error is None and (look is None or (not look.records and not look.fault))
        return {
            "passed": passed and not nothing_yet,
            "severity": dg.AssetCheckSeverity.WARN if nothing_yet else dg.AssetCheckSeverity.ERROR,
            "description": safe(told),
            "metadata": shown,
        }

    return result


def _of_look(look: Look) -> tuple[str, dict[str, Any], bool]:
    """What to say of one job's chain, what to show beside it, and whether it holds."""
    if look.fault:
        return f"the chain does not hold: {look.fault}", {"what to do": metadata.text(BROKEN_HINT)}, False
    if not look.records:
        return "nothing is recorded of this job yet", {}, True
    told = f"{plural(look.records, 'record')}, each looked at"
    if look.first > 1:
        told = f"{number(look.records)} records, looked at from {number(look.first)} on; `secretsync audit verify`"
        told += " looks at each"
    shown = {
        "records": dg.MetadataValue.int(look.records),
        "looked at": dg.MetadataValue.int(look.records - look.first + 1),
        # Noted here, it is noted where nobody who can write the ledger need be able to write.
        "head": dg.MetadataValue.text(f"{look.job}={look.records}:{look.head}"),
    }
    return told, shown, True


# -- Stores ----------------------------------------------------------------------------------------------------------


def _store_results(
    context: dg.OpExecutionContext, runtime: Runtime, asked: Mapping[str, dg.AssetKey], check: str
) -> Iterator[dg.AssetCheckResult]:
    del context
    documents = runtime.documents
    used = places(documents.jobs.values())
    where = {store: used.get(store, Places()) for store in asked if store in documents.stores}
    for store in sorted(asked.keys() - where.keys()):
        yield dg.AssetCheckResult(
            asset_key=asked[store],
            check_name=check,
            passed=False,
            description="its document has errors, or there is none: nothing was asked",
            metadata={"what to do": metadata.text("`secretsync validate` says what is wrong")},
        )
    for health in run_async(check_stores(documents, where, environ=runtime.environ, seconds=_STORE_SECONDS)):
        yield dg.AssetCheckResult(
            asset_key=asked[health.store],
            check_name=check,
            passed=health.error is None,
            description=safe(health.error.message if health.error is not None else f"answered: {_asked(health)}"),
            metadata=_of_store(health),
        )


def _asked(health: StoreHealth) -> str:
    return ", ".join(health.asked) or "it opened"


def _of_store(health: StoreHealth) -> dict[str, dg.MetadataValue]:
    hint = health.error.hint if health.error is not None else ""
    return {
        **({"what to do": metadata.text(hint)} if hint else {}),
        # Of a store that could not even be opened nothing was asked.
        **({"asked": metadata.text(_asked(health))} if health.asked or health.error is None else {}),
        "seconds": dg.MetadataValue.float(round(health.seconds, 3)),
        "requests": dg.MetadataValue.int(sum(health.requests.values())),
        **metadata.warnings(health.warnings),
    }
