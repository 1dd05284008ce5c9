"""SyncJobs that have errors: they keep their pages, say what is wrong there, and fail when they are run.

A typo in a document, or in that of a store that it names, must not take a job away with its schedule, its history and
its checks: whoever looks would see nothing, or a green of long ago. So it is compiled as any other, by what could be
understood of it, and the steps refuse to begin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.cli.escape import safe
from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_dagster.naming import IN_SYNC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.errors import Problem
    from secretsync_core.schema.documents import Documents

BROKEN_TAG = "secretsync/broken"
"""The tag of jobs that only fail, for their documents have errors."""

ERRORS = "errors in the documents"
"""The metadata of a check that is red for the document's sake. What has it is put right with the document."""

_TOLD = 3


def why_broken(name: str, problems: Sequence[Problem], *, loaded: bool = True) -> UsageError:
    """What a SyncJob that has errors fails with: which, and where.

    Args:
        name: the SyncJob.
        problems: its errors.
        loaded: whether they were there already when the code location was loaded.
    """
    if not problems:
        return UsageError(
            f"SyncJob {name} is not in the documents any more", hint="reload the code location, and start a new run"
        )
    told = [_told(problem) for problem in problems[:_TOLD]]
    if len(problems) > _TOLD:
        told.append(f"and {plural(len(problems) - _TOLD, 'more error')}")
    return UsageError(
        f"SyncJob {name} cannot run, for its document has errors: {'; '.join(told)}",
        hint="correct the document, and reload the code location: `secretsync validate` lists every error"
        if loaded
        else "correct the document: it was changed since the code location was loaded",
    )


def _told(problem: Problem) -> str:
    """Where it is, what, and as the command line has it what was probably meant."""
    return f"{problem.where}: {problem.message}" + (f" ({problem.hint})" if problem.hint else "")


_of_scope: dict[str, str] = {}
"""Which scope of this process has a SyncJob of a name: of two that are broken one alone can have its pages."""


def without_namesakes(documents: Documents, scope: str) -> Documents:
    """The documents of one scope of several, less the broken SyncJobs that another scope has by the same name.

    Two whole ones are an error of Dagster's, which people have to know of; broken ones take nothing down.
    """
    for name in documents.jobs:
        _of_scope[name] = scope
    broken = {name: job for name, job in documents.broken.jobs.items() if _of_scope.setdefault(name, scope) == scope}
    return replace(documents, broken=replace(documents.broken, jobs=broken))


def red_for_errors(asset: dg.AssetKey, error: UsageError) -> dg.AssetCheckEvaluation:
    """What ``in_sync`` says of a SyncJob that has errors."""
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=IN_SYNC,
        passed=False,
        description=safe(error.message),
        metadata={ERRORS: dg.MetadataValue.text(safe(error.message)), "what to do": safe(error.hint)},
    )
