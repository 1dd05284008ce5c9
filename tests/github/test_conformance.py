"""Secrets and variables at GitHub pass the suite that every store must pass."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from support.github.refusals import RefusedError, not_accessible, secondary_limit

from secretsync_core.errors import AccessDenied, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.github_secrets import open_store
from secretsync_core.stores.github_secrets.config import GithubSecretsConfig
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from support.github.service import GitHub

    from github.conftest import Section
    from secretsync_core.stores.base import Store, StoreContext

NO_MORE = frozenset({Ability.LOOK, Ability.LIST, Ability.WRITE, Ability.DELETE})


class _GitHub(StoreConformance):
    abilities = NO_MORE
    config: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def holder(self, github: GitHub) -> None:
        """Room for whatever the suite writes: what GitHub's own bounds do has a test of its own."""
        repository = github.accounts.repository("acme/app")
        environment = repository.environment("production")
        for holder in (repository, environment, github.accounts.organisation("acme")):
            for use, what in (("actions", "secrets"), ("actions", "variables"), ("dependabot", "secrets")):
                holder.shelf(use, what).most = 10_000

    def _open(self, section: Section, context: StoreContext) -> Awaitable[Store]:
        config = GithubSecretsConfig.model_validate_json(json.dumps(section(**self.config)))
        return open_store(config, context)

    @pytest.fixture
    async def store(self, section: Section, context: StoreContext) -> AsyncIterator[Store]:
        store = await self._open(section, context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, section: Section, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: self._open(section, context)


class TestRepository(_GitHub):
    """The secrets of Actions of one repository."""


@pytest.mark.nightly
class TestOrganization(_GitHub):
    """The secrets of Dependabot of an organization: over several pages."""

    config: ClassVar = {"organization": "acme", "visibility": "Private", "kind": "Dependabot"}


@pytest.mark.slow
class TestVariables(_GitHub):
    """Variables of an environment, which can be read."""

    abilities = NO_MORE | {Ability.READ, Ability.CREATE}
    config: ClassVar = {"environment": "production", "kind": "Variables"}

    @pytest.fixture
    def faults(self, github: GitHub) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        @contextlib.asynccontextmanager
        async def refused(error: RefusedError) -> AsyncIterator[None]:
            github.refuse("/variables", error)
            yield
            github.heal()

        return {
            AccessDenied: lambda _: refused(not_accessible("integration", "environments=read")),
            RateLimited: lambda _: refused(secondary_limit(60)),
            StoreUnavailable: lambda _: refused(RefusedError(502, "Server Error")),
        }
