"""What Dagster takes as a name, and the names and tags that are the same whatever a translator says."""

from __future__ import annotations

import re
from functools import lru_cache

import dagster as dg

from secretsync_core.errors import UsageError
from secretsync_core.run.shards import Part, Shard

JOB_TAG = "secretsync/job"
"""The run tag that names the SyncJob, whichever way its run was started."""

DRY_RUN_TAG = "secretsync/dry-run"
"""The run tag that says that a run only looks (``true``), which a run sets itself as it begins."""

VERDICT_TAG = "secretsync/verdict-on"
"""The tag of an entry that is no run: it marks as failed what the run that it names began and did not finish."""

CHECK_TAG = "secretsync/drift-check"
"""The tag of runs that only look for drift. Not :data:`JOB_TAG`: they neither wait for a sync nor keep one waiting."""

CHECK_FIRST_TAG = "secretsync/drift-check-first"
"""The tag of a sync that is due in the same second as a drift check, and looks for drift before it puts it right."""

RESOURCE = "secretsync"
"""The resource that holds the documents."""

IO_MANAGER_KEY = "secretsync_io_manager"
"""The resource that keeps what steps hand on. Not Dagster's usual one, whose directory may be set in a run's config."""

IN_SYNC = "in_sync"
"""The check that turns red when a run leaves an item out of sync."""

DRIFT = "drift"
"""The check that turns red when a copy was changed or removed outside SecretSync."""

LEDGER_INTACT = "ledger_intact"
"""The check that turns red when the ledger's records of a job are not as they were written."""

REACHABLE = "reachable"
"""The check of a store that turns red when it does not answer, or does not let us in."""

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_]")
_DRIFT_SUFFIX = "_drift"
_PREFIX_LENGTH = 63
_RUN_ID_LENGTH = 36  # of a UUID
_PREFIX = re.compile(rf"([A-Za-z0-9_][A-Za-z0-9_-]{{0,{_PREFIX_LENGTH - 1}}})?")


def dagster_name(name: str) -> str:
    """A SyncJob's or store's name as Dagster takes it. Names have no underscores, so two never become one."""
    made = name.replace("-", "_")
    # ``x-drift`` would be called what the drift check of ``x`` is.
    return f"{made}_" if made.endswith(_DRIFT_SUFFIX) else allowed(made)


def document_name(name: str) -> str:
    """The name in the documents that :func:`dagster_name` made another of; names there have no underscores."""
    return name.rstrip("_").replace("_", "-")


def drift_name(job: str) -> str:
    """What the job is called that only looks for drift, where ``job`` is Dagster's name of the job that syncs."""
    return job + _DRIFT_SUFFIX


def mapping_key(shard: Shard) -> str:
    """What a shard is called in the run's page: the item, and which part of how many.

    Items have no capitals, so that no item's name is what another one's part is called.
    """
    if shard.part is Part.LOST:
        return "LOST_destinations"
    if shard.part is not Part.ITEM:
        return f"{shard.part.value.upper()}_{shard.number}_of_{shard.siblings}"
    name = shard.item if shard.siblings == 1 else f"{shard.item}_PART_{shard.number}_of_{shard.siblings}"
    return allowed(name)


def allowed(name: str) -> str:
    """The name as Dagster takes it: with underscores for what it has no room for, and one more at its end where Dagster
    keeps the name for itself, as it does ``config`` and ``type``.

    No document's name ends in a dash, so that no other one becomes this.
    """
    made = _NOT_ALLOWED.sub("_", name)
    return f"{made}_" if is_reserved(made) else made


@lru_cache(maxsize=4096)
def is_reserved(name: str) -> bool:
    """Whether Dagster keeps a name for itself. It does not publish which names these are, so it is asked."""
    try:
        dg.DynamicOutput(None, mapping_key=name)
    except dg.DagsterInvalidDefinitionError:
        return True
    return False


def resource_key(scope: str = "") -> str:
    """The resource that holds the documents of a scope.

    A scope is one of several sets of documents in one code location; an empty one stands alone in it. What Dagster
    knows by its name in all of a location has the scope in it.
    """
    return f"{RESOURCE}_{scope}" if scope else RESOURCE


def check_prefix(prefix: str) -> None:
    """Raise UsageError where this cannot come before the names of a code location."""
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(
            f"the prefix of a code location has letters, digits, dashes and underscores, at most {_PREFIX_LENGTH}",
            hint="mend SECRETSYNC_PREFIX, or `prefix` in defs.yaml",
        )


def prefixed(name: str, prefix: str) -> str:
    """What is called so in all of an instance, as told apart by the prefix of a code location."""
    return f"{prefix}/{name}" if prefix else name


def is_run_of_dagster(run_id: str) -> bool:
    """Whether a run of the ledger is one of Dagster, by the form of its id: the command line gives shorter ones."""
    return len(run_id) == _RUN_ID_LENGTH


def scoped(name: str, scope: str) -> str:
    """What an op or a sensor is called in a scope. SyncJobs and stores have no capitals, so that none is called so."""
    return f"{name}_IN_{scope}" if scope else name
