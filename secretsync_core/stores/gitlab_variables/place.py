"""Where variables of GitLab are: the server, the project, the group or the instance, and the environment scope.

A project and a group are known by their numbers, which they keep when they are renamed or transferred. GitLab takes
paths in any case; here they are in lower case. A scope is one folder after a ``-``, which no project is called, and a
slash in it is written as %2F, so that none lies within another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from secretsync_core.model.place import Place, alias_of
from secretsync_core.stores.places import address, sound

if TYPE_CHECKING:
    from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig

SERVICE = "gitlabVariables"


def declared_place(config: GitlabVariablesConfig) -> Place | None:
    """The place as the document tells it: keys of a policy begin with the project's or group's path."""
    where = address(config.address)
    return sound(Place(SERVICE, where, f"{_holder(config)}/{_scope(config)}")) if where else None


def place_by(config: GitlabVariablesConfig, number: int | None) -> Place | None:
    """The place of an open store, whose project or group has this id; an instance has none."""
    where = address(config.address)
    if not where or number is None:
        return declared_place(config)
    kind = "group" if config.group is not None else "project"
    return sound(
        Place(SERVICE, f"{where}/{_holder(config)}", _scope(config), alias_of(f"{where} gitlab {kind} {number}"))
    )


def _holder(config: GitlabVariablesConfig) -> str:
    """So that no project is called as a group or an instance is: ``groups`` and ``-`` are no names in GitLab."""
    if config.project is not None:
        return config.project.lower()
    return f"groups/{config.group.lower()}" if config.group is not None else "-/instance"


def _scope(config: GitlabVariablesConfig) -> str:
    return "" if config.instance else f"-/{quote(config.environment_scope, safe='* ')}/"
