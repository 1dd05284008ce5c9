"""A service that a document describes passes the suite that every store must pass."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from support.rest.described import ALL, BY_ID, FULL, MARKED, MARKED_BY_ID, ONE

from secretsync_core.errors import AccessDenied, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.rest import open_store
from secretsync_core.stores.rest.config import HttpConfig
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from support.rest.inhouse import InHouse

    from rest.conftest import Section
    from secretsync_core.stores.base import Store, StoreContext


class _Http(StoreConformance):
    base: ClassVar[dict[str, Any]] = FULL
    given: ClassVar[Mapping[str, Any]] = {}

    def _open(self, section: Section, context: StoreContext) -> Awaitable[Store]:
        config = HttpConfig.model_validate_json(json.dumps(section(self.base, **self.given)))
        return open_store(config, context)

    @pytest.fixture
    async def store(self, section: Section, context: StoreContext) -> AsyncIterator[Store]:
        store = await self._open(section, context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, section: Section, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: self._open(section, context)

    @pytest.fixture
    async def marked(self, section: Section, marked_context: StoreContext) -> AsyncIterator[Store]:
        store = await self._open(section, marked_context)
        yield store
        await store.aclose()

    @pytest.fixture
    def faults(self, inhouse: InHouse) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        @contextlib.asynccontextmanager
        async def refused(status: int, headers: Mapping[str, str]) -> AsyncIterator[None]:
            inhouse.answer("", status, b"{}", headers)
            yield
            inhouse.heal()

        return {
            AccessDenied: lambda _: refused(403, {}),
            RateLimited: lambda _: refused(429, {"Retry-After": "60"}),
            StoreUnavailable: lambda _: refused(502, {}),
        }


class TestEverything(_Http):
    """All operations, with values that are read, and compare-and-set by ETags."""

    abilities = frozenset(
        {Ability.READ, Ability.LIST, Ability.WRITE, Ability.CREATE, Ability.COMPARE_AND_SET, Ability.DELETE}
    )


@pytest.mark.slow
class TestByIds(_Http):
    """Names and versions alone, in pages by their numbers; changed by ids."""

    abilities = frozenset({Ability.LOOK, Ability.LIST, Ability.WRITE, Ability.CREATE, Ability.DELETE})
    base = BY_ID


@pytest.mark.slow
class TestMarked(_Http):
    """Everything, with marks in a comment."""

    abilities = TestEverything.abilities | {Ability.MARK}
    base = MARKED


@pytest.mark.slow
class TestMarkedByIds(_Http):
    """Names and versions alone, with marks in a comment that each update says again."""

    abilities = TestByIds.abilities | {Ability.MARK}
    base = MARKED_BY_ID


@pytest.mark.slow
class TestUpserts(_Http):
    """One request that creates or replaces, no versions, bytes as base64, pages by links."""

    abilities = frozenset({Ability.READ, Ability.LIST, Ability.WRITE, Ability.DELETE})
    given: ClassVar = {
        "values": {"encoding": "Base64"},
        "list": {"version": None, "query": None, "total": None, "next": {"linkHeader": True}},
        "look": {"version": None},
        "read": {"version": None},
        "create": None,
        "update": None,
        "write": {"path": ONE, "body": {"value": "{{ value }}"}},
        "delete": {"path": ONE, "headers": None},
    }

    @pytest.fixture(autouse=True)
    def upserts(self, inhouse: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
        """A PUT of what is absent creates it."""
        one = inhouse._one

        def put(method: str, more: Any, found: Any, of_team: Any, body: Any, seen: Any) -> Any:
            if method == "PUT" and found is None:
                from urllib.parse import unquote

                found = inhouse.add(unquote(seen.path.rpartition("/")[2]), "")
            return one(method, more, found, of_team, body, seen)

        monkeypatch.setattr(inhouse, "_one", put)


@pytest.mark.slow
class TestLooksAlone(_Http):
    """No listing, and links within answers have nothing to do; what is asked of single keys is all there is."""

    abilities = frozenset({Ability.LOOK, Ability.WRITE, Ability.CREATE})
    given: ClassVar = {
        "list": None,
        "read": None,
        "delete": None,
        "update": {"path": ONE, "headers": None},
        "create": {"path": ALL},
    }
