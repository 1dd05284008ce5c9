"""From a SyncJob to the names, tags and keys that it has in Dagster. Pure; the only place that decides them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from secretsync_core.schema.documents import Documents, JobDocument

JOB_TAG = "secretsync/job"
"""The run tag that names the SyncJob, whichever way its run was started."""

RESOURCE = "secretsync"
"""The resource that holds the documents."""

GROUP = "secretsync"
"""The group of all our assets: in one group, the lineage is drawn in one line from source to destination."""

CHECK_TAG = "secretsync/drift-check"
"""The tag of runs that only look for drift. Not :data:`JOB_TAG`: they neither wait for a sync nor keep one waiting."""

IN_SYNC = "in_sync"
"""The check that turns red when a run leaves an item out of sync."""

DRIFT = "drift"
"""The check that turns red when somebody else changed or removed a copy."""

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_]")
_DRIFT = "_drift"


def dagster_name(name: str) -> str:
    """A SyncJob's or store's name as Dagster takes it. Names have no underscores, so two never become one."""
    made = name.replace("-", "_")
    # ``x-drift`` would be called what the drift check of ``x`` is.
    return f"{made}_" if made.endswith(_DRIFT) else _allowed(made)


def drift_name(job: str) -> str:
    """What the job is called that only looks for drift; its schedule too, with ``_schedule`` after it."""
    return dagster_name(job) + _DRIFT


def check_name(check: str, job: str) -> str:
    """What the op of a check is called. Ops and graphs share one space of names, and no graph has capitals."""
    return f"CHECK_{check}_of_{dagster_name(job)}"


@lru_cache(maxsize=4096)
def _allowed(name: str) -> str:
    """The name, with an underscore behind it where Dagster keeps it for itself, as it does ``config`` and ``type``.

    Dagster does not publish which names these are, so it is asked. No document's name ends in a dash, so that no other
    one becomes this.
    """
    try:
        dg.DynamicOutput(None, mapping_key=name)
    except dg.DagsterInvalidDefinitionError:
        return f"{name}_"
    return name


def asset_key(job: str) -> dg.AssetKey:
    """The asset that stands for what a SyncJob keeps in sync; its partitions are the plan's items."""
    return dg.AssetKey(["sync", dagster_name(job)])


def store_key(store: str, scope: str = "") -> dg.AssetKey:
    """The asset that stands for a SecretStore."""
    return dg.AssetKey(["store", *([scope] if scope else []), dagster_name(store)])


def resource_key(scope: str = "") -> str:
    """The resource that holds the documents of a scope.

    A scope is one of several sets of documents in one code location; an empty one stands alone in it. What Dagster
    knows by its name in all of a location has the scope in it.
    """
    return f"{RESOURCE}_{scope}" if scope else RESOURCE


def scoped(name: str, scope: str) -> str:
    """What an op or a sensor is called in a scope. SyncJobs and stores have no capitals, so that none is called so."""
    return f"{name}_IN_{scope}" if scope else name


def item_names(job: JobDocument) -> list[str]:
    """The plan's items, in the document's order: the partitions."""
    return [item.name or "" for item in job.spec.plan]


def source_inputs(job: JobDocument) -> dict[str, str]:
    """The stores that a job reads, by the name of the graph's input that stands for each: lineage, and nothing else."""
    stores = {job.spec.source, *(item.source for item in job.spec.plan if item.source is not None)}
    return {f"from_{dagster_name(store)}": store for store in sorted(stores)}


def mapping_key(item: str, part: int, parts: int) -> str:
    """What a shard is called in the run's page: the item, and which part of how many.

    Items have no capitals, so that no item's name is what another one's part is called.
    """
    base = _NOT_ALLOWED.sub("_", item)
    return _allowed(base) if parts == 1 else f"{base}_PART_{part + 1}_of_{parts}"


def pool(dest: str) -> str:
    """The concurrency pool of a destination: no more runs than it has slots write there at a time."""
    return f"secretsync_{dagster_name(dest)}"


def pools(job: JobDocument) -> tuple[str, str | None, str | None]:
    """The pools of transfer, expand and audit: an op has one, and a run needs those of all its ops.

    So the first three destinations of a job are covered; there are hardly more.
    """
    first, *others = (pool(dest) for dest in job.spec.dest)
    second, third = (*others, None, None)[:2]
    return first, second, third


def tags(job: JobDocument) -> dict[str, str]:
    """The tags of the job and of each of its runs."""
    return {
        JOB_TAG: job.name,
        # Automatic retries run every step: re-executing from failure alone would leave out what never began.
        "dagster/retry_strategy": "ALL_STEPS",
    }


def description(job: JobDocument) -> str:
    """Markdown for the job's page: what goes where, and the document itself, which holds no credentials' values."""
    spec = job.spec
    when = f"on `{spec.schedule.text}` ({spec.timezone})" if spec.schedule else "when it is started"
    if spec.on_change is not None:
        when += f", and when the source changes (asked every {spec.on_change.interval:g} s)"
    if spec.drift_check is not None:
        when += f". Looks for drift on `{spec.drift_check.schedule.text}`"
    lines = [
        f"Copies secrets from **{spec.source}** to **{', '.join(spec.dest)}** {when}.",
        "",
        f"Existing secrets: `{spec.write_policy.value}`. Secrets whose source is gone: `{spec.deletion_policy.value}`"
        + (f", at most {spec.max_delete} in one run." if spec.deletion_policy.value == "Delete" else "."),
        "",
        f"From `{job.where.file}:{job.where.line}`:",
        "",
        "```yaml",
        job.text.strip(),
        "```",
    ]
    return "\n".join(lines)


def links(documents: Documents) -> dict[str, set[str]]:
    """Which stores are copied into which destination, without those links that would close a circle.

    Assets may not depend on themselves in any number of steps; two jobs that copy both ways would.
    """
    into: dict[str, set[str]] = {}
    for job in documents.jobs.values():
        for dest in job.spec.dest:
            if not _reaches(into, job.spec.source, dest):
                into.setdefault(dest, set()).add(job.spec.source)
    return into


def _reaches(into: dict[str, set[str]], start: str, goal: str) -> bool:
    """Whether ``start`` is made, in any number of steps, from ``goal``."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        store = waiting.pop()
        if store == goal:
            return True
        if store not in seen:
            seen.add(store)
            waiting.extend(into.get(store, ()))
    return False
