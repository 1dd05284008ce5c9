"""Documents with errors, shown where people look: as a job that says what is wrong, and cannot be run."""

# No deferred annotations here: Dagster reads those of its ops, and takes none that are text.

import re
from collections.abc import Sequence

import dagster as dg

from secretsync_core.cli.escape import safe
from secretsync_core.cli.markdown import code, note
from secretsync_core.counting import plural
from secretsync_core.errors import Problem
from secretsync_dagster.error_boundary import error_boundary
from secretsync_dagster.executor_wrappers import one_step_executor
from secretsync_dagster.metadata import table
from secretsync_dagster.naming import scoped

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_]+")
_LISTED = 50


def make_broken(problems: Sequence[Problem], scope: str) -> list[dg.JobDefinition]:
    """One job for each file with errors, named after the file; its page lists them, and a run fails with them."""
    by_file: dict[str, list[Problem]] = {}
    for problem in problems:
        if not problem.warning:
            by_file.setdefault(problem.file, []).append(problem)
    return [_job(number, file, found, scope) for number, (file, found) in enumerate(sorted(by_file.items()))]


def _job(number: int, file: str, problems: Sequence[Problem], scope: str) -> dg.JobDefinition:
    stem = _NOT_ALLOWED.sub("_", file.rpartition("/")[2]).strip("_")[:60]
    name = scoped(f"BROKEN_{number}_{stem}", scope)
    listed = "\n".join(
        f"- {code(problem.where)}: {note(f'{problem.message}. {problem.hint}'.strip())}"
        for problem in problems[:_LISTED]
    )
    if len(problems) > _LISTED:
        listed += f"\n- ... and {len(problems) - _LISTED} more; `secretsync validate` lists all"
    rows = [(problem.where, problem.message, problem.hint) for problem in problems[:_LISTED]]

    @dg.op(name=f"{name}_errors", description=listed)
    def errors(context: dg.OpExecutionContext) -> None:
        with error_boundary(context):
            raise dg.Failure(
                f"{safe(file)} has {plural(len(problems), 'error')}",
                metadata={
                    "errors": table(("where", "what", "what to do"), rows),
                    "the same on the command line": "secretsync validate",
                },
                allow_retries=False,
            )

    @dg.job(
        name=name,
        description=f"{code(file)} **has errors**, so what needs its documents is not synced. "
        f"Mend them and reload the code location.\n\n{listed}",
        tags={"secretsync/broken": "true"},
        executor_def=one_step_executor,
    )
    def broken() -> None:
        errors()

    return broken
