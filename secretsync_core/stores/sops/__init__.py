"""Files that sops encrypts for age keys, in YAML, JSON, dotenv or INI: one for each secret, or one with all of them.

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
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from secretsync_core.model.capabilities import Feature
from secretsync_core.schema.base import Choice, Credential, StorePath
from secretsync_core.stores.directory.names import is_plain_name
from secretsync_core.stores.directory.place import declared, place_of_directory
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.model.place import Place
    from secretsync_core.stores.base import Store, StoreContext

WITH_OBJECTS = (".yaml", ".yml", ".json")
ENDINGS = (*WITH_OBJECTS, ".env", ".ini")


def _ending(text: str) -> str:
    if not text.endswith(ENDINGS) or not is_plain_name(f"x{text}"):
        raise ValueError(f"it must end with one of {', '.join(ENDINGS)}, and have no slash")
    return text


def _file(path: str) -> str:
    if not path.endswith(WITH_OBJECTS):
        raise ValueError(f"its name must end with one of {', '.join(WITH_OBJECTS)}")
    return path


class SopsConfig(Choice):
    """Files that sops encrypts for age keys: one for each secret, or one with all of them."""

    CHOICES: ClassVar = ("path", "file")

    path: StorePath | None = Field(
        default=None,
        description="A directory: the secret `team/db` is the file `team/db.yaml` in it. "
        "Relative to the document's directory.",
    )
    file: Annotated[StorePath, AfterValidator(_file)] | None = Field(
        default=None,
        description="One file: the secret `team/db` is the object at `team: db:` in it. "
        "Relative to the document's directory.",
    )
    ending: Annotated[str, AfterValidator(_ending)] = Field(
        default=".yaml",
        description="Of `path`: how its files' names end, such as `.enc.yaml`, `.json`, `.env` or `.ini`.",
    )
    age_key: Credential | None = Field(
        default=None,
        description="The age identities (`AGE-SECRET-KEY-…`, a line each), or an SSH key: to read, and to change "
        "what is there. Creating files takes none.",
    )
    recipients: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="The only age recipients that files may have. A file that has others gets a new data key, for "
        "these alone, when it changes. Default: by the `creation_rules` of `.sops.yaml`.",
    )
    rotate: bool = Field(
        default=False,
        description="Of `path`: every change gives a file a new data key, so that nobody who knew the former one can "
        "read it. All values of the file are encrypted anew then, and a diff shows all of them.",
    )

    @model_validator(mode="after")
    def _rotates_whole_secrets(self) -> Self:
        if self.rotate and self.file is not None:
            raise ValueError("rotate is for path: in one file every change would look like one of all its secrets")
        return self


def _place(config: SopsConfig) -> Place | None:
    if config.path is not None:
        return place_of_directory(declared(config.path))
    return place_of_directory(declared(config.file or ""))


async def open_store(config: SopsConfig, context: StoreContext) -> Store:
    """Open it; the directory need not exist until something is read, and the first write creates it.

    Raises StoreError where the age key cannot be had, or is none. Reading, listing or deleting in a directory that
    does not exist raises StoreError too: it may be a disk that is not mounted.
    """
    from secretsync_core.stores.sops.layout import FilePerSecret, OneFile
    from secretsync_core.stores.sops.store import SopsStore

    if config.path is not None:
        return SopsStore(config.path, FilePerSecret(config.ending), config, context)
    file = Path(declared(config.file or ""))
    return SopsStore(str(file.parent), OneFile(file.name), config, context)


PROVIDER = Provider(
    config=SopsConfig,
    open=open_store,
    variants=(("", "secretsync_core.stores.sops.store:SopsStore"),),
    extra="sops",
    needs=("cryptography", "pyrage"),
    place=_place,
    lacks=lambda _: (Feature.METADATA, Feature.TYPES),
)
