"""Asks the service what we may do with secrets that are there: by testIamPermissions, which needs no right of its own.

It answers with nothing, and no error, for a secret that does not exist. So an empty answer counts only where a look
shows the secret. What creating takes, a right on the project, it cannot tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, SecretNotFound
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.stores.gcp_secret_manager.calls import Calls
    from secretsync_core.stores.gcp_secret_manager.names import Names

MOST = 5
"""How many secrets are asked about at the most, by up to two requests each."""

_NEEDS = {
    Act.LOOK: (("versions.get", "viewer"),),
    Act.READ: (("versions.access", "secretAccessor"),),
    Act.UPDATE: (("versions.add", "secretVersionAdder"),),
    Act.DELETE: (("secrets.delete", "admin"),),
}


class Rights:
    """What we may do with the secrets of one store."""

    def __init__(self, calls: Calls, names: Names) -> None:
        self._calls = calls
        self._names = names

    async def missing(self, wanted: Sequence[Access]) -> list[Missing]:
        """Those of ``wanted`` that are refused for sure."""
        by_key: dict[str, list[Access]] = {}
        for access in wanted:
            if access.act in _NEEDS and self._names.holds(access.key):
                by_key.setdefault(access.key, []).append(access)
        found = []
        for key, accesses in list(by_key.items())[:MOST]:
            asked = sorted({f"secretmanager.{name}" for access in accesses for name, _ in _NEEDS[access.act]})
            try:
                permitted = await self._calls.permitted(key, asked)
            except SecretNotFound:
                continue
            if not permitted and not await self._is_there(key):
                continue
            for access in accesses:
                for name, role in _NEEDS[access.act]:
                    if f"secretmanager.{name}" not in permitted:
                        grant = f"roles/secretmanager.{role} (secretmanager.{name}) on the secret {key}"
                        found.append(Missing(access, grant))
        return found

    async def _is_there(self, key: str) -> bool:
        """Whether there is such a secret, as far as we may know that."""
        try:
            return await self._calls.version(key) is not None
        except CredentialsRefused:
            raise
        except AccessDenied:
            return False
