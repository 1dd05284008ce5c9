"""Puts a store together from its parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsync_core.errors import StoreError
from secretsync_core.stores.gitlab_variables.answers import Request
from secretsync_core.stores.gitlab_variables.connection import Answer, Connection
from secretsync_core.stores.gitlab_variables.hidden import GitlabHiddenVariables
from secretsync_core.stores.gitlab_variables.place import place_by
from secretsync_core.stores.gitlab_variables.readable import GitlabVariables
from secretsync_core.stores.gitlab_variables.scope import scope_of
from secretsync_core.stores.renamed import path_by_number, tellable

if TYPE_CHECKING:
    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig
    from secretsync_core.stores.gitlab_variables.scope import Scope

_BY_NUMBER = re.compile(r"/api/v4(/(?:projects|groups)/[0-9]{1,19})")
_PATH = re.compile(r"[A-Za-z0-9_.-]{1,255}(?:/[A-Za-z0-9_.-]{1,255}){0,30}")


async def open_gitlab(config: GitlabVariablesConfig, context: StoreContext) -> GitlabVariables | GitlabHiddenVariables:
    """See ``open_store``. What was opened halfway is closed again where an error ends it."""
    connection = Connection(config, context)
    scope = scope_of(config)
    try:
        number = await _number(connection, scope) if scope.home else None
    except BaseException:
        await connection.aclose()
        raise
    if number is not None:
        scope = scope.known_by(number)
    kind = GitlabHiddenVariables if config.hides else GitlabVariables
    return kind(config, connection, scope, place_by(config, number), context.mark)


async def _number(connection: Connection, scope: Scope) -> int:
    """The id of the project or group, which it keeps under every path.

    Raises StoreError where it has another path by now. Nothing is written under a path that GitLab only redirects: what
    a policy permits, and who may read the variables, hangs on whose project it is.
    """
    request = Request(connection.store, scope, f"show the {scope.holder}")
    found = await connection.ask("stat", "get", scope.home, request, lambda part: _called(part, scope))
    if isinstance(found, Answer):
        error = found.refusal(request)
        told = await _new_path(connection, scope, found)
    else:
        number, path = found
        if path.lower() == scope.name.lower():
            return number
        error = StoreError(f"{connection.store}: the {scope.holder} has another path", store=connection.store)
        told = tellable(path, _PATH, connection.token.now())
    if told:
        error.hint = f"the {scope.holder} is at {told} now: give that path, if the variables are still to go there"
    raise error


def _called(part: Part, scope: Scope) -> tuple[int, str]:
    return part.number("id", least=1), part.text(scope.naming)


async def _new_path(connection: Connection, scope: Scope, answer: Answer) -> str:
    """Where a project is now, where it was moved; empty where GitLab does not tell.

    Asked for at the very server of the document, and by nothing of the answer but a number.
    """
    path = path_by_number(answer.status, answer.headers.get("Location", ""), connection.address, _BY_NUMBER)
    if not path:
        return ""
    request = Request(connection.store, scope, "tell the new path of its project")
    try:
        found = await connection.ask("stat", "get", path, request, lambda part: _called(part, scope))
    except StoreError:
        return ""
    return "" if isinstance(found, Answer) else tellable(found[1], _PATH, connection.token.now())
