"""The file store keeps to its root, hides what it holds, and says what it cannot see."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import socket
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import AccessDenied, InvalidSecret, SecretNotFound, StoreError
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.directory.names import MAX_BYTES, TEMPORARY
from secretsync_core.stores.file import FileConfig, open_store
from secretsync_core.stores.file.store import FileStore
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

OUTSIDE = b"outside"


def context() -> StoreContext:
    return StoreContext("files", CountingGate(), {}, 8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The store's directory; ``outside`` stands beside it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(OUTSIDE)
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
async def store(root: Path) -> AsyncIterator[FileStore]:
    opened = FileStore(str(root), context())
    yield opened
    await opened.aclose()


@pytest.fixture
def no_umask() -> Iterator[None]:
    """A umask that hides nothing, so that only what the store asks for does."""
    before = os.umask(0)
    yield
    os.umask(before)


async def listed(store: FileStore, prefix: str = "") -> tuple[list[str], dict[str, Gap]]:
    """Give the keys and the gaps of a listing."""
    found = [each async for each in store.list(prefix, recursive=True, metadata=False)]
    keys = sorted(each.key for each in found if isinstance(each, Entry))
    return keys, {each.prefix: each for each in found if isinstance(each, Gap)}


def open_below(root: Path) -> list[str]:
    """What this process has open below a folder; other tests' leftovers are not counted."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists the others is gone by now
            found.append(str(descriptor.readlink()))
    return [path for path in found if path.startswith(f"{root}/")]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# -- nothing leaves the root


@pytest.mark.parametrize("target", ["../outside/secret", "../outside/missing", "/etc/passwd", "real"])
async def test_a_linked_file_is_never_followed(store: FileStore, root: Path, target: str) -> None:
    """Reading, writing and deleting through a link are refused, wherever it leads, and a listing names it as a Gap."""
    (root / "real").write_bytes(b"real")
    (root / "link").symlink_to(target)
    with pytest.raises(InvalidSecret, match="symbolic link"):
        await store.read("link")
    with pytest.raises(InvalidSecret, match="symbolic link"):
        await store.write("link", SecretValue(b"x"))
    with pytest.raises(InvalidSecret, match="symbolic link"):
        await store.delete("link")
    assert [each async for each in store.stat(["link"])] == [
        Gap("link", "invalid-secret", "link is a symbolic link, which is never followed")
    ]
    keys, gaps = await listed(store)
    assert keys == ["real"]
    assert list(gaps) == ["link"]
    assert (root / "link").is_symlink()
    assert (root.parent / "outside" / "secret").read_bytes() == OUTSIDE
    assert not (root.parent / "outside" / "missing").exists()


@pytest.mark.parametrize("key", ["link/secret", "link/new", "a/link/secret", "a/link/new/deeper"])
async def test_a_linked_folder_is_never_followed(store: FileStore, root: Path, key: str) -> None:
    """Neither a folder that is a link nor anything behind it is read, written, deleted or created."""
    (root / "a").mkdir()
    (root / "link").symlink_to("../outside")
    (root / "a" / "link").symlink_to(root.parent / "outside")
    with pytest.raises(InvalidSecret, match="symbolic link"):
        await store.read(key)
    with pytest.raises(InvalidSecret, match="symbolic link"):
        await store.write(key, SecretValue(b"x"))
    with pytest.raises(InvalidSecret, match="symbolic link"):
        await store.delete(key)
    [found] = [each async for each in store.stat([key])]
    assert isinstance(found, Gap)
    keys, gaps = await listed(store)
    assert keys == []
    assert sorted(gaps) == ["a/link", "link"]
    with pytest.raises(InvalidSecret, match="symbolic link"):
        await listed(store, "link/")
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret"]
    assert (root.parent / "outside" / "secret").read_bytes() == OUTSIDE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two names in one step")
