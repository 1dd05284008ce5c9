"""A SyncJob whose document has errors keeps its name: a run of it fails by what is wrong, and not as a job unknown.

The process of a run reads the documents anew. Where one was broken since the code location was loaded, whoever has
started the run there, or is told how it ended, would otherwise hear of a process that was lost.
"""

# No deferred annotations here: Dagster reads those of its ops, and takes none that are text.

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import dagster as dg

from secretsync_core.cli.markdown import note
from secretsync_core.counting import plural
from secretsync_core.errors import Problem
from secretsync_dagster.naming import dagster_name
from secretsync_dagster.run_config import config_schema, launchpad

_TOLD = 3


def make_stand_ins(problems: Sequence[Problem], taken: Collection[str]) -> list[dg.JobDefinition]:
    """One job for each SyncJob with errors, called as the default translator calls it; its runs fail with them.

    ``taken`` are names that other jobs have.
    """
    by_job: dict[str, list[Problem]] = {}
    of_stores: dict[str, Problem] = {}
    for problem in problems:
        if problem.store and not problem.job and not problem.warning:
            of_stores.setdefault(problem.store, problem)
    for problem in problems:
        if problem.job and not problem.warning:
            found = by_job.setdefault(problem.job, [])
            found.append(problem)
            # "It has errors itself" helps nobody who cannot look at the other document.
            if (its := of_stores.get(problem.store)) is not None and its not in found:
                found.append(its)
    return [_stand_in(name, found) for name, found in by_job.items() if dagster_name(name) not in taken]


def _stand_in(name: str, problems: Sequence[Problem]) -> dg.JobDefinition:
    told = [f"{problem.where}: {problem.message}" for problem in problems[:_TOLD]]
    if len(problems) > _TOLD:
        told.append(f"and {plural(len(problems) - _TOLD, 'more error')}")
    why = f"SyncJob {name} cannot run, for its document has errors: {'; '.join(told)}"

    # The steps of a whole job, by the names that they have there: Dagster holds a run to those it was started with.
    @dg.op(
        name=f"{dagster_name(name)}_errors",
        config_schema=dict,
        out={"shards": dg.DynamicOut(), "manifest": dg.Out()},
    )
    def expand() -> Iterator[Any]:
        yield from ()
        raise dg.Failure(
            why,
            metadata={"what to do": "correct the document, and reload the code location: `secretsync validate`"},
            allow_retries=False,
        )

    @dg.job(
        name=dagster_name(name),
        description=f"{note(why)}\n\nIts runs fail. Correct the document and reload the code location.",
        tags={"secretsync/broken": "true"},
        config=launchpad(config_schema(dagster_name(name), None)),
        executor_def=dg.in_process_executor,
    )
    def stand_in() -> None:
        shards, manifest = expand.alias("expand")()
        _not_reached_audit.alias("audit")(manifest, shards.map(_not_reached_transfer.alias("transfer")).collect())

    return stand_in


@dg.op
def _not_reached_transfer(shard: Any) -> None:
    """What follows a step that always fails."""


@dg.op
def _not_reached_audit(manifest: Any, shards: Any) -> None:
    """The same."""
