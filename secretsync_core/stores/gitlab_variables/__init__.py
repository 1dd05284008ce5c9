"""CI/CD variables of GitLab: those of a project, of a group, or of a whole instance.

GitLab shows the values of variables, but for those that are hidden, and knows no versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Feature
from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig
from secretsync_core.stores.gitlab_variables.names import KEY_LIMITS
from secretsync_core.stores.gitlab_variables.place import declared_place
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: GitlabVariablesConfig, context: StoreContext) -> Store:
    """Open the variables that ``config`` names, and ask for their project or group.

    Raises StoreError where a credential cannot be used or the project has another path by now, AccessDenied where
    GitLab refuses us, StoreUnavailable where it cannot be reached.
    """
    from secretsync_core.stores.gitlab_variables.opening import open_gitlab

    return await open_gitlab(config, context)


def _lacks(config: GitlabVariablesConfig) -> tuple[Feature, ...]:
    nowhere = (Feature.TYPES, Feature.METADATA)
    return (*nowhere, Feature.VALUES) if config.hides else nowhere


PROVIDER = Provider(
    config=GitlabVariablesConfig,
    open=open_store,
    variants=(
        ("", "secretsync_core.stores.gitlab_variables.readable:GitlabVariables"),
        ("hidden", "secretsync_core.stores.gitlab_variables.hidden:GitlabHiddenVariables"),
    ),
    extra="gitlab",
    needs=("gitlab", "requests"),
    place=declared_place,
    keys=KEY_LIMITS,
    lacks=_lacks,
)