async def test_a_folder_that_turns_into_a_link_leads_nowhere(store: FileStore, root: Path) -> None:
    """While a folder and a link change places over and over, no read shows what is outside and no write lands there."""
    (root / "a").mkdir()
    (root / "a" / "secret").write_bytes(b"inside")
    (root / "link").symlink_to("../outside")
    stop = threading.Event()
    swapping = asyncio.create_task(asyncio.to_thread(exchange_until, stop, root / "a", root / "link"))
    refused = done = 0
    try:
        while not swapping.done() and (refused < 50 or done < 50):
            try:
                if (refused + done) % 2:
                    await store.write("a/secret", SecretValue(b"inside"))
                else:
                    assert (await store.read("a/secret")).value.reveal() == b"inside"
                done += 1
            except InvalidSecret:
                refused += 1
    finally:
        stop.set()
    await swapping
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret"]
    assert (root.parent / "outside" / "secret").read_bytes() == OUTSIDE


def exchange_until(stop: threading.Event, one: Path, other: Path) -> None:
    """Let two names change places, each time in one step, as a racing attacker would."""
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    current_directory, exchange = -100, 2
    while not stop.is_set():
        if renameat2(current_directory, bytes(one), current_directory, bytes(other), exchange) != 0:
            raise OSError(ctypes.get_errno(), "renameat2")


async def test_the_root_may_be_a_link(root: Path) -> None:
    """A root that is a link is resolved when the store is opened; turning the link later changes nothing."""
    entrance = root.parent / "entrance"
    entrance.symlink_to(root)
    store = FileStore(str(entrance), context())
    entrance.unlink()
    entrance.symlink_to(root.parent / "outside")
    await store.write("a", SecretValue(b"x"))
    assert (root / "a").read_bytes() == b"x"
    with pytest.raises(SecretNotFound):
        await store.read("secret")
    await store.aclose()


# -- what is not a file


async def test_special_files_are_refused(store: FileStore, root: Path) -> None:
    """A pipe, a socket, a device and a folder are refused at once by name, and all but the folder are Gaps."""
    os.mkfifo(root / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(root / "socket"))
    listening.close()
    (root / "folder").mkdir()
    kinds = {"pipe": "named pipe", "socket": "socket", "folder": "folder"}
    if os.geteuid() == 0:
        try:
            os.mknod(root / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
            kinds["null"] = "device"
        except PermissionError:
            pass
    for key, kind in kinds.items():
        async with asyncio.timeout(5):
            with pytest.raises(InvalidSecret, match=f"{key} is a {kind}"):
                await store.read(key)
            with pytest.raises(InvalidSecret, match=f"{key} is a {kind}"):
                await store.write(key, SecretValue(b"x"))
            with pytest.raises(InvalidSecret, match=f"{key} is a {kind}"):
                await store.delete(key)
            [found] = [each async for each in store.stat([key])]
            assert isinstance(found, Gap)
    keys, gaps = await listed(store)
    assert keys == []
    assert set(gaps) == set(kinds) - {"folder"}


async def test_a_file_where_a_folder_is_wanted(store: FileStore) -> None:
    """Below a file there is nothing to read, and nothing can be written."""
    await store.write("a", SecretValue(b"x"))
    with pytest.raises(SecretNotFound):
        await store.read("a/b/c")
    with pytest.raises(InvalidSecret, match="one of its folders is a file"):
        await store.write("a/b/c", SecretValue(b"x"))
    await store.delete("a/b/c")


async def test_names_that_are_not_utf_8_are_gaps(store: FileStore, root: Path) -> None:
    """A name that no key can be is not passed over in silence."""
    (root / os.fsdecode(b"bad\xff")).write_bytes(b"x")
    keys, gaps = await listed(store)
    assert keys == []
    assert [gap.code for gap in gaps.values()] == ["invalid-secret"]
    with pytest.raises(InvalidSecret):
        await store.read("bad\udcff")


async def test_names_longer_than_a_file_name_are_refused(store: FileStore) -> None:
    """255 bytes are a name, 256 are not, counted in bytes and not in letters."""
    await store.write("ü" * 127 + "x", SecretValue(b"x"))
    with pytest.raises(InvalidSecret):
        await store.write("ü" * 128, SecretValue(b"x"))
    await store.write("/".join(["d" * 255] * 20), SecretValue(b"x"))  # the whole may be longer than any path
    assert (await store.read("/".join(["d" * 255] * 20))).value.reveal() == b"x"


async def test_too_large_files_are_refused(store: FileStore, root: Path) -> None:
    """A file beyond 64 MiB is not read into memory, and none is written."""
    with (root / "large").open("wb") as large:
        large.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidSecret, match=str(MAX_BYTES)):
        await store.read("large")
    with pytest.raises(InvalidSecret):
        await store.write("large2", SecretValue(bytes(MAX_BYTES + 1)))
    assert not (root / "large2").exists()


