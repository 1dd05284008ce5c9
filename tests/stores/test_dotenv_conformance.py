"""The store of .env files passes the suite that every store must pass."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import AccessDenied, InvalidSecret, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.dotenv import DotenvConfig, open_store
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from secretsync_core.stores.base import Store, StoreContext


def _config(path: Path) -> DotenvConfig:
    return DotenvConfig.model_validate({"path": str(path)})


@pytest.mark.slow
class TestDotenv(StoreConformance):
    """A directory with a .env file in each folder."""

    abilities = frozenset(
        {Ability.READ, Ability.LIST, Ability.WRITE, Ability.CREATE, Ability.COMPARE_AND_SET, Ability.DELETE}
    )

    @pytest.fixture
    async def store(self, context: StoreContext, tmp_path: Path) -> AsyncIterator[Store]:
        store = await open_store(_config(tmp_path), context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, context: StoreContext, tmp_path: Path) -> Callable[[], Awaitable[Store]]:
        return lambda: open_store(_config(tmp_path), context)

    @pytest.fixture
    async def inner(self, context: StoreContext, tmp_path: Path) -> AsyncIterator[Store]:
        store = await open_store(_config(tmp_path / "folder" / "part"), context)
        yield store
        await store.aclose()

    @pytest.fixture
    def faults(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        def system(code: int) -> Callable[[str], AbstractAsyncContextManager[None]]:
            @contextlib.asynccontextmanager
            async def fault(key: str) -> AsyncIterator[None]:
                real = os.open

                def failing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
                    if path == ".env":
                        raise OSError(code, os.strerror(code))
                    return real(path, flags, mode, dir_fd=dir_fd)

                with monkeypatch.context() as patch:
                    patch.setattr(os, "open", failing)
                    yield

            return fault

        @contextlib.asynccontextmanager
        async def linked(key: str) -> AsyncIterator[None]:
            path = tmp_path / key / ".env"
            away = tmp_path / "away"
            path.rename(away)
            path.symlink_to(away)
            yield
            path.unlink()
            away.rename(path)

        return {AccessDenied: system(errno.EACCES), StoreUnavailable: system(errno.EIO), InvalidSecret: linked}
