"""GitHub's secrets, of Actions, Dependabot and Codespaces, and the variables of Actions.

GitHub shows the names of secrets and when they were written, and never a value. Variables can be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Feature
from secretsync_core.stores.github_secrets.config import GithubSecretsConfig
from secretsync_core.stores.github_secrets.names import KEY_LIMITS
from secretsync_core.stores.github_secrets.place import declared_place
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: GithubSecretsConfig, context: StoreContext) -> Store:
    """Open the secrets, or variables, that ``config`` names: log in, and ask for the repository or organization.

    Raises StoreError where a credential cannot be used or the repository has another name by now, AccessDenied where
    GitHub refuses us, StoreUnavailable where it cannot be reached.
    """
    from secretsync_core.stores.github_secrets.opening import open_github

    return await open_github(config, context)


def _lacks(config: GithubSecretsConfig) -> tuple[Feature, ...]:
    nowhere = (Feature.TYPES, Feature.METADATA)
    return nowhere if config.kind == "Variables" else (*nowhere, Feature.VALUES)


PROVIDER = Provider(
    config=GithubSecretsConfig,
    open=open_store,
    variants=(
        ("secrets", "secretsync_core.stores.github_secrets.secrets:GithubSecrets"),
        ("variables", "secretsync_core.stores.github_secrets.variables:GithubVariables"),
    ),
    extra="github",
    needs=("aiohttp", "jwt", "nacl"),
    place=declared_place,
    keys=KEY_LIMITS,
    lacks=_lacks,
)
