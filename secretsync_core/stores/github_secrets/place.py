"""Where secrets of GitHub are: the server, the repository or organization, and which of its secrets.

A repository is known by its id, which it keeps when it is renamed or transferred: an open store asks for it once. So
what the ledger knows follows a SecretStore to the new name, and a repository that somebody makes anew under the old
name is another place. GitHub takes owners, repositories and environments in any case; here they are in lower case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.place import Place, alias_of
from secretsync_core.stores.places import address, sound

if TYPE_CHECKING:
    from secretsync_core.stores.github_secrets.config import GithubSecretsConfig

SERVICE = "githubSecrets"


def declared_place(config: GithubSecretsConfig) -> Place | None:
    """The place as the document tells it: keys of a policy begin with the repository or organization."""
    where = address(config.address)
    return sound(Place(SERVICE, where, f"{_holder(config)}/{_part(config)}")) if where else None


def place_by(config: GithubSecretsConfig, number: int) -> Place | None:
    """The place of an open store, whose repository or organization has this id."""
    where = address(config.address)
    if not where:
        return None
    kind = "organization" if config.organization is not None else "repository"
    identity = alias_of(f"{where} {kind} {number}")
    return sound(Place(SERVICE, f"{where}/{_holder(config)}", _part(config), identity))


def _holder(config: GithubSecretsConfig) -> str:
    """A repository as it is called, and an organization so that no repository is called alike."""
    if config.repository is not None:
        return config.repository.lower()
    return f"organizations/{(config.organization or '').lower()}"


def _part(config: GithubSecretsConfig) -> str:
    """What stands before a key: which of the secrets there they are."""
    environment = f"environments/{config.environment.lower()}/" if config.environment is not None else ""
    return f"{environment}{config.kind.lower()}/"
