"""The store of sops files passes the suite that every store must pass: with a file each, and with one for all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from typing import TYPE_CHECKING

import pyrage
import pytest
from support.aws import KEYS

from secretsync_core.errors import AccessDenied, InvalidSecret, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.sops import open_store
from secretsync_core.stores.sops.config import SopsConfig
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from support.aws import Region

    from secretsync_core.stores.base import Store, StoreContext

ABILITIES = frozenset(
    {Ability.READ, Ability.LIST, Ability.WRITE, Ability.CREATE, Ability.COMPARE_AND_SET, Ability.DELETE}
)
IDENTITY = pyrage.x25519.Identity.generate()


def _config(**where: str) -> SopsConfig:
    config = {**where, "ageKey": {"value": str(IDENTITY)}, "recipients": [str(IDENTITY.to_public())]}
    return SopsConfig.model_validate(config, strict=False)


def _faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_of: Callable[[str], str]
) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
    def system(code: int) -> Callable[[str], AbstractAsyncContextManager[None]]:
        @contextlib.asynccontextmanager
        async def fault(key: str) -> AsyncIterator[None]:
            real = os.open

            def failing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
                if path == file_of(key).rpartition("/")[2]:
                    raise OSError(code, os.strerror(code))
                return real(path, flags, mode, dir_fd=dir_fd)

            with monkeypatch.context() as patch:
                patch.setattr(os, "open", failing)
                yield

        return fault

    @contextlib.asynccontextmanager
    async def linked(key: str) -> AsyncIterator[None]:
        path, away = tmp_path / file_of(key), tmp_path / "away"
        path.rename(away)
        path.symlink_to(away)
        yield
        path.unlink()
        away.rename(path)

    return {AccessDenied: system(errno.EACCES), StoreUnavailable: system(errno.EIO), InvalidSecret: linked}


@pytest.mark.slow
class TestFilePerSecret(StoreConformance):
    """A directory with a JSON file for each secret."""

    abilities = ABILITIES

    @pytest.fixture
    async def store(self, context: StoreContext, tmp_path: Path) -> AsyncIterator[Store]:
        store = await open_store(_config(path=str(tmp_path), ending=".json"), context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, context: StoreContext, tmp_path: Path) -> Callable[[], Awaitable[Store]]:
        return lambda: open_store(_config(path=str(tmp_path), ending=".json"), context)

    @pytest.fixture
    async def inner(self, context: StoreContext, tmp_path: Path) -> AsyncIterator[Store]:
        store = await open_store(_config(path=str(tmp_path / "folder" / "part"), ending=".json"), context)
        yield store
        await store.aclose()

    @pytest.fixture
    def faults(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        return _faults(tmp_path, monkeypatch, lambda key: f"{key}.json")


@pytest.mark.slow
class TestOneFile(StoreConformance):
    """A YAML file with all secrets."""

    abilities = ABILITIES
    file = "secrets.yaml"

    @pytest.fixture
    async def store(self, context: StoreContext, tmp_path: Path) -> AsyncIterator[Store]:
        store = await open_store(_config(file=str(tmp_path / self.file)), context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, context: StoreContext, tmp_path: Path) -> Callable[[], Awaitable[Store]]:
        return lambda: open_store(_config(file=str(tmp_path / self.file)), context)

    @pytest.fixture
    def faults(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        return _faults(tmp_path, monkeypatch, lambda _: self.file)


@pytest.mark.slow
class TestOneIniFile(TestOneFile):
    """An INI file with a section for each secret."""

    file = "secrets.ini"


@pytest.mark.slow
class TestByKms(StoreConformance):
    """A directory with a YAML file for each secret, by a key of AWS KMS alone."""

    abilities = ABILITIES

    @pytest.fixture
    def config(self, region: Region, tmp_path: Path) -> SopsConfig:
        arn = region.client("kms").create_key()["KeyMetadata"]["Arn"]
        kms = {"keys": [arn], "endpointUrl": region.address, "auth": {"accessKey": KEYS}}
        return SopsConfig.model_validate_json(json.dumps({"path": str(tmp_path / "files"), "kms": kms}))

    @pytest.fixture
    async def store(self, context: StoreContext, tmp_path: Path, config: SopsConfig) -> AsyncIterator[Store]:
        (tmp_path / "files").mkdir()
        store = await open_store(config, context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, context: StoreContext, config: SopsConfig) -> Callable[[], Awaitable[Store]]:
        return lambda: open_store(config, context)

    @pytest.fixture
    def faults(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        return _faults(tmp_path / "files", monkeypatch, lambda key: f"{key}.yaml")
