"""Variables at GitLab pass the suite that every store must pass."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from support.gitlab.refusals import RefusedError, forbidden, throttled

from secretsync_core.errors import AccessDenied, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.gitlab_variables import open_store
from secretsync_core.stores.gitlab_variables.config import GitlabVariablesConfig
from secretsync_core.testing.conformance import MARK, StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from support.gitlab.service import GitLab

    from gitlab_variables.conftest import Section
    from secretsync_core.stores.base import Store, StoreContext

HIDDEN = frozenset(
    {
        Ability.LOOK,
        Ability.LIST,
        Ability.WRITE,
        Ability.CREATE,
        Ability.DELETE,
        Ability.MARK,
        Ability.DESCRIBE,
        Ability.SET_METADATA,
    }
)


class _GitLab(StoreConformance):
    abilities = HIDDEN | {Ability.READ}
    config: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def holder(self, gitlab: GitLab) -> None:
        """Room for whatever the suite writes, and variables of another scope, which are nobody's business."""
        project, group = gitlab.holders.project("acme/app"), gitlab.holders.group("acme")
        gitlab.holders.instance.most = 10_000
        for holder in (project, group):
            for key in ("a", "b", "by-write", "folder-key"):
                holder.put(key.replace("-", "_"), "another scope's", environment_scope="elsewhere")

    def _open(self, section: Section, context: StoreContext) -> Awaitable[Store]:
        config = GitlabVariablesConfig.model_validate_json(json.dumps(section(**self.config)))
        return open_store(config, context)

    @pytest.fixture
    async def store(self, section: Section, context: StoreContext) -> AsyncIterator[Store]:
        store = await self._open(section, context)
        yield store
        await store.aclose()

    @pytest.fixture
    async def marked(self, section: Section, context: StoreContext) -> AsyncIterator[Store]:
        store = await self._open(section, replace(context, mark=MARK))
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, section: Section, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: self._open(section, context)


@pytest.mark.slow
class TestProject(_GitLab):
    """The variables of a project, for every environment."""

    config: ClassVar = {"visibility": "Visible", "protected": True, "description": "of the suite"}

    @pytest.fixture
    def faults(self, gitlab: GitLab) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        @contextlib.asynccontextmanager
        async def refused(error: RefusedError) -> AsyncIterator[None]:
            gitlab.refuse("/variables", error)
            yield
            gitlab.heal()

        return {
            AccessDenied: lambda _: refused(forbidden()),
            RateLimited: lambda _: refused(throttled(retry_after=60)),
            StoreUnavailable: lambda _: refused(RefusedError(502, b"Bad Gateway")),
        }


@pytest.mark.slow
class TestGroup(_GitLab):
    """The masked variables of a group, for some environments."""

    config: ClassVar = {"group": "acme", "environmentScope": "review/*", "visibility": "Visible", "raw": False}


@pytest.mark.nightly
class TestInstance(_GitLab):
    """The variables of an instance, which have no scopes."""

    config: ClassVar = {"instance": True, "visibility": "Visible", "type": "File"}


@pytest.mark.slow
class TestHidden(_GitLab):
    """Variables that nobody can read."""

    abilities = HIDDEN
    config: ClassVar = {"visibility": "Hidden"}
