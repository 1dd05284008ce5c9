"""A directory with one file a secret: the key ``team/db`` is the file ``team/db`` below the root, its bytes the value.

What it promises:

- No key leaves the root. Every folder on the way is opened by itself, relative to the one before and never through a
  symbolic link, so neither ``..`` nor a link that appears halfway leads outside. The root itself may be a link; it is
  resolved once, when the store is opened. Links below it are refused, and a listing reports each as a Gap.
- A write is all or nothing, also when the machine stops: it goes to a temporary file in the secret's folder, is synced
  to disk, and takes the secret's name in one step. The file has no name before, where there are such files; elsewhere
  it begins with ``.secretsync-tmp-``, as no secret may. What dead writers left is removed by the next run that writes
  below the root, and by the next write into their folder.
- Files are created 0600 and folders 0700 whatever the umask allows; a replaced file is 0600 again. Folders that were
  there keep their permissions. Deleting the last file of a folder below the root removes the folder.

There is no compare-and-set: of two writers the last one wins. A version token is made of the modification time, the
inode and the size, never of the content. Our own writes never give one twice; another program that changes a file in
place twice within one tick of the file system's clock (some milliseconds), to the same size, may.

On a file system that ignores case, ``Db`` and ``db`` are one file; this store cannot see that and does not try.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from secretsync_core.model.capabilities import Feature
from secretsync_core.schema.base import Spec, StorePath
from secretsync_core.stores.directory.place import declared, place_of_directory
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.stores.base import Store, StoreContext


class FileConfig(Spec):
    """A directory with one file for each secret."""

    path: StorePath = Field(description="Relative to the document's directory.")


async def open_store(config: FileConfig, context: StoreContext) -> Store:
    """Open the directory; it need not exist until something is read, and the first write creates it.

    Reading, listing or deleting in a directory that does not exist raises StoreError: it may be a disk that is not
    mounted, which must not be taken for an empty store.
    """
    from secretsync_core.stores.file.store import FileStore

    return FileStore(config.path, context)


PROVIDER = Provider(
    config=FileConfig,
    open=open_store,
    variants=(("", "secretsync_core.stores.file.store:FileStore"),),
    place=lambda config: place_of_directory(declared(config.path)),
    lacks=lambda _: (Feature.METADATA, Feature.TYPES),
)
