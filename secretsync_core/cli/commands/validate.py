"""``secretsync validate``: everything that is wrong with the documents, at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from secretsync_core.cli import exits, workspace
from secretsync_core.cli.escape import safe
from secretsync_core.cli.json_output import problem_object
from secretsync_core.counting import plural
from secretsync_core.errors import DocumentError
from secretsync_core.policy.reading import read_policies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.cli.call import Call
    from secretsync_core.cli.output import Output
    from secretsync_core.errors import Problem
    from secretsync_core.schema.documents import Documents


def run(output: Output, call: Call) -> int:
    """Load the documents of the call and say what is wrong with them."""
    documents: Documents | None = None
    problems: Sequence[Problem]
    try:
        documents = workspace.read(call)
        problems = documents.warnings
    except DocumentError as error:
        problems = error.problems
    if documents is not None:
        workspace.check_names(call.names, documents)
    errors = sum(not problem.warning for problem in problems)
    code = exits.WRONG if errors else exits.OK
    for problem in problems:
        if not (problem.warning and output.quiet):
            output.located(problem.where, "warning" if problem.warning else "error", problem.message, problem.hint)
    policies = read_policies(os.environ)
    if output.json:
        output.document(
            {
                "problems": [problem_object(problem) for problem in problems],
                "stores": sorted(documents.stores) if documents else [],
                "jobs": sorted(documents.jobs) if documents else [],
                **({"policies": [policy.name for policy in policies.found]} if policies.place is not None else {}),
                "exitCode": code,
            }
        )
    else:
        output.line(_summary(documents, errors, len(problems) - errors, output))
        if policies.place is not None and not policies.problems:
            rules = sum(policy.rules for policy in policies.found)
            files = plural(len(policies.files), "file")
            output.line(
                output.paint(f"policy: {files}, {plural(rules, 'rule')}, in {safe(str(policies.place))}", "dim")
            )
    return code


def _summary(documents: Documents | None, errors: int, warnings: int, output: Output) -> str:
    noted = f", {plural(warnings, 'warning')}" if warnings else ""
    if errors or documents is None:
        return output.paint(plural(errors, "error"), "bold red") + noted
    found = f"{plural(len(documents.stores), 'store')}, {plural(len(documents.jobs), 'job')}"
    return f"{output.paint('ok', 'bold green')}: {found}{noted}"
