"""Files that sops encrypts for age keys or AWS KMS, in YAML, JSON, dotenv or INI: one a secret, or one with all.

No program is run, and nothing in plain text ever leaves the process: the format of sops is read and written here, as
its own tests against sops hold. What it promises besides what :mod:`~secretsync_core.stores.directory` does:

- A change encrypts the values that change, and the checksum. All others keep their ciphertext and their place in the
  file, so that a diff shows what changed. Comments stay.
- Nothing is read whose checksum is wrong, and nothing is written that the file's own rules leave in plain text.
- Versions are made of ciphertexts, so that to list and to look needs no key, and a clone shows the same ones.
- Writers of ours take turns, and compare versions under a lock.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Feature
from secretsync_core.stores.directory.place import declared, place_of_directory
from secretsync_core.stores.provider import Provider
from secretsync_core.stores.sops.config import SopsConfig

if TYPE_CHECKING:
    from secretsync_core.model.place import Place
    from secretsync_core.stores.base import Store, StoreContext


def _place(config: SopsConfig) -> Place | None:
    if config.path is not None:
        return place_of_directory(declared(config.path))
    return place_of_directory(declared(config.file or ""))


async def open_store(config: SopsConfig, context: StoreContext) -> Store:
    """Open it; the directory need not exist until something is read, and the first write creates it.

    Raises StoreError where the age key cannot be had, or is none, and where credentials for KMS cannot be had.
    Reading, listing or deleting in a directory that does not exist raises StoreError too: it may be a disk that is not
    mounted.
    """
    from secretsync_core.stores.sops.layout import FilePerSecret, one_file
    from secretsync_core.stores.sops.store import SopsStore

    if config.path is not None:
        return await SopsStore(config.path, FilePerSecret(config.ending), config, context).opened()
    file = Path(declared(config.file or ""))
    return await SopsStore(str(file.parent), one_file(file.name), config, context).opened()


PROVIDER = Provider(
    config=SopsConfig,
    open=open_store,
    variants=(("", "secretsync_core.stores.sops.store:SopsStore"),),
    extra="sops",
    needs=("cryptography", "pyrage"),
    place=_place,
    lacks=lambda _: (Feature.METADATA, Feature.TYPES),
)
