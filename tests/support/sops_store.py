"""The store of sops files, opened for tests at samples that sops made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyrage

from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.sops import open_store
from secretsync_core.stores.sops.config import SopsConfig
from secretsync_core.stores.sops.document import Sealed
from secretsync_core.stores.sops.layout import form_of
from secretsync_core.stores.sops.metadata import identities_of
from secretsync_core.testing.gates import CountingGate
from support import sops

if TYPE_CHECKING:
    from secretsync_core.stores.sops.store import SopsStore

SAMPLES = Path(__file__).parents[1] / "stores" / "sops_samples"
"""Made by sops 3.13.3, for the key in age.txt."""

KEY = next(line for line in (SAMPLES / "age.txt").read_text().splitlines() if line.startswith("AGE-"))
RECIPIENT = str(pyrage.x25519.Identity.from_str(KEY).to_public())
DB: dict[str, Any] = {
    "user": "alice", "password": "s3cret 🔑", "port": 5432, "ratio": 0.5, "whole": 1.0, "tls": True, "nothing": None,
    "empty": "", "hosts": ["one", "two"], "options": {},
}  # fmt: skip


async def opened(config: dict[str, Any], notes: list[str] | None = None, **environ: str) -> Any:
    given = {"ageKey": {"value": KEY}} | config
    store: Any = await open_store(
        SopsConfig.model_validate_json(json.dumps({name: each for name, each in given.items() if each is not None})),
        StoreContext("files", CountingGate(), environ, 4, notes=[] if notes is None else notes),
    )
    return store


async def fields(store: SopsStore, key: str) -> dict[str, Any]:
    found = (await store.read(key)).value.reveal()
    assert isinstance(found, dict)
    return found


async def listed(store: SopsStore) -> list[Entry | Gap]:
    return [each async for each in store.list("", recursive=True, metadata=False)]


async def keys(store: SopsStore) -> set[str]:
    found = await listed(store)
    assert all(isinstance(each, Entry) for each in found)
    return {each[0] for each in found}


def copy_samples(directory: Path) -> None:
    """Put the samples into a directory, with a rule for new files."""
    for sample in SAMPLES.glob("*.*"):
        shutil.copy(sample, directory)
    (directory / ".sops.yaml").write_text(f"creation_rules:\n  - age: {RECIPIENT}\n")


def held(file: Path, identity: str = KEY) -> Any:
    """What a file holds for somebody: by our own reading and, where there is sops, by its."""
    plain = Sealed(file.read_text(), form_of(file.name)).opened(identities_of(identity)).plain
    if sops.is_there():
        found = sops.decrypted(file, identity)
        assert {name: each for name, each in found.items() if name != "DEFAULT" or each} == plain
    return plain
