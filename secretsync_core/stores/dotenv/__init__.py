"""A ``.env`` file for each secret, its variables the fields: one file in each folder, or a single file.

What it promises besides what :mod:`~secretsync_core.stores.directory` does (no key leaves the root, no link is
followed, a write is all or nothing, files are 0600):

- A change rewrites the lines of the variables that change, and leaves all others as they are, comments and blank lines
  too. New variables are appended.
- What it writes is read as the same text by python-dotenv, Docker Compose and ``source`` of a shell. A value for which
  these do not agree on any quoting is refused.
- What it reads is what stands there: no ``${NAME}`` is replaced.
- Writers of ours take turns, and compare versions under a lock. A version is made of the file's modification time,
  inode and size.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from secretsync_core.model.capabilities import Feature
from secretsync_core.schema.base import Choice, StorePath
from secretsync_core.stores.directory.names import is_plain_name
from secretsync_core.stores.directory.place import declared, place_of_directory
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.model.place import Place
    from secretsync_core.stores.base import Store, StoreContext


def _file_name(name: str) -> str:
    if not is_plain_name(name):
        raise ValueError("it must be the name of a file: at most 255 bytes, without a slash")
    return name


class DotenvConfig(Choice):
    """`.env` files: one in each folder of a directory, or a single one."""

    CHOICES: ClassVar = ("path", "file")

    path: StorePath | None = Field(
        default=None,
        description="A directory: the secret `team/web` is the file `team/web/.env` in it. "
        "Relative to the document's directory.",
    )
    file: StorePath | None = Field(
        default=None,
        description="One file: its name, such as `.env`, is the key of the only secret. "
        "Relative to the document's directory.",
    )
    file_name: Annotated[str, AfterValidator(_file_name)] = Field(
        default=".env", description="Of `path`: what the file in each folder is called."
    )


def _place(config: DotenvConfig) -> Place | None:
    if config.path is not None:
        return place_of_directory(declared(config.path))
    return place_of_directory(str(Path(declared(config.file or "")).parent))


async def open_store(config: DotenvConfig, context: StoreContext) -> Store:
    """Open the directory; it need not exist until something is read, and the first write creates it.

    Reading, listing or deleting in a directory that does not exist raises StoreError: it may be a disk that is not
    mounted, which must not be taken for an empty store.
    """
    from secretsync_core.stores.dotenv.layout import OneFile, PerFolder
    from secretsync_core.stores.dotenv.store import DotenvStore

    if config.path is not None:
        return DotenvStore(config.path, PerFolder(config.file_name), context)
    file = Path(declared(config.file or ""))
    return DotenvStore(str(file.parent), OneFile(file.name), context)


PROVIDER = Provider(
    config=DotenvConfig,
    open=open_store,
    variants=(("", "secretsync_core.stores.dotenv.store:DotenvStore"),),
    extra="dotenv",
    needs=("dotenv",),
    place=_place,
    lacks=lambda _: (Feature.METADATA, Feature.TYPES),
)