# -- modes


@pytest.mark.usefixtures("no_umask")
async def test_what_is_created_is_for_its_owner_alone(root: Path) -> None:
    """Files are 0600 and folders 0700, the root and its parents too, under a umask of 0."""
    store = FileStore(str(root / "new" / "root"), context())
    await store.write("a/b/c", SecretValue(b"x"))
    for folder in ("new", "new/root", "new/root/a", "new/root/a/b"):
        assert mode(root / folder) == 0o700
    assert mode(root / "new/root/a/b/c") == 0o600
    await store.aclose()


@pytest.mark.usefixtures("no_umask")
async def test_folders_that_were_there_keep_their_modes(store: FileStore, root: Path) -> None:
    """Writing into a folder of others does not change who may enter it; a replaced file is ours alone again."""
    (root / "a").mkdir(mode=0o755)
    (root / "a" / "b").write_bytes(b"old")
    (root / "a" / "b").chmod(0o644)
    before = mode(root)
    await store.write("a/b", SecretValue(b"new"))
    assert mode(root / "a") == 0o755
    assert mode(root) == before
    assert mode(root / "a" / "b") == 0o600


async def test_unreadable_is_denied_and_not_absent() -> None:
    """A file, a folder and a root that we may not open raise AccessDenied or are Gaps, and are never absent."""
    with tempfile.TemporaryDirectory() as directory, unprivileged(directory) as root:
        (root / "closed").mkdir()
        for name in ("closed/a", "file", "open"):
            (root / name).write_bytes(b"x")
        (root / "file").chmod(0)
        (root / "closed").chmod(0)
        store = FileStore(str(root), context())
        assert (await store.read("open")).value.reveal() == b"x"
        for key in ("file", "closed/a"):
            with pytest.raises(AccessDenied):
                await store.read(key)
        for call in (store.write("closed/a", SecretValue(b"y")), store.delete("closed/a")):
            with pytest.raises(AccessDenied):
                await call
        [found] = [each async for each in store.stat(["closed/a"])]
        assert isinstance(found, Gap)
        assert found.code == "access-denied"
        keys, gaps = await listed(store)
        assert keys == ["file", "open"]
        assert list(gaps) == ["closed/"]
        with pytest.raises(AccessDenied):
            await listed(store, "closed/")
        (root / "closed").chmod(0o300)  # to be passed through and written into, but not to be listed
        await store.write("closed/a", SecretValue(b"y"))
        assert (await store.read("closed/a")).value.reveal() == b"y"
        root.chmod(0)
        with pytest.raises(AccessDenied):
            await store.read("open")
        with pytest.raises(AccessDenied):
            await listed(store)
        root.chmod(0o700)
        (root / "closed").chmod(0o700)
        await store.aclose()


@contextlib.contextmanager
def unprivileged(directory: str) -> Iterator[Path]:
    """Make a directory that is ours, and be nobody meanwhile where we are root, who may open everything."""
    root = Path(directory) / "root"
    root.mkdir()
    if os.geteuid() != 0:
        yield root
        return
    Path(directory).chmod(0o755)
    os.chown(root, 65534, 65534)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield root
    finally:
        os.seteuid(0)
        os.setegid(0)


