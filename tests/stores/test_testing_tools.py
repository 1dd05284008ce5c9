"""The tools that are shipped for tests do what they say: gates, faults and canaries."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import AccessDenied, Conflict, StoreUnavailable
from secretsync_core.model.capabilities import Permissions, Shape
from secretsync_core.model.inventory import Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores import memory
from secretsync_core.stores.base import ConditionalWriter, Lister, Reader, StoreContext, abilities_of
from secretsync_core.stores.handle import hand_out
from secretsync_core.stores.memory import MemoryStore
from secretsync_core.testing.canaries import canary, find_in
from secretsync_core.testing.faulty import Faults, FaultyGate, faulty
from secretsync_core.testing.gates import CountingGate, GateClosed, refusing_gate

if TYPE_CHECKING:
    from pathlib import Path

VALUE = SecretValue({"value": "x"})


@pytest.fixture
def store() -> MemoryStore:
    memory.reset()
    return MemoryStore(Shape.FIELDS, StoreContext("memory", CountingGate(), {}, 1))


@pytest.mark.parametrize("permissions", Permissions)
def test_a_faulty_store_can_do_what_the_store_can(store: MemoryStore, permissions: Permissions) -> None:
    """Wrapping a store with faults changes none of its abilities."""
    inner = hand_out(store, "one", permissions)
    assert abilities_of(faulty(inner, Faults())) == abilities_of(inner)


async def test_faults_hit_the_calls_that_they_name(store: MemoryStore) -> None:
    """A fault hits its operation, its key, from its first call on, as often as it should."""
    faults = Faults()
    wrapped = faulty(store, faults)
    assert isinstance(wrapped, ConditionalWriter)
    assert isinstance(wrapped, Reader)
    faults.fail("write", StoreUnavailable("down"), key="a", first=2, times=1)
    await wrapped.write("a", VALUE)
    await wrapped.write("b", VALUE)
    with pytest.raises(StoreUnavailable):
        await wrapped.write("a", VALUE)
    await wrapped.write("a", VALUE)
    faults.fail("read", AccessDenied("no"), key="b")
    await wrapped.read("a")
    for _ in range(2):
        with pytest.raises(AccessDenied):
            await wrapped.read("b")
    faults.clear()
    await wrapped.read("b")
    assert faults.calls == {"write": 4, "read": 4}
    assert faults.log[:3] == [("write", "a"), ("write", "b"), ("write", "a")]


async def test_a_lost_answer_and_an_intruder(store: MemoryStore) -> None:
    """A fault after a write leaves it written; an action before one can change the destination under it."""
    faults = Faults()
    wrapped = faulty(store, faults)
    assert isinstance(wrapped, ConditionalWriter)
    faults.fail("write", StoreUnavailable("lost"), after=True, times=1)
    with pytest.raises(StoreUnavailable):
        await wrapped.write("a", VALUE)
    token = (await store.read("a")).version
    faults.run("write_if", lambda key: store.write(key, VALUE))
    with pytest.raises(Conflict):
        await wrapped.write_if("a", VALUE, token)
    await wrapped.write_if("a", VALUE, (await store.read("a")).version)


async def test_listings_with_gaps_and_ends(store: MemoryStore) -> None:
    """A gap hides what it covers, and a listing can break off after all that it gave."""
    faults = Faults()
    wrapped = faulty(store, faults)
    assert isinstance(wrapped, Lister)
    for key in ("a/1", "b/1"):
        await store.write(key, VALUE)
    gap = Gap("a/", "access-denied", "closed")
    faults.gap("list", gap)
    found = [each async for each in wrapped.list("", recursive=True, metadata=False)]
    assert [each if isinstance(each, Gap) else each.key for each in found] == [gap, "b/1"]
    faults.fail("list", StoreUnavailable("cut"), after=True)
    listing = wrapped.list("", recursive=True, metadata=False)
    for _ in range(2):
        await anext(listing)
    with pytest.raises(StoreUnavailable):
        await anext(listing)


async def test_a_faulty_gate_fails_within_the_attempt() -> None:
    """A gate that repeats sees the fault as the store's own, and the second attempt goes well."""
    faults = Faults()
    tries = 0

    class Repeating(CountingGate):
        async def __call__(self, kind, attempt):  # type: ignore[no-untyped-def]
            nonlocal tries
            tries += 1
            try:
                return await super().__call__(kind, attempt)
            except StoreUnavailable:
                return await self(kind, attempt)

    memory.reset()
    store = MemoryStore(Shape.FIELDS, StoreContext("memory", FaultyGate(Repeating(), faults), {}, 1))
    faults.fail("write", StoreUnavailable("down"), times=1)
    assert await store.write("a", VALUE)
    assert tries == 2


async def test_gates_count_and_refuse(store: MemoryStore) -> None:
    """A counting gate counts by kind; a closed one lets nothing through until it is open again."""
    gate = CountingGate()
    store = MemoryStore(Shape.FIELDS, StoreContext("memory", gate, {}, 1))
    await store.write("a", VALUE)
    gate.close()
    with pytest.raises(GateClosed):
        await store.read("a")
    gate.reopen()
    await store.read("a")
    assert gate.counts == {"write": 1, "read": 2}
    assert gate.total == 3
    refusing = MemoryStore(Shape.FIELDS, StoreContext("memory", refusing_gate(AccessDenied("no")), {}, 1))
    with pytest.raises(AccessDenied):
        await refusing.read("a")


@pytest.mark.parametrize("before", range(4))
def test_canaries_are_found_in_every_disguise(before: int) -> None:
    """Base64 at any offset, hexadecimal, escapes and reversal do not hide one, and another value is not one."""
    one, other = canary("one"), canary("other")
    data = b"?" * before + one.data + b"!!"
    for shown in (data, base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex().encode(), data[::-1]):
        assert {finding.canary for finding in find_in(shown, [one, other])} == {"one"}
    assert find_in(repr(one), [one]) == []


def test_canaries_are_found_in_trees(tmp_path: Path) -> None:
    """They are found across the borders of chunks, in names, and below hidden folders."""
    one = canary("one")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "large").write_bytes(b"x" * ((1 << 20) - 10) + one.data)
    (tmp_path / one.core).touch()
    (tmp_path / "link").symlink_to("/dev/zero")
    found = find_in(tmp_path, [one])
    assert {finding.where for finding in found} == {str(tmp_path / ".hidden" / "large"), str(tmp_path / one.core)}
    assert ((1 << 20) - 10) < max(finding.offset for finding in found) < (1 << 20)


def test_the_tools_work_without_pytest() -> None:
    """Only the conformance suite imports pytest."""
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "import secretsync_core.testing.gates, secretsync_core.testing.faulty, secretsync_core.testing.canaries\n"
        "import secretsync_core.testing.samples\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))})
