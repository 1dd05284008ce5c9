"""A directory with one file a secret: the key ``team/db`` is the file ``team/db`` below the root, its bytes the value.

What it promises:

- No key leaves the root. Every folder on the way is opened by itself, relative to the one before and never through a
  symbolic link, so neither ``..`` nor a link that appears halfway leads outside. The root itself may be a link; it is
  resolved once, when the store is opened. Links below it are refused, and a listing reports each as a Gap.
- A write is all or nothing, also when the machine stops: it goes to a temporary file beside the secret, is synced to
  disk, and takes the secret's name in one step. Temporary files of dead writers are removed by the next write into
  their folder. They begin with ``.secretsync-tmp-``, and no secret may.
- Files are created 0600 and folders 0700 whatever the umask allows; a replaced file is 0600 again. Folders that were
  there keep their permissions. Deleting the last file of a folder below the root removes the folder.

There is no compare-and-set: of two writers the last one wins. A version token is made of the modification time, the
inode and the size, never of the content. Our own writes never give one twice; another program that changes a file in
place twice within one tick of the file system's clock (some milliseconds), to the same size, may.

On a file system that ignores case, ``Db`` and ``db`` are one file; this store cannot see that and does not try.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import re
import secrets
import socket
import stat
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.errors import AccessDenied, InvalidSecret, SecretNotFound, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Shape, StoreFacts, StoreLimits
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.fit import blob_of, check_folder, check_key, invalid_key
from secretsync_core.stores.threads import close_threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator, Sequence

    from secretsync_core.schema.provider_configs import FileConfig
    from secretsync_core.stores.base import Store, StoreContext

T = TypeVar("T")

TEMPORARY = ".secretsync-tmp-"
"""How the names of our temporary files begin."""

MAX_BYTES = 64 * 1024 * 1024
MAX_SEGMENT = 255  # bytes; what every common file system allows one name
MAX_THREADS = 16
BATCH = 1000  # entries that one request of a listing or a look gives
WALKS = 20  # how often a write walks to its folder again, because a delete removed it while empty
FOREIGN_AGE = 86_400  # seconds after which a temporary file of another machine or container counts as dead

LIMITS = StoreLimits(
    max_bytes=MAX_BYTES,
    # Segments that are neither empty, nor "." or "..": written without lookahead, which RE2 lacks.
    key_pattern=r"^(?:[^/.\x00]|\.[^/.\x00]|\.\.[^/\x00])[^/\x00]*"
    r"(?:/(?:[^/.\x00]|\.[^/.\x00]|\.\.[^/\x00])[^/\x00]*)*$",
    key_rule="file names of at most 255 bytes separated by single slashes, none of them '.' or '..', without NUL",
)

# O_PATH asks only for the right to pass through a folder, not to list it; where it is missing, reading has to do.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

_KINDS = (
    (stat.S_ISLNK, "a symbolic link, which is never followed"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class _DiskFull(StoreUnavailable):
    """No room is left; asking again at once does not make any."""

    retryable = False
    unanswered = False


class _Name:
    """Names of temporary files, and who made them."""

    pattern = re.compile(re.escape(TEMPORARY) + r"([0-9a-f]{8})-([0-9]+)-([0-9a-f]{16})-[0-9]+")
    process = secrets.token_hex(8)  # process ids come back, above all in containers; this does not
    counter = itertools.count()

    @staticmethod
    @cache
    def machine() -> str:
        """Tell apart machines and containers that share a directory: only within one do process ids mean anything."""
        try:
            namespace = Path("/proc/self/ns/pid").stat().st_ino
        except OSError:
            namespace = 0
        return f"{zlib.crc32(f'{socket.gethostname()}/{namespace}'.encode()):08x}"

    @classmethod
    def new(cls) -> str:
        return f"{TEMPORARY}{cls.machine()}-{os.getpid()}-{cls.process}-{next(cls.counter)}"

    @classmethod
    def is_dead(cls, name: str, info: os.stat_result) -> bool:
        """Whether this is a temporary file of ours whose writer will not come back for it."""
        made = cls.pattern.fullmatch(name)
        if made is None or not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
            return False
        machine, pid, process = made.groups()
        if machine != cls.machine():
            return time.time() - info.st_mtime > FOREIGN_AGE
        if int(pid) == os.getpid():
            return process != cls.process
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False


class _Clock:
    """Modification times that never repeat in this process: the kernel's own stand still for milliseconds."""

    lock = threading.Lock()
    last = 0

    @classmethod
    def after(cls, previous: int) -> int:
        with cls.lock:
            cls.last = max(time.time_ns(), cls.last + 1, previous + 1)
            return cls.last


