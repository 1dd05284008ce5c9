"""Where in GitLab's API variables are: the paths for a project, a group or the instance, and what they take.

By lib/api/ci/variables.rb, lib/api/group_variables.rb and lib/api/admin/ci/variables.rb of GitLab's source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig

PAGE = 100
"""The most that a page shows (doc/api/rest)."""


class Scope(NamedTuple):
    """One place for variables.

    Attributes:
        home: the path of the project or group; empty for the instance.
        name: its own path, as its document has it; empty for the instance.
        naming: the field in which GitLab tells that path.
        base: the path of the variables, which a name follows.
        holder: what holds them, for people: ``project acme/app``.
        environment: the environment scope that is asked for; None where variables have none.
        role: whom GitLab lets write there.
        heeds: whether GitLab heeds the environment scope that an update names, in every version and case.
    """

    home: str
    name: str
    naming: str
    base: str
    holder: str
    environment: str | None
    role: str
    heeds: bool = True

    def known_by(self, number: int) -> Scope:
        """The same by its number, which stays when it is renamed."""
        kind = self.home.split("/")[1]
        return self._replace(base=f"/{kind}/{number}/variables")

    def path(self, key: str) -> str:
        """The path of one variable; of several by its name the one of our environment scope."""
        if self.environment is None:
            return f"{self.base}/{key}"
        # The client takes a query off a path, and encodes it anew.
        return f"{self.base}/{key}?filter[environment_scope]={quote(self.environment, safe='')}"


def scope_of(config: GitlabVariablesConfig) -> Scope:
    """The scope that a document names."""
    if config.project is not None:
        home = f"/projects/{quote(config.project, safe='')}"
        naming, holder, role = "path_with_namespace", f"project {config.project}", "the role Maintainer in it"
    elif config.group is not None:
        home = f"/groups/{quote(config.group, safe='')}"
        naming, holder, role = "full_path", f"group {config.group}", "the role Owner in it"
    else:
        return Scope("", "", "", "/admin/ci/variables", "instance", None, "the administrators' role, and their mode")
    name = config.project or config.group or ""
    # For groups it does from 16.9 on (doc/api/group_level_variables.md). Where there is none of that scope, an update
    # still reaches another one of that name: lib/api/group_variables.rb gives ChangeVariableService none, and that one
    # looks for the name alone (app/services/ci/change_variable_service.rb).
    heeds = config.project is not None
    return Scope(home, name, naming, f"{home}/variables", holder, config.environment_scope, role, heeds)
