"""What a writer leaves that is killed: hardly ever anything, and what it is, is found, proven dead and removed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import secretsync_core
from secretsync_core.model.capabilities import Permissions
from secretsync_core.model.leftovers import Leftovers
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import StoreContext, Sweeper, ToldOfLeftovers
from secretsync_core.stores.directory import sweeping, temporary
from secretsync_core.stores.directory.names import TEMPORARY, TemporaryName
from secretsync_core.stores.file.store import FileStore
from secretsync_core.stores.handle import hand_out
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SIZE = 50_000

# Forks a writer for each step of a write, in which it kills itself. Of each step it tells what was left.
KILLED = """
import os, signal, sys
from pathlib import Path
from secretsync_core.stores.directory import sweeping, temporary
from secretsync_core.stores.directory.folders import Folders
from secretsync_core.stores.directory.names import TEMPORARY, TemporaryName
from secretsync_core.stores.directory.writing import Writing

root, size = sys.argv[1], int(sys.argv[2])
if "elsewhere" in sys.argv:
    TemporaryName.this_machine = staticmethod(lambda: "0badcafe")  # as in another container of this kernel

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def write(call, nameless, method, after):
    real, calls = getattr(os, call), 0
    def struck(*given, **named):
        nonlocal calls
        calls += 1
        if call == "write":
            real(given[0], given[1][: size // 2])
        elif after:
            real(*given, **named)
        die()
    os.makedirs(f"{root}/{call}/{nameless}/{method}/{after}")  # folders are synced too
    setattr(os, call, struck)
    if not nameless:
        temporary._open_nameless = lambda folder: None
    getattr(Writing(Folders(root, "files")), method)(f"{call}/{nameless}/{method}/{after}/key", b"n" * size)

for nameless in (True, False):
    for method in ("write", "create"):
        for call, after in (("write", 0), ("utime", 0), ("fsync", 0), ("link", 0), ("link", 1), ("rename", 0)):
            if (call == "link" and method == "write" and not nameless) or (call == "rename" and method == "create"):
                continue  # no call of such a write
            pid = os.fork()
            if not pid:
                write(call, nameless, method, after)
                os._exit(1)
            _, status = os.waitpid(pid, 0)
            assert os.WTERMSIG(status) == signal.SIGKILL, (call, nameless, method, status)
"""

# Begins a write and stands still in its middle.
STUCK = """
import sys, time
from secretsync_core.stores.directory import sweeping, temporary
from secretsync_core.stores.directory.folders import Folders
from secretsync_core.stores.directory.names import TemporaryName
from secretsync_core.stores.directory.writing import Writing
import os
TemporaryName.this_machine = staticmethod(lambda: "0badcafe")
temporary._open_nameless = lambda folder: None
def stand(*_, **__):
    print("written", flush=True)
    sys.stdin.read()
    return real(*_, **__)
os.mkdir(f"{sys.argv[1]}/a")
real, os.fsync = os.fsync, stand
Writing(Folders(sys.argv[1], "files")).write("a/secret", b"new")
"""


def run_with_source(code: str, *arguments: str) -> subprocess.Popen[str]:
    source = str(Path(secretsync_core.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FileStore]:
    opened = FileStore(str(tmp_path), StoreContext("files", CountingGate(), {}, 8))
    yield opened
    await opened.aclose()


def below(root: Path, name: str = "*") -> list[Path]:
    return [path for path in root.rglob(name) if path.is_file()]


def entries(root: Path) -> list[Path]:
    return list(root.iterdir())


def temporary_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(TEMPORARY)]


@pytest.mark.parametrize("place", ["here", "elsewhere"])
async def test_what_a_killed_writer_leaves_is_removed(store: FileStore, tmp_path: Path, place: str) -> None:
    """Killed at each step of a write, also in another container: all that is left is told, and swept, and no secret."""
    await store.write("old", SecretValue(b"old"))
    killed = run_with_source(KILLED, str(tmp_path), str(SIZE), place)
    assert killed.wait(60) == 0
    killed.communicate()
    left = temporary_files(tmp_path)
    nameless = [path for path in left if "True" in path.parts]
    assert {path.parts[-5:-1] for path in nameless} <= {
        ("link", "True", "write", "1"),
        ("rename", "True", "write", "0"),
    }
    assert len(left) - len(nameless) == 9
    whole = below(tmp_path, "key")
    assert {path.stat().st_size for path in whole} == {SIZE}

    told = await store.leftovers()
    assert (told.dead.total(), told.doubtful.total(), told.removed.total()) == (len(left), 0, 0)
    assert temporary_files(tmp_path) == left, "only told of"
    swept = await store.sweep()
    assert swept == Leftovers(removed=told.dead)
    assert temporary_files(tmp_path) == []
    keys = {key async for key, *_ in store.list("", recursive=True, metadata=False)}
    assert keys == {"old", *(str(path.relative_to(tmp_path)) for path in whole)}
    assert await store.leftovers() == Leftovers()


async def test_a_writer_elsewhere_keeps_its_file(store: FileStore, tmp_path: Path) -> None:
    """One that lives in another container, and whose process id means nothing here, is swept once it is dead."""
    stuck = run_with_source(STUCK, str(tmp_path))
    assert stuck.stdout is not None
    assert stuck.stdout.readline() == "written\n"
    (tmp_path / "a").chmod(0o700)  # as we make folders
    assert await store.sweep() == await store.leftovers() == Leftovers()
    assert len(temporary_files(tmp_path)) == 1
    stuck.send_signal(signal.SIGKILL)
    stuck.communicate()
    assert (await store.leftovers()).dead == {"a": 1}
    assert (await store.sweep()).removed == {"a": 1}
    assert entries(tmp_path) == []


async def test_a_writer_whose_file_was_swept_writes_it_again(store: FileStore, tmp_path: Path) -> None:
    """Should a file be taken for a dead writer's although that lives, nothing is lost."""
    stuck = run_with_source(STUCK, str(tmp_path))
    assert stuck.stdout is not None
    stuck.stdout.readline()
    (left,) = temporary_files(tmp_path)
    left.unlink()
    stuck.communicate("")
    assert stuck.returncode == 0
    assert (await store.read("a/secret")).value.reveal() == b"new"
    assert temporary_files(tmp_path) == []


async def test_what_is_not_proven_stays(store: FileStore, tmp_path: Path) -> None:
    """Names, links, folders and owners that are not a dead writer's of ours are left alone, and files told of."""
    (tmp_path / "a").mkdir()
    kernel = "0" * 8
    made = f"{TEMPORARY}{kernel}-1-{'0' * 16}-"
    (tmp_path / "a" / f"{made}0-{kernel}").write_bytes(b"x")  # of another machine, a moment ago
    (tmp_path / "a" / f"{made}1-{kernel}").write_bytes(b"x")  # of another machine, some time ago
    (tmp_path / "a" / f"{made}2").write_bytes(b"x")  # of another machine, by the version before
    (tmp_path / "a" / f"{TEMPORARY}somebody").write_bytes(b"x")
    (tmp_path / "a" / f"{made}3-{kernel}").symlink_to(tmp_path / "away")
    (tmp_path / "a" / f"{made}4-{kernel}").mkdir()
    os.mkfifo(tmp_path / "a" / f"{made}5-{kernel}")
    (tmp_path / "away").write_bytes(b"secret")
    some_time_ago = time.time() - 2 * temporary.OTHER_KERNEL_AGE
    os.utime(tmp_path / "a" / f"{made}1-{kernel}", (some_time_ago, some_time_ago))
    swept = await store.sweep()
    assert (swept.removed, swept.dead, swept.doubtful) == ({"a": 1}, {}, {"a": 3})
    assert len(list((tmp_path / "a").iterdir())) == 6
    assert (tmp_path / "away").read_bytes() == b"secret"


async def test_folders_behind_links_are_not_swept(store: FileStore, tmp_path: Path) -> None:
    """A link to a folder elsewhere leads no sweep out of the root."""
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    left = outside / f"{TEMPORARY}{'0' * 8}-1-{'0' * 16}-0-{'0' * 8}"
    left.write_bytes(b"x")
    os.utime(left, (1, 1))
    (tmp_path / "link").symlink_to(outside)
    assert await store.sweep() == Leftovers()
    assert left.exists()


async def test_without_locks_the_process_decides(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file system has no locks, process ids and age decide as they ever did."""
    here, kernel = TemporaryName.this_machine(), TemporaryName.this_kernel()
    for machine, pid in ((here, 999999999), (here, os.getppid()), ("0badcafe", 1)):
        (tmp_path / f"{TEMPORARY}{machine}-{pid}-{'0' * 16}-0-{kernel}").write_bytes(b"x")
    monkeypatch.setattr(temporary, "_lock", lambda *_, **__: temporary.Lock.UNKNOWN)
    assert (await store.leftovers()).dead == {"": 1}
    swept = await store.sweep()
    assert (swept.removed, swept.doubtful, len(temporary_files(tmp_path))) == ({"": 1}, {"": 1}, 2)
    await store.write("a", SecretValue(b"1"))
    assert (await store.read("a")).value.reveal() == b"1"


async def test_the_root_may_be_missing(tmp_path: Path) -> None:
    """A directory that is not there holds nothing: what needs it will say so."""
    store = FileStore(str(tmp_path / "none"), StoreContext("files", CountingGate(), {}, 2))
    assert await store.sweep() == Leftovers()
    await store.aclose()


async def test_a_delete_takes_the_folder_of_a_dead_writer_too(store: FileStore, tmp_path: Path) -> None:
    """A folder in which only a dead writer's file is left goes with its last secret."""
    await store.write("a/b/key", SecretValue(b"x"))
    killed = tmp_path / "a" / "b" / f"{TEMPORARY}{'0' * 8}-1-{'0' * 16}-0-{'0' * 8}"
    killed.write_bytes(b"x")
    os.utime(killed, (1, 1))
    fresh = FileStore(str(tmp_path), StoreContext("files", CountingGate(), {}, 2))
    await fresh.delete("a/b/key")
    await fresh.aclose()
    assert entries(tmp_path) == []


@pytest.mark.parametrize(
    ("permissions", "tells", "sweeps"),
    [(Permissions.READ, True, False), (Permissions.WRITE, False, True), (Permissions.READ_WRITE, True, True)],
)
async def test_only_who_may_write_sweeps(store: FileStore, permissions: Permissions, tells: bool, sweeps: bool) -> None:
    """What a document permits to read is told of, and nothing in it removed."""
    handle = hand_out(store, "files", permissions)
    assert (isinstance(handle, ToldOfLeftovers), isinstance(handle, Sweeper)) == (tells, sweeps)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no memory file system")
async def test_on_a_memory_file_system() -> None:
    """The same on tmpfs."""
    root = Path("/dev/shm") / f"secretsync-test-{os.getpid()}-{time.monotonic_ns()}"
    root.mkdir(mode=0o700)
    store = FileStore(str(root), StoreContext("files", CountingGate(), {}, 2))
    try:
        run_with_source(KILLED, str(root), "100").communicate()
        count = len(temporary_files(root))
        assert count >= 9
        assert (await store.sweep()).removed.total() == count
        await store.write("a", SecretValue(b"1"))
        await store.write("a", SecretValue(b"2"))
        assert (await store.read("a")).value.reveal() == b"2"
        assert temporary_files(root) == []
    finally:
        await store.aclose()
        shutil.rmtree(root)


async def test_a_folder_that_somebody_set_up_stays(store: FileStore, tmp_path: Path) -> None:
    """Its mode is not that of folders that we make, so it may be wanted empty; what was left in it goes."""
    left = tmp_path / "drop" / f"{TEMPORARY}{'0' * 8}-1-{'0' * 16}-0-{'0' * 8}"
    left.parent.mkdir(mode=0o750)
    left.write_text("value")
    os.utime(left, (1, 1))
    assert (await store.sweep()).removed == {"drop": 1}
    assert entries(tmp_path) == [tmp_path / "drop"]


async def test_looking_for_leftovers_is_bounded(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the entries of all folders, plain files too, and in time."""
    for folder in range(9):
        (tmp_path / f"f{folder}").mkdir()
        for name in range(9):
            (tmp_path / f"f{folder}" / f"s{name}").write_text("v")
    looked: list[int] = []
    weigh = sweeping._weigh

    def counted(folder: int, *rest: Any, **more: Any) -> bool:
        looked.append(folder)
        return weigh(folder, *rest, **more)

    monkeypatch.setattr(sweeping, "_weigh", counted)
    monkeypatch.setattr(sweeping, "MAX_SEEN", 40)
    await store.sweep()
    assert len(looked) == 4  # the root with nine folders, and three of these with nine files
    looked.clear()
    monkeypatch.setattr(sweeping, "MAX_SECONDS", 0.0)
    await store.sweep()
    assert looked == []