def _token(info: os.stat_result) -> str:
    try:
        shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(info.st_mtime_ns // 1_000_000_000))
    except (OverflowError, OSError, ValueError):  # a time that no calendar holds
        shown = str(info.st_mtime_ns)
    return f"{shown}@{info.st_mtime_ns}.{info.st_ino}.{info.st_size}"


def _kind(mode: int) -> str:
    """What stands where a file is wanted; empty for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    return next((text for test, text in _KINDS if test(mode)), "not a regular file")


class _Tree:
    """The directory itself: blocking calls, each whole in itself, for the threads of one store."""

    def __init__(self, root: str, store: str) -> None:
        self._root = root
        self._store = store
        self._swept: set[tuple[int, int]] = set()  # folders already rid of dead temporary files

    # -- reading

    def read(self, key: str) -> Secret:
        *folders, name = self._segments(key)
        with self._errors(key, absent=True), self._folder(folders) as folder:
            # Looked at before it is opened: opening a pipe waits, and opening a device may do things.
            self._refuse_special(key, os.stat(name, dir_fd=folder, follow_symlinks=False))
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                before = os.fstat(descriptor)
                self._refuse_special(key, before)
                if before.st_size > MAX_BYTES:
                    raise InvalidSecret(
                        f"{key} has {before.st_size} bytes; more than {MAX_BYTES} are not read",
                        store=self._store,
                        key=key,
                    )
                data = file.read(before.st_size + 1)
                after = os.fstat(descriptor)
        if _token(before) != _token(after) or len(data) != after.st_size:
            raise StoreUnavailable(f"{key} changed while it was read", store=self._store, key=key)
        return Secret(SecretValue(data), _token(after))

    def stat(self, keys: Sequence[str]) -> list[Entry | Gap]:
        found: list[Entry | Gap] = []
        with self._errors(None), self._folder(()):  # nothing can be said at all without the root
            pass
        for parent, group in itertools.groupby(sorted(keys), key=lambda key: key.rpartition("/")[0]):
            found += self._stat_in(parent, list(group))
        return found

    def _stat_in(self, parent: str, keys: list[str]) -> Iterator[Entry | Gap]:
        try:
            folders = self._segments(parent) if parent else []
            with self._errors(parent or None, absent=True), self._folder(folders) as folder:
                for key in keys:
                    with contextlib.suppress(SecretNotFound):
                        yield self._stat_one(key, folder)
        except SecretNotFound:
            return
        except StoreError as error:
            for key in keys:
                yield Gap(key, error.code, error.message)

    def _stat_one(self, key: str, folder: int) -> Entry | Gap:
        try:
            with self._errors(key, absent=True):
                info = os.stat(self._segments(key)[-1], dir_fd=folder, follow_symlinks=False)
                self._refuse_special(key, info)
        except SecretNotFound:
            raise
        except StoreError as error:
            return Gap(key, error.code, error.message)
        return Entry(key, _token(info))

    # -- listing

    def open_listing(self, prefix: str) -> int | None:
        """Open the folder that a listing begins at; ``None`` where there is none."""
        check_folder(prefix, self._store)
        folders = self._segments(prefix[:-1]) if prefix else []
        try:
            with self._errors(prefix or None, absent=True), self._folder(folders) as folder:
                return os.open(".", _LIST, dir_fd=folder)
        except SecretNotFound:
            return None

    def walk(self, prefix: str, descriptor: int, *, recursive: bool) -> Generator[Entry | Gap]:
        """Yield what is below an open folder, and close it. Raises nothing: what cannot be seen is a Gap."""
        pending = [prefix]
        opened: int | None = descriptor
        while pending:
            folder = pending.pop()
            try:
                if opened is None:
                    opened = self.open_listing(folder)
                if opened is None:  # removed since its parent was listed
                    continue
                # A folder that goes away meanwhile is gone; the root that does is a fault, never an empty store.
                with self._errors(folder or None, absent=bool(folder)), os.scandir(opened) as entries:
                    for entry in entries:
                        yield from self._visit(folder, entry, pending if recursive else None)
            except SecretNotFound:
                continue
            except StoreError as error:
                yield Gap(folder, error.code, error.message)
            finally:
                if opened is not None:
                    os.close(opened)
                    opened = None

    def _visit(self, folder: str, entry: os.DirEntry[str], pending: list[str] | None) -> Iterator[Entry | Gap]:
        key = folder + entry.name
        try:
            key.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(key).decode(errors="replace")
            yield Gap(shown, InvalidSecret.code, f"the name of {shown} is not UTF-8")
            return
        try:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(TEMPORARY):
                if pending is not None:
                    pending.append(key + "/")
                return
            info = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # removed since the folder was read
            return
        except OSError as error:
            failed = self._failure(error, key)
            yield Gap(key, failed.code, failed.message)
            return
        kind = _kind(info.st_mode)
        if kind:
            yield Gap(key, InvalidSecret.code, f"{key} is {kind}")
        elif not entry.name.startswith(TEMPORARY):
            yield Entry(key, _token(info))

    # -- writing

    def write(self, key: str, data: bytes) -> str:
        *folders, name = self._segments(key)
        with self._errors(key):
            for _ in range(WALKS):
                try:
                    with self._folder(folders, create=True) as folder:
                        return self._replace(key, name, folder, data)
                except FileNotFoundError:  # a delete found the folder empty and removed it before our file was in it
                    continue
        raise StoreUnavailable(f"the folder of {key} keeps being removed", store=self._store, key=key)

    def _replace(self, key: str, name: str, folder: int, data: bytes) -> str:
        previous = 0
        with contextlib.suppress(FileNotFoundError):
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            self._refuse_special(key, info)
            previous = info.st_mtime_ns
        self._sweep(folder)
        temporary = _Name.new()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                os.fchmod(descriptor, 0o600)
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                moment = _Clock.after(previous)
                os.utime(descriptor, ns=(moment, moment))
                os.fsync(descriptor)
                written = os.fstat(descriptor)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        _sync(folder)
        return _token(written)

    def _sweep(self, folder: int) -> None:
        """Remove what dead writers left in this folder. Once a folder: looking costs time in proportion to its size."""
        info = os.fstat(folder)
        identity = (info.st_dev, info.st_ino)
        if identity in self._swept:
            return
        self._swept.add(identity)
        # Best effort: a folder that we may write but not read is no reason to fail the write.
        with contextlib.suppress(OSError):
            readable = os.open(".", _LIST, dir_fd=folder)
            try:
                with os.scandir(readable) as entries:
                    for entry in entries:
                        if entry.name.startswith(TEMPORARY) and _Name.is_dead(
                            entry.name, entry.stat(follow_symlinks=False)
                        ):
                            os.unlink(entry.name, dir_fd=folder)
            finally:
                os.close(readable)

    def delete(self, key: str) -> None:
        *folders, name = self._segments(key)
        with contextlib.suppress(SecretNotFound), self._errors(key, absent=True):
            with self._folder(folders) as folder:
                self._refuse_special(key, os.stat(name, dir_fd=folder, follow_symlinks=False))
                os.unlink(name, dir_fd=folder)
                _sync(folder)
            self._prune(folders)

    def _prune(self, folders: Sequence[str]) -> None:
        """Remove the folders that are empty now, from the innermost out, never the root."""
        # The secret is gone already; a folder that must stay, for whatever reason, stays.
        with contextlib.suppress(OSError, StoreError):
            for depth in range(len(folders), 0, -1):
                with self._folder(folders[: depth - 1]) as parent:
                    os.rmdir(folders[depth - 1], dir_fd=parent)
                    _sync(parent)

    # -- the way there

    def _segments(self, key: str) -> list[str]:
        segments = key.split("/")
        check_key(key, self._store, LIMITS)
        for segment in segments:
            if segment.startswith(TEMPORARY):
                fault = f"names that begin with {TEMPORARY} are temporary files of ours"
                raise invalid_key(key, self._store, fault)
            if len(segment.encode()) > MAX_SEGMENT:
                raise invalid_key(key, self._store, LIMITS.key_rule)
        return segments

    @contextlib.contextmanager
    def _folder(self, folders: Sequence[str], *, create: bool = False) -> Iterator[int]:
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
            return os.open(self._root, _PASS)
        except FileNotFoundError:
            if not create:
                # Not taken for an empty store: it may be a disk that is not mounted, and all would seem deleted.
                raise StoreError(
                    f"the directory {self._root} of the store {self._store!r} does not exist",
                    store=self._store,
                    hint=f"mount it, correct the path, or create it: mkdir -m 700 {self._root}",
                ) from None
        except NotADirectoryError:
            raise StoreError(
                f"the path {self._root} of the store {self._store!r} is not a directory", store=self._store
            ) from None
        root = Path(self._root)
        for path in (*reversed(root.parents), root):  # mkdir(parents=True) would leave the parents to the umask
            if not path.is_dir():
                path.mkdir(0o700, exist_ok=True)
        return os.open(self._root, _PASS)

    def _step(self, parent: int, name: str, path: str, *, create: bool) -> int:
        for _ in range(WALKS):
            try:
                return os.open(name, _PASS, dir_fd=parent)
            except FileNotFoundError:
                if not create:
                    raise
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=parent)
                    _sync(parent)
            except NotADirectoryError:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
                if stat.S_ISLNK(found):
                    text = f"{path} is a symbolic link, which is never followed"
                    raise InvalidSecret(text, store=self._store, key=path) from None
                # A folder now, so it was something else a moment ago: that says nothing about what is in it.
                if not stat.S_ISDIR(found):
                    raise
        raise StoreUnavailable(f"{path} keeps changing", store=self._store, key=path)

    # -- errors

    def _refuse_special(self, key: str, info: os.stat_result) -> None:
        kind = _kind(info.st_mode)
        if kind:
            raise InvalidSecret(f"{key} is {kind}", store=self._store, key=key)

    @contextlib.contextmanager
    def _errors(self, key: str | None, *, absent: bool = False) -> Iterator[None]:
        """Turn what the system says into our errors. ``absent``: a missing file means a missing secret."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            if absent:
                # A file where a folder would have to be holds nothing below it: that, too, is absence.
                raise SecretNotFound(f"there is no secret {key}", store=self._store, key=key) from None
            raise self._failure(error, key) from None
        except OSError as error:
            raise self._failure(error, key) from None

    def _failure(self, error: OSError, key: str | None) -> StoreError:
        subject = key if key is not None else f"the directory {self._root}"
        text = f"{subject}: {os.strerror(error.errno or 0)}"
        match error.errno:
            case errno.EACCES | errno.EPERM | errno.EROFS:
                return AccessDenied(text, store=self._store, key=key, hint=f"check who may do that in {self._root}")
            case errno.ENOSPC | errno.EDQUOT:
                return _DiskFull(text, store=self._store, key=key, hint=f"make room in {self._root}")
            case errno.ELOOP:
                text = f"{subject} is a symbolic link, which is never followed"
                return InvalidSecret(text, store=self._store, key=key)
            case errno.ENOTDIR:
                text = f"{subject} cannot be: one of its folders is a file already"
                return InvalidSecret(text, store=self._store, key=key)
            case errno.EISDIR:
                return InvalidSecret(f"{subject} is a folder", store=self._store, key=key)
            case errno.ENAMETOOLONG | errno.EINVAL | errno.EILSEQ | errno.EFBIG:
                return InvalidSecret(text, store=self._store, key=key)
            case _:
                return StoreUnavailable(text, store=self._store, key=key)


def _sync(folder: int) -> None:
    """Make renames, new folders and removals in an open folder last."""
    try:
        descriptor = os.open(".", _LIST, dir_fd=folder)
    except PermissionError:  # we may write into it but not read it; then the file system's own pace has to do
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that sync no folders
            raise
    finally:
        os.close(descriptor)


class _Listing:
    """A walk that threads take turns at: the lock keeps its end from meeting a step that is still under way."""

    def __init__(self, walk: Generator[Entry | Gap], descriptor: int) -> None:
        self._walk = walk
        self._descriptor: int | None = descriptor
        self._lock = threading.Lock()

    def step(self) -> list[Entry | Gap]:
        with self._lock:
            self._descriptor = None  # the walk closes it from now on
            return list(itertools.islice(self._walk, BATCH))

    def close(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            self._walk.close()


class FileStore:
    """The file store: see the module. Every call runs in one of at most sixteen threads of its own."""

    LIMITS = LIMITS

    def __init__(self, path: str, context: StoreContext) -> None:
        self._gate = context.gate
        self._name = context.name
        self._tree = _Tree(os.path.realpath(path), context.name)
        self._facts = StoreFacts(context.name, "file", Shape.BLOB, versioned=True, limits=LIMITS)
        self._threads = ThreadPoolExecutor(max(1, min(context.concurrency, MAX_THREADS)), "secretsync-file")
        self._closed = False

    @property
    def facts(self) -> StoreFacts:
        """What this store is."""
        return self._facts

    async def aclose(self) -> None:
        """Wait for what is under way and give the threads back."""
        self._closed = True
        await close_threads(self._threads)

    async def read(self, key: str, version: str | None = None) -> Secret:
        """Read a file. Raises InvalidSecret for a ``version``, since old ones are not kept, and beyond 64 MiB."""
        if version is not None:
            raise InvalidSecret("a file store keeps no old versions", store=self._name, key=key)
        return await self._run("read", lambda: self._tree.read(key))

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that is a file, and a Gap for one that is anything else."""
        remaining = iter(keys)
        while batch := tuple(itertools.islice(remaining, BATCH)):
            for found in await self._stat(batch):
                yield found

    async def _stat(self, keys: tuple[str, ...]) -> Collection[Entry | Gap]:
        return await self._run("stat", lambda: self._tree.stat(keys))

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield the files of a folder in no order; ``metadata`` changes nothing, since files carry none.

        Links, pipes, devices, names that are not UTF-8 and folders that may not be read are Gaps.
        """
        descriptor = await self._run("list", lambda: self._tree.open_listing(prefix))
        if descriptor is None:
            return
        # A step raises nothing, so the gate never makes one again: nothing is listed twice and nothing is left out.
        listing = _Listing(self._tree.walk(prefix, descriptor, recursive=recursive), descriptor)
        try:
            while batch := await self._run("list", listing.step):
                for found in batch:
                    yield found
        finally:
            try:
                self._threads.submit(listing.close)  # waits for a step that was given up on; not for the loop to do
            except RuntimeError:  # the store is closed, and every step over with it
                listing.close()

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or replace a file; gives its version token. Creates the folders that it needs, the root too."""
        payload = blob_of(value, self._facts, key)
        return await self._run("write", lambda: self._tree.write(key, payload))

    async def delete(self, key: str) -> None:
        """Remove a file, and the folders above it that are empty then."""
        await self._run("delete", lambda: self._tree.delete(key))

    async def _run(self, kind: str, step: Callable[[], T]) -> T:
        async def attempt() -> T:
            if self._closed:
                raise StoreError(f"the store {self._name!r} is closed", store=self._name)
            return await asyncio.get_running_loop().run_in_executor(self._threads, step)

        return await self._gate(kind, attempt)


async def open_store(config: FileConfig, context: StoreContext) -> Store:
    """Open the directory; it need not exist until something is read, and the first write creates it.

    Reading, listing or deleting in a directory that does not exist raises StoreError: it may be a disk that is not
    mounted, which must not be taken for an empty store.
    """
    return FileStore(config.path, context)
