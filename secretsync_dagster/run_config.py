"""What may be asked of one run of a SyncJob: the schema of its config, and the same as an object.

Plain types, and no ``dg.Config``: each text of one may be written as ``{env: NAME}``, and Dagster then puts what the
environment variable holds in its place. A run worker's environment holds the stores' credentials, and whoever may
start a run could have one shown in a message about a name that there is not. What steps hand on is kept by an IO
manager without config, since Dagster's usual one takes ``{env: NAME}`` as well.
"""

# No deferred annotations here: Dagster reads those of its config, and takes none that are text.

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from secretsync_dagster.programs import executes_a_run

MOST_CHOICES = 100
"""The most plan items that the schema names one by one, so that the Launchpad completes and checks them. Of a job with
more the run's first step checks them."""

# Dagster's own default, of which it gives a variant to jobs of assets that takes `base_dir` as config.
IO_MANAGER: dg.ResourceDefinition = dg.GraphDefinition(name="no_steps").to_job().resource_defs["io_manager"]
"""Keeps what steps hand on: references, never values. Takes no config."""

RUN_SUSPENDED = "take `suspend` out of the document, or launch it in its own Launchpad with `runSuspended: true`"
"""How a suspended SyncJob is synced on purpose."""

_Names = dg.Array(dg.String)


def _field(kind: Any, default: Any, description: str) -> dg.Field:
    """A field that may be left out. Its description is shown where people point at its name in the Launchpad."""
    return dg.Field(kind, is_required=False, default_value=default, description=description)


_UNDO = {
    "run": _field(dg.String, "", "Undo what this run wrote, instead of a sync; the plan of it is shown."),
    "keys": _field(_Names, [], "Only these destination keys; all of them where it is empty."),
    "apply": _field(dg.Bool, False, "Do what the plan shows."),
}
_FIELDS = {
    "dryRun": _field(
        dg.Bool,
        False,
        "Only look: the output of expand is the plan, and nothing is written.",
    ),
    "verify": _field(dg.Bool, False, "Compare values even where versions match."),
    "runSuspended": _field(dg.Bool, False, "Sync although the document says suspend: true; this run alone."),
    "adopt": _field(
        _Names,
        [],
        "Take over the secrets that exist at these destination keys; with several destinations also as "
        "DESTINATION:KEY.",
    ),
    "undo": dg.Field(_UNDO, description="Undo another run, instead of a sync."),
    "restored": _field(
        _Names,
        [],
        "Take these stores as they are, though older than the ledger knows them: they were restored or replaced.",
    ),
}


def config_schema(job: str, items: Sequence[str] | None) -> dg.Field:
    """The config of a run; all of it may be left out.

    Args:
        job: what Dagster calls the job; no two of a code location may have the same name.
        items: the names of its plan items; None where they are not known.
    """
    name: Any = dg.String
    # Where a run goes on the step says better that an item went meanwhile than Dagster does, which quotes its name.
    if items is not None and len(items) <= MOST_CHOICES and not executes_a_run():
        # Dagster tells types apart by their names, and keeps what it has made of a name as long as the process lives.
        digest = hashlib.sha256("\n".join(items).encode()).hexdigest()[:8]
        name = dg.Enum(f"item_of_{job}_{digest}", [dg.EnumValue(item) for item in items])
    chosen = _field(dg.Array(name), [], "Only these plan items; all of them where it is empty.")
    return dg.Field({"items": chosen, **_FIELDS})


def launchpad(schema: dg.Field) -> dg.ConfigMapping:
    """What the Launchpad asks for: these fields, and nothing of the ops behind them."""
    return dg.ConfigMapping(config_fn=_of_the_op, config_schema=schema)


def _of_the_op(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"ops": {"expand": {"config": dict(config)}}}


def asked_of(run: dg.DagsterRun, job: str) -> Mapping[str, Any]:
    """What was asked of a run, as it was typed: in the Launchpad of a job, or in that of its asset.

    ``job`` is what Dagster calls the job. In a run of an asset it is a node, and what is beside it counts for nothing.
    """
    config: Mapping[str, Any] = run.run_config
    if run.job_name == job and "ops" not in config:
        return config
    ops: Mapping[str, Any] = config.get("ops") or {}
    if run.job_name != job:
        ops = (ops.get(job) or {}).get("ops") or {}
    return (ops.get("expand") or {}).get("config") or {}


def only_looks(asked: Mapping[str, Any]) -> bool:
    """Whether a run that was asked for this changes nothing."""
    undo = asked.get("undo") or {}
    return bool(asked.get("dryRun") or (undo.get("run") and not undo.get("apply")))


@dataclass(frozen=True)
class Undo:
    """Which run is to be undone, and whether it is done or only shown; no ``keys`` are all."""

    run: str = ""
    keys: tuple[str, ...] = ()
    apply: bool = False

    @property
    def is_asked(self) -> bool:
        """Whether an undo is meant, also where the run is missing: that must not become a sync."""
        return bool(self.run or self.keys or self.apply)


@dataclass(frozen=True)
class Asked:
    """What was asked of a run; no ``items`` are all."""

    items: tuple[str, ...] = ()
    dry_run: bool = False
    verify: bool = False
    adopt: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    undo: Undo = Undo()
    run_suspended: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Asked":
        """Read the config of a run, as the schema has checked and completed it."""
        undo = config["undo"]
        return cls(
            items=tuple(config["items"]),
            dry_run=config["dryRun"],
            verify=config["verify"],
            adopt=tuple(config["adopt"]),
            restored=tuple(config["restored"]),
            undo=Undo(undo["run"], tuple(undo["keys"]), undo["apply"]),
            run_suspended=config["runSuspended"],
        )

    @property
    def of_a_sync(self) -> list[str]:
        """The fields that were given and say how to sync, as the schema calls them."""
        given = {"items": self.items, "adopt": self.adopt, "restored": self.restored, "verify": self.verify}
        return [name for name, value in given.items() if value]
