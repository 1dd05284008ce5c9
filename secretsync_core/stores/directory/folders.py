"""The way to a folder below the root, by descriptors of one folder after the other, and what goes wrong on it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.errors import (
    AccessDenied,
    InvalidSecret,
    SecretFails,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.protected import NOTHING, is_ours, numbers_of
from secretsync_core.stores.directory.names import segments_of
from secretsync_core.stores.directory.versions import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.protected import Protected

_OURS = "is the ledger, its key or the policy by another name, not a secret"
_APART = "a directory cannot hold a file and a folder of one name: map the key to another one by a keyTransform"

WALKS = 20  # how often a walk to a folder is begun again, because it was removed or replaced on the way

# O_PATH asks only for the right to pass through a folder, not to list it; where it is missing, reading has to do.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class DiskFull(StoreUnavailable):
    """No room is left; asking again at once does not make any."""

    retryable = False
    unanswered = False


class Folders:
    """The folders of one store. All of it blocks."""

    def __init__(self, root: str, store: str, protected: Protected = NOTHING) -> None:
        """``protected``: what is never a secret nor a folder of them, however it came to be below the root."""
        self.root = root
        self.store = store
        self._protected = protected
        self._closed = numbers_of(protected)

    def segments(self, key: str) -> list[str]:
        """The folders of a key, and the name of its file. Raises InvalidSecret for a key that cannot be."""
        return segments_of(key, self.store)

    @contextlib.contextmanager
    def open(self, folders: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """Open a folder below the root, one step at a time."""
        current = self._open_root(create=create)
        try:
            for depth, name in enumerate(folders, start=1):
                inner = self._step(current, name, "/".join(folders[:depth]), create=create)
                os.close(current)
                current = inner
            yield current
        finally:
            os.close(current)

    def _open_root(self, *, create: bool) -> int:
        try:
            return os.open(self.root, _PASS)
        except FileNotFoundError:
            if not create:
                # Not taken for an empty store: it may be a disk that is not mounted, and all would seem deleted.
                raise StoreError(
                    f"the directory {self.root} of the store {self.store!r} does not exist",
                    store=self.store,
                    hint=f"mount it, correct the path, or create it: mkdir -m 700 {self.root}",
                ) from None
        except NotADirectoryError:
            raise StoreError(
                f"the path {self.root} of the store {self.store!r} is not a directory", store=self.store
            ) from None
        root = Path(self.root)
        for path in (*reversed(root.parents), root):  # mkdir(parents=True) would leave the parents to the umask
            if not path.is_dir():
                path.mkdir(0o700, exist_ok=True)
        return os.open(self.root, _PASS)

    def _step(self, parent: int, name: str, path: str, *, create: bool) -> int:
        for _ in range(WALKS):
            try:
                inner = os.open(name, _PASS, dir_fd=parent)
            except FileNotFoundError:
                if not create:
                    raise
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=parent)
                    sync(parent)
            except NotADirectoryError:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
                if stat.S_ISLNK(found):
                    text = f"{path} is a symbolic link, which is never followed"
                    raise InvalidSecret(text, store=self.store, key=path) from None
                # A folder now, so it was something else a moment ago: that says nothing about what is in it.
                if not stat.S_ISDIR(found):
                    raise
            else:
                self._refuse_ours(inner, path)
                return inner
        raise SecretFails(f"{path} keeps changing", store=self.store, key=path)

    def _refuse_ours(self, folder: int, path: str) -> None:
        """Close an open folder, and raise InvalidSecret, where it is another mount of a directory of ours."""
        if self._closed and ((info := os.fstat(folder)).st_dev, info.st_ino) in self._closed:
            os.close(folder)
            raise InvalidSecret(f"{path} {_OURS}", store=self.store, key=path)

    def refuse_special(self, key: str, info: os.stat_result) -> None:
        """Raise InvalidSecret for what is no regular file, or is one of ours by another name."""
        if is_ours(self._protected, info):
            raise InvalidSecret(f"{key} {_OURS}", store=self.store, key=key)
        kind = kind_of(info.st_mode)
        if kind:
            hint = _APART if stat.S_ISDIR(info.st_mode) else ""
            raise InvalidSecret(f"{key} is {kind}", store=self.store, key=key, hint=hint)

    @contextlib.contextmanager
    def errors(self, key: str | None, *, absent: bool = False) -> Iterator[None]:
        """Turn what the system says into our errors. ``absent``: a missing file means a missing secret."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            if absent:
                # A file where a folder would have to be holds nothing below it: that, too, is absence.
                raise SecretNotFound(f"there is no secret {key}", store=self.store, key=key) from None
            raise self.failure(error, key) from None
        except OSError as error:
            raise self.failure(error, key) from None

    def failure(self, error: OSError, key: str | None) -> StoreError:
        """Our error for what the system says."""
        subject = key if key is not None else f"the directory {self.root}"
        text = f"{subject}: {os.strerror(error.errno or 0)}"
        match error.errno:
            case errno.EACCES | errno.EPERM | errno.EROFS:
                return AccessDenied(text, store=self.store, key=key, hint=f"check who may do that in {self.root}")
            case errno.ENOSPC | errno.EDQUOT:
                return DiskFull(text, store=self.store, key=key, hint=f"free some space in {self.root}")
            case errno.ELOOP:
                text = f"{subject} is a symbolic link, which is never followed"
                return InvalidSecret(text, store=self.store, key=key)
            case errno.ENOTDIR:
                text = f"{subject} cannot be created: one of its folders is a file"
                return InvalidSecret(text, store=self.store, key=key, hint=_APART)
            case errno.EISDIR:
                return InvalidSecret(f"{subject} is a folder", store=self.store, key=key, hint=_APART)
            case errno.ENAMETOOLONG | errno.EINVAL | errno.EILSEQ | errno.EFBIG:
                return InvalidSecret(text, store=self.store, key=key)
            case errno.EIO if key is not None:
                return SecretFails(text, store=self.store, key=key)
            case _:
                return StoreUnavailable(text, store=self.store, key=key)


def sync(folder: int) -> None:
    """Make renames, new folders and removals in an open folder last."""
    try:
        descriptor = os.open(".", LIST, dir_fd=folder)
    except PermissionError:  # we may write into it but not read it; then the file system's own pace has to do
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that sync no folders
            raise
    finally:
        os.close(descriptor)
