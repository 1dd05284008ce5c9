"""Variables whose values GitLab shows to whoever may change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.fit import check_key
from secretsync_core.stores.gitlab_variables.names import KEY_LIMITS
from secretsync_core.stores.gitlab_variables.shelf import Shelf

if TYPE_CHECKING:
    from secretsync_core.stores.answers import Part
    from secretsync_core.stores.gitlab_variables.seen import About


class GitlabVariables(Shelf):
    """Reads, lists, marks, writes, creates only what is absent, and deletes. There are no versions."""

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The variable's value. A ``version`` is a StoreError: there are none.

        Raises AccessDenied for a hidden variable, whose value GitLab shows to nobody.
        """
        check_key(key, self.facts.name, KEY_LIMITS)
        if version is not None:
            raise StoreError(f"{self.facts.name} keeps no older versions", store=self.facts.name, key=key)
        found = await self._listing.get("read", self._listing.request("read", key), _secret)
        if found is None:
            raise self._absent(key)
        if found is _HIDDEN:
            raise AccessDenied(
                f"{key} in {self.facts.name} is hidden: GitLab shows its value to nobody",
                store=self.facts.name,
                key=key,
                hint="leave it out, delete it in GitLab to have it made anew, or write to it by a SecretStore with "
                "visibility: Hidden",
            )
        return found


_HIDDEN = Secret(SecretValue(b""), None)


def _secret(part: Part, about: About) -> Secret:
    if about.hidden:
        return _HIDDEN
    value = part.text_or_none("value")
    if value is None:
        raise part.wrong("value", "a text")
    return Secret(SecretValue(value.encode()), None)
