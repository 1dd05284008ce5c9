"""A write to the file store is all or nothing: killed, out of room, or read by others meanwhile."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

import secretsync_core
from secretsync_core.errors import Conflict, StoreUnavailable
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.directory.names import FOREIGN_AGE, PROCESS, TEMPORARY, TemporaryName
from secretsync_core.stores.file.store import FileStore
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SIZE = 300_000

WRITER = """
import asyncio, itertools, sys
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.file.store import FileStore
from secretsync_core.testing.gates import CountingGate

async def main():
    store = FileStore(sys.argv[1], StoreContext("files", CountingGate(), {}, 4))
    for number in itertools.count():
        await store.write("a/secret", SecretValue(bytes([number % 256]) * int(sys.argv[2])))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FileStore]:
    opened = FileStore(str(tmp_path), StoreContext("files", CountingGate(), {}, 8))
    yield opened
    await opened.aclose()


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(TEMPORARY)]


def writer(root: Path) -> subprocess.Popen[bytes]:
    """Start a process that writes without end, and wait until its first write is done."""
    source = str(Path(secretsync_core.__file__).parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(SIZE)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.mark.slow
async def test_a_killed_writer_leaves_one_whole_value(store: FileStore, tmp_path: Path) -> None:
    """However a writer is killed, the secret is a whole old or a whole new value; the next write tidies up."""
    left = 0
    for number in range(12):
        process = writer(tmp_path)
        time.sleep(0.003 * number)  # noqa: ASYNC251  the moment of the kill is the point
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        value = (await store.read("a/secret")).value.reveal()
        assert isinstance(value, bytes)
        assert len(value) == SIZE
        assert len(set(value)) == 1
        left += len(leftovers(tmp_path))
        keys = [each async for each in store.list("", recursive=True, metadata=False)]
        assert len(keys) == 1
    fresh = FileStore(str(tmp_path), StoreContext("files", CountingGate(), {}, 8))
    await fresh.write("a/other", SecretValue(b"x"))
    assert leftovers(tmp_path) == [], f"of {left} seen on the way"
    await fresh.aclose()


async def test_a_living_writer_keeps_its_temporary_file(store: FileStore, tmp_path: Path) -> None:
    """A write beside a process that is still writing removes nothing of its; a stranger's waits for a day."""
    (tmp_path / "a").mkdir()
    machine, own = TemporaryName.this_machine(), PROCESS
    names = {
        "parent": f"{TEMPORARY}{machine}-{os.getppid()}-{'0' * 16}-0",
        "ours": f"{TEMPORARY}{machine}-{os.getpid()}-{own}-999999",
        "elsewhere": f"{TEMPORARY}{'0' * 8}-999999999-{'0' * 16}-0",
        "not-ours": f"{TEMPORARY}of-somebody-else",
        "before-us": f"{TEMPORARY}{machine}-{os.getpid()}-{'0' * 16}-0",
        "dead": f"{TEMPORARY}{machine}-999999999-{'0' * 16}-0",
        "long-ago": f"{TEMPORARY}{'0' * 8}-1-{'0' * 16}-0",
    }
    for name in names.values():
        (tmp_path / "a" / name).write_bytes(b"x")
    long_ago = time.time() - 2 * FOREIGN_AGE
    os.utime(tmp_path / "a" / names["long-ago"], (long_ago, long_ago))
    await store.write("a/secret", SecretValue(b"x"))
    left = {path.name for path in leftovers(tmp_path)}
    assert left == {names[kept] for kept in ("parent", "ours", "elsewhere", "not-ours")}


@pytest.mark.parametrize("call", ["fsync", "rename", "utime"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
async def test_a_failed_write_changes_nothing(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """When the disk is full or failing the old value stays, nothing is left behind, and the error says which."""
    await store.write("a/secret", SecretValue(b"old"))

    def fails(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with pytest.raises(StoreUnavailable) as caught:
            await store.write("a/secret", SecretValue(b"new"))
    assert caught.value.retryable is (code == errno.EIO)
    assert (await store.read("a/secret")).value.reveal() == b"old"
    assert leftovers(tmp_path) == []


async def test_readers_never_see_half_a_value(store: FileStore) -> None:
    """Readers beside a writer always read a whole value at the version that goes with it."""
    versions: dict[str | None, int] = {}

    async def write() -> None:
        for number in range(100):
            versions[await store.write("a", SecretValue(bytes([number]) * SIZE))] = number

    await store.write("a", SecretValue(bytes(SIZE)))
    writing = asyncio.create_task(write())
    seen: list[tuple[str | None, int]] = []
    while not writing.done():
        secret = await store.read("a")
        value = secret.value.reveal()
        assert isinstance(value, bytes)
        assert len(value) == SIZE
        assert len(set(value)) == 1
        seen.append((secret.version, value[0]))
    await writing
    assert len(versions) == 100
    assert all(versions.get(version, 0) == number for version, number in seen)


async def test_a_file_that_changes_under_a_read_is_read_again(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that another program changes in place while it is read raises an error that is worth a retry."""
    (tmp_path / "a").write_bytes(b"x" * 10)
    real = os.fdopen

    def slow(descriptor: int, *arguments: object) -> object:
        opened = real(descriptor, *arguments)  # type: ignore[call-overload]
        read = opened.read

        class Slow:
            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                opened.close()

            def read(self, size: int) -> bytes:
                data: bytes = read(size)
                with (tmp_path / "a").open("r+b") as other:
                    other.write(b"yy")
                return data

        return Slow()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", slow)
        with pytest.raises(StoreUnavailable, match="changed while it was read"):
            await store.read("a")
    assert (await store.read("a")).value.reveal() == b"yy" + b"x" * 8


async def test_an_outside_change_is_another_version(store: FileStore, tmp_path: Path) -> None:
    """A file that another program writes has another version, though ours have times of our own making."""
    token = await store.write("a", SecretValue(b"one"))
    (tmp_path / "a").write_bytes(b"two")
    [entry] = [each async for each in store.stat(["a"])]
    assert entry[1] != token
    assert await store.write("a", SecretValue(b"one")) not in (token, entry[1])


async def test_create_on_a_file_system_without_hard_links(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file cannot be linked it is looked for first: what is there stays, and no temporary file is left."""

    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    await store.create("a/new", SecretValue(b"1"))
    with pytest.raises(Conflict):
        await store.create("a/new", SecretValue(b"2"))
    assert (tmp_path / "a" / "new").read_bytes() == b"1"
    assert leftovers(tmp_path) == []
