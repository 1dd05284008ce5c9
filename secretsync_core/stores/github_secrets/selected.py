"""The repositories that see a secret of an organization, by their names and by their numbers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from secretsync_core.stores.github_secrets.answers import Request
from secretsync_core.stores.github_secrets.transport import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.github_secrets.config import GithubSecretsConfig
    from secretsync_core.stores.github_secrets.scope import Scope
    from secretsync_core.stores.github_secrets.transport import Transport


class Selected:
    """What each write for an organization says of who sees it: nothing for a repository, which has no such choice."""

    def __init__(self, config: GithubSecretsConfig, transport: Transport, scope: Scope) -> None:
        self._visibility = config.visibility
        self._names = config.selected_repositories
        self._owner = config.organization
        self._transport = transport
        self._scope = scope
        self._ids: list[int] | None = None
        self._lock = asyncio.Lock()

    async def fields(self) -> Mapping[str, Any]:
        """The fields for a request. The numbers of repositories are asked for once, by the first write."""
        if self._visibility is None:
            return {}
        if self._visibility != "Selected":
            return {"visibility": self._visibility.lower()}
        async with self._lock:
            if self._ids is None:
                self._ids = [await self._id(name) for name in self._names]
        return {"visibility": "selected", "selected_repository_ids": self._ids}

    async def _id(self, name: str) -> int:
        full = f"{self._owner}/{name}"
        scope = self._scope._replace(
            holder=f"repository {full}", permission="metadata", oauth="repo", field="selectedRepositories"
        )
        request = Request(self._transport.store, scope, f"tell the number of {full}")
        path = f"/repos/{full}"
        found = await self._transport.ask("stat", "GET", path, request, lambda part: part.number("id", least=1))
        if isinstance(found, Answer):
            raise found.refusal(request)
        return found
