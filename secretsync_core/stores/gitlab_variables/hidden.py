"""Variables that are masked and hidden: GitLab shows that they are there, and never a value again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret
from secretsync_core.stores.fit import check_key
from secretsync_core.stores.gitlab_variables.names import HIDDEN_RULE, KEY_LIMITS
from secretsync_core.stores.gitlab_variables.shelf import Shelf

if TYPE_CHECKING:
    from secretsync_core.model.metadata import Described
    from secretsync_core.secret import SecretValue


class GitlabHiddenVariables(Shelf):
    """Lists, looks, marks, writes, creates only what is absent, and deletes; never reads.

    GitLab hides a variable as it is made, or never: one that is there and is not hidden is refused.
    """

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being sent, and look whether what is there is hidden."""
        self._text(key, value)
        await self._check_hidden(key)

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Replace the value of the hidden variable, or create one. Raises InvalidSecret for one that is not hidden."""
        self._text(key, value)
        await self._check_hidden(key)
        return await super().write(key, value)

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        """Set settings and the description. Raises InvalidSecret for a variable that is not hidden."""
        await self._check_hidden(key)
        return await super().set_metadata(key, wanted, version)

    async def _check_hidden(self, key: str) -> None:
        check_key(key, self.facts.name, KEY_LIMITS)
        found = await self._listing.one(key)
        if found is not None and not found.hidden:
            raise InvalidSecret(
                f"{self.facts.name} cannot hide {key}, which is there and can be read",
                store=self.facts.name,
                key=key,
                hint=HIDDEN_RULE,
            )
