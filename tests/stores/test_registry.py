"""Stores are opened by the provider that their document names, ours or a third party's."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from secretsync_core.distribution import NAME, extra_hint
from secretsync_core.errors import StoreError
from secretsync_core.model.capabilities import Ability, Permissions
from secretsync_core.schema.documents import StoreDocument, Where
from secretsync_core.stores import memory, registry
from secretsync_core.stores.base import Reader, StoreContext, Writer, abilities_of
from secretsync_core.stores.file import FileConfig
from secretsync_core.stores.memory import MemoryConfig
from secretsync_core.stores.registry import abilities_of_class, installed, open_store
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALL = frozenset(Ability) - {Ability.CREATE}

PLUGIN = """
from pydantic import BaseModel
from secretsync_core.model.capabilities import Shape
from secretsync_core.stores.memory import MemoryStore

class config(BaseModel):
    colour: str = "blue"

async def open(config, context):
    return MemoryStore(Shape.FIELDS, context)
"""

# In a process of its own: modules that are imported twice would haunt the other tests.
WITHOUT_AIOHTTP = """
import asyncio, importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "aiohttp" else real(name, package)
from secretsync_core.errors import StoreError
from secretsync_core.model.capabilities import Permissions
from secretsync_core.schema.documents import StoreDocument, Where
from secretsync_core.stores.registry import installed, open_store

try:
    asyncio.run(open_store(StoreDocument("one", Permissions.READ, "vault", None, Where("a.yaml", 1)), None))
except StoreError as error:
    print(error.message, error.hint, sep="\\n")
for info in installed():
    if info.provider == "vault":
        print(info.problem)
"""


class Empty(BaseModel):
    """A third party's configuration."""


def document(provider: str, config: BaseModel, permissions: Permissions = Permissions.READ_WRITE) -> StoreDocument:
    return StoreDocument("one", permissions, provider, config, Where("stores.yaml", 1))


def context() -> StoreContext:
    return StoreContext("one", CountingGate(), {}, 4)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a small package that brings a provider."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(provider: str, source: str = PLUGIN, package: str = "acme") -> None:
        (tmp_path / f"{package}_plugin.py").write_text(source)
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[secretsync.stores]\n{provider} = {package}_plugin\n")
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, f"{package}_plugin", raising=False)

    return install


async def test_built_in_stores_are_opened_with_their_permissions(tmp_path: Path) -> None:
    """A file store with Read comes without its writing half; a memory store with ReadWrite comes whole."""
    memory.reset()
    files = await open_store(document("file", FileConfig(path=str(tmp_path)), Permissions.READ), context())
    assert abilities_of(files) == {Ability.READ, Ability.LOOK, Ability.LIST}
    whole = await open_store(document("memory", MemoryConfig()), context())
    assert abilities_of(whole) == frozenset(Ability)
    await files.aclose()
    await whole.aclose()


async def test_a_third_partys_store_is_opened(plugin: Callable[..., None]) -> None:
    """A provider from an entry point is opened by its name, with permissions held here too."""
    memory.reset()
    plugin("acme-vault")
    store = await open_store(document("acme-vault", Empty(), Permissions.READ), context())
    assert isinstance(store, Reader)
    assert not isinstance(store, Writer)


async def test_a_third_party_is_loaded_only_when_named(plugin: Callable[..., None], tmp_path: Path) -> None:
    """A package that fails to import hurts nobody who does not use it, and is named to those who do."""
    plugin("acme-vault", "raise RuntimeError('broken: hunter2')")
    store = await open_store(document("file", FileConfig(path=str(tmp_path))), context())
    await store.aclose()
    [info] = [info for info in installed() if info.provider == "acme-vault"]
    assert (info.package, info.version, info.abilities, info.problem) == ("acme", "1.2", None, "")
    assert "acme_plugin" not in sys.modules
    with pytest.raises(StoreError, match="package acme cannot be loaded: RuntimeError") as caught:
        await open_store(document("acme-vault", Empty()), context())
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("config = None", "cannot be loaded: AttributeError"),
        ("async def open(config, context): ...", "cannot be loaded: AttributeError"),
        ("config = None\nasync def open(config, context): return object()", "not a store"),
    ],
)
async def test_what_is_not_a_provider_is_told(plugin: Callable[..., None], source: str, text: str) -> None:
    """A provider without its two attributes, or that gives no store, is the fault of its package."""
    plugin("acme-vault", source)
    with pytest.raises(StoreError, match=text):
        await open_store(document("acme-vault", Empty()), context())


async def test_a_name_that_is_taken_is_an_error(plugin: Callable[..., None]) -> None:
    """A package may not take over a built-in provider, and two may not share a name; both are named."""
    plugin("file")
    with pytest.raises(StoreError, match="more than one package: secretsync-core, acme"):
        await open_store(document("file", FileConfig(path="/nowhere")), context())
    assert all("more than one" in info.problem for info in installed() if info.provider == "file")


async def test_two_packages_may_not_share_a_name(plugin: Callable[..., None]) -> None:
    """With two packages for one name nobody knows which is meant."""
    plugin("shared", package="acme")
    plugin("shared", package="bolt")
    with pytest.raises(StoreError, match=r"more than one package: (acme, bolt|bolt, acme)"):
        await open_store(document("shared", Empty()), context())


async def test_an_unknown_provider_is_an_error() -> None:
    """The hint lists what there is."""
    with pytest.raises(StoreError, match="'nothing'") as caught:
        await open_store(document("nothing", Empty()), context())
    assert all(name in caught.value.hint for name in ("file", "kubernetes", "memory", "vault"))


def test_a_missing_sdk_names_the_extra() -> None:
    """Without aiohttp the vault store says what to install, and the list of stores says it too."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_AIOHTTP],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    needed, hint, *problems = done.stdout.splitlines()
    assert needed == "the provider 'vault' needs aiohttp"
    assert hint == extra_hint("vault")
    assert problems == [f"needs aiohttp: {extra_hint('vault')}"] * 3


def test_a_module_within_a_missing_package_is_missing() -> None:
    """Such as ``google.cloud.secretmanager_v1`` where nothing of Google is installed."""
    assert not registry._is_there("no_such_package.of_it.part")
    assert registry._is_there("importlib.util")


def test_what_is_installed_is_listed_with_what_it_can_do() -> None:
    """Every built-in kind is there with the abilities of its class, the kinds of KV apart."""
    infos = {(info.provider, info.variant): info for info in installed()}
    basic = frozenset({Ability.READ, Ability.LOOK, Ability.LIST, Ability.WRITE, Ability.DELETE})
    assert infos["file", ""].abilities == basic | {Ability.CREATE}
    assert infos["memory", ""].abilities == frozenset(Ability)
    assert infos["vault", "KV version 1"].abilities == basic
    assert infos["vault", "KV version 2"].abilities == ALL
    for variant in ("one namespace", "all namespaces"):
        assert infos["kubernetes", variant].abilities == ALL - {Ability.UNDELETE}
    file = infos["file", ""]
    assert file.limits is not None
    assert file.limits.max_bytes == 64 * 1024 * 1024
    assert not any(info.problem for info in infos.values() if info.package == NAME)


def test_abilities_are_read_off_a_class() -> None:
    """A class tells what its instances can do, without one being opened, and half an ability is none."""

    class Half:
        facts = None

        async def aclose(self) -> None: ...

        async def read(self, key: str) -> None: ...

        async def delete(self, key: str) -> None: ...

    assert abilities_of_class(Half) == {Ability.DELETE}
    assert abilities_of_class(memory.MemoryStore) == frozenset(Ability)
