"""Where in GitHub's API secrets are: the paths for a repository, an environment or an organization, and what they take.

Paths are those of GitHub's OpenAPI description; limits and permissions are told by its documentation alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from secretsync_core.stores.github_secrets.config import GithubSecretsConfig

_ORGANIZATION = {
    "Actions": "organization_secrets",
    "Dependabot": "organization_dependabot_secrets",
    "Codespaces": "organization_codespaces_secrets",
    "Variables": "organization_actions_variables",
}
_REPOSITORY = {
    "Actions": "secrets",
    "Dependabot": "dependabot_secrets",
    "Codespaces": "codespaces_secrets",
    "Variables": "actions_variables",
}
PERMISSIONS = frozenset({*_ORGANIZATION.values(), *_REPOSITORY.values(), "environments", "metadata"})
"""Of Apps and of fine-grained tokens: those that an error may name."""

_SHOWN = {
    "actions_variables": "Variables",
    "organization_secrets": "organization Secrets",
    "organization_actions_variables": "organization Variables",
}
_LEVELS = {"read": "Read-only", "write": "Read and write"}


def shown(permission: str, level: str) -> str:
    """A permission as the settings of Apps and tokens show it, and as GitHub's API calls it."""
    name = _SHOWN.get(permission) or permission.replace("_", " ").capitalize()
    return f"{name}: {_LEVELS.get(level, level)} ({permission}={level})"


class Scope(NamedTuple):
    """One place for secrets.

    Attributes:
        home: the path of the repository or organization.
        base: the path of the secrets, which a name follows.
        holder: what holds them, for people: ``environment production of acme/app``.
        thing: what one of them is, for people: ``secret`` or ``variable``.
        most: how many there can be.
        page: how many one page of a listing shows.
        permission: what an App or a fine-grained token must be granted.
        oauth: the scope that a classic token needs.
        repository: the name of the repository without its owner; empty for an organization.
        field: the field of the SecretStore that says what holds them.
        by_app: whether we log in as an App.
    """

    home: str
    base: str
    holder: str
    thing: str
    most: int
    page: int
    permission: str
    oauth: str
    repository: str
    field: str
    by_app: bool

    @property
    def listed(self) -> str:
        """The field of a listing that holds them."""
        return f"{self.thing}s"

    @property
    def whole(self) -> Scope:
        """The same for the repository or the organization as such."""
        field = "repository" if self.repository else "organization"
        name = self.home.removeprefix("/repos/").removeprefix("/orgs/")
        return self._replace(holder=f"{field} {name}", field=field)


def scope_of(config: GithubSecretsConfig) -> Scope:
    """The scope that a document names."""
    variables = config.kind == "Variables"
    thing = "variable" if variables else "secret"
    use = "actions" if variables else config.kind.lower()
    page = 30 if variables else 100
    if config.organization is not None:
        home, repository = f"/orgs/{config.organization}", ""
        base, holder = f"{home}/{use}/{thing}s", f"organization {config.organization}"
        most, permission, oauth, field = 1000, _ORGANIZATION[config.kind], "admin:org", "organization"
    else:
        home = f"/repos/{config.repository}"
        holder, oauth, repository = f"repository {config.repository}", "repo", str(config.repository).partition("/")[2]
        if config.environment is not None:
            base = f"{home}/environments/{quote(config.environment, safe='')}/{thing}s"
            holder = f"environment {config.environment} of {config.repository}"
            most, permission, field = 100, "environments", "environment"
        else:
            base, field = f"{home}/{use}/{thing}s", "repository"
            most, permission = 500 if variables else 100, _REPOSITORY[config.kind]
    by_app = config.auth.app is not None
    return Scope(home, base, holder, thing, most, page, permission, oauth, repository, field, by_app)