# -- the root that is not there


async def test_a_missing_root_is_not_an_empty_store(root: Path) -> None:
    """Reading, looking, listing and deleting in a missing root raise StoreError with a hint, and create nothing."""
    store = await open_store(FileConfig(path=str(root / "missing")), context())
    assert isinstance(store, FileStore)
    with pytest.raises(StoreError, match="does not exist") as caught:
        await store.read("a")
    assert not isinstance(caught.value, SecretNotFound)
    assert "mkdir" in caught.value.hint
    with pytest.raises(StoreError, match="does not exist"):
        await listed(store)
    with pytest.raises(StoreError, match="does not exist"):
        [each async for each in store.stat(["a"])]
    with pytest.raises(StoreError, match="does not exist"):
        await store.delete("a")
    assert not (root / "missing").exists()
    await store.write("a", SecretValue(b"x"))
    assert (await listed(store))[0] == ["a"]
    await store.aclose()


async def test_a_root_that_is_a_file_is_told(root: Path) -> None:
    """A path that is no directory is named as such."""
    (root / "file").write_bytes(b"x")
    store = FileStore(str(root / "file"), context())
    with pytest.raises(StoreError, match="is not a directory"):
        await store.read("a")
    await store.aclose()


# -- our own temporary files


async def test_temporary_files_are_not_secrets(store: FileStore, root: Path) -> None:
    """They are not listed, and no key may name one or lie below one."""
    (root / f"{TEMPORARY}left").write_bytes(b"x")
    assert await listed(store) == ([], {})
    for key in (f"{TEMPORARY}left", f"{TEMPORARY}folder/a", f"a/{TEMPORARY}"):
        with pytest.raises(InvalidSecret):
            await store.read(key)
        with pytest.raises(InvalidSecret):
            await store.write(key, SecretValue(b"x"))


async def test_deleting_removes_only_folders_that_are_empty_now(store: FileStore, root: Path) -> None:
    """The folders above the last secret go, up to one that holds something, and never the root."""
    for key in ("a/b/c/d", "a/x", "e/f"):
        await store.write(key, SecretValue(b"x"))
    await store.delete("a/b/c/d")
    assert not (root / "a" / "b").exists()
    assert (root / "a" / "x").exists()
    await store.delete("e/f")
    assert not (root / "e").exists()
    await store.delete("a/x")
    assert os.listdir(root) == []  # noqa: PTH208


async def test_writing_and_deleting_in_one_folder_at_once(store: FileStore) -> None:
    """A write whose folder is removed by a delete beside it makes the folder again."""

    async def cycle(key: str) -> None:
        for _ in range(100):
            await store.write(key, SecretValue(b"x"))
            await store.delete(key)
        await store.write(key, SecretValue(b"x"))

    keys = [f"a/b/{number}" for number in range(4)]
    await asyncio.gather(*map(cycle, keys))
    assert await listed(store) == (keys, {})


@pytest.mark.slow
async def test_ten_thousand_files_are_listed_quickly(store: FileStore, root: Path) -> None:
    """Listing takes below a second of the processor, in steps that let others have the loop; no folder is left open."""
    for folder in range(10):
        (root / str(folder)).mkdir()
        for number in range(1000):
            (root / str(folder) / str(number)).touch()
    took = []
    for _ in range(5):
        begun = time.process_time()  # of this process alone, so that a busy machine does not count
        keys, gaps = await listed(store)
        took.append(time.process_time() - begun)
    assert min(took) < 1
    assert len(set(keys)) == 10_000
    assert gaps == {}
    async for _ in store.list("", recursive=True, metadata=False):
        break
    await store.aclose()
    for _ in range(100):  # a listing that was left is ended in turns of the loop, once it is collected
        gc.collect()
        await asyncio.sleep(0.01)
        if not open_below(root):
            break
    assert open_below(root) == []
