"""That every request passes the gate, and that errors have their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import AccessDenied, Conflict, RateLimited, SecretSyncError, StoreError, StoreUnavailable
from secretsync_core.model.access import Act, Missing
from secretsync_core.model.capabilities import Permissions
from secretsync_core.stores.base import ConditionalWriter, Creator, Deleter, Lister, Looker, Reader, Store, abilities_of
from secretsync_core.stores.handle import hand_out
from secretsync_core.testing.canaries import canary, find_in
from secretsync_core.testing.conformance.fixtures import ConformanceFixtures
from secretsync_core.testing.conformance.helpers import (
    ITERATORS,
    accesses_of,
    assert_holds,
    drain,
    layout_of,
    list_keys,
    operations_of,
    require_access_checker,
    require_looker,
    require_writer,
    stat_all,
    texts_of,
)
from secretsync_core.testing.gates import CountingGate, GateClosed
from secretsync_core.testing.samples import sample

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from secretsync_core.testing.conformance.helpers import Fault, Seed


class RequestTests(ConformanceFixtures):
    """The gate, errors that must not pass for absence, and what the store would permit."""

    async def test_what_it_permits_is_not_missing(self, store: Store, seed: Seed, gate: CountingGate) -> None:
        """Asked for all that it can do, a store that permits it misses nothing; it changes nothing and asks little."""
        checker, at = require_access_checker(store), layout_of(store)
        await seed(at("a/b"), sample(store.facts.shape))
        before = await stat_all(store, [at("a/b"), at("new")]) if isinstance(store, Looker) else {}
        asked = gate.total
        assert list(await checker.check_access(accesses_of(store))) == []
        assert gate.total - asked <= 10, "check_access makes more than ten requests"
        assert list(await checker.check_access([])) == []
        if isinstance(store, Looker):
            assert await stat_all(store, [at("a/b"), at("new")]) == before
            await assert_holds(store, at("a/b"), sample(store.facts.shape))

    async def test_what_it_would_refuse_is_missing(self, store: Store, seed: Seed, read_only: Store | None) -> None:
        """What it says to be missing it refuses, and says what to grant; what it permits is not missing."""
        require_access_checker(store)
        if read_only is None:
            pytest.skip("the subclass gives no fixture 'read_only'")
        checker, key = require_access_checker(read_only), layout_of(store)("a/b")
        await seed(key, sample(store.facts.shape))
        wanted = accesses_of(read_only)
        missing = list(await checker.check_access(wanted))
        assert all(type(each) is Missing for each in missing)
        assert {each.access for each in missing} <= set(wanted)
        assert all(each.grant and each.grant.isprintable() for each in missing), "it does not say what to grant"
        acts = {each.access.act for each in missing}
        assert acts == {each.act for each in wanted} - {Act.LIST, Act.LOOK, Act.READ}
        with pytest.raises(AccessDenied):
            await require_writer(read_only).write(key, sample(store.facts.shape, 1))
        if isinstance(read_only, Deleter):
            with pytest.raises(AccessDenied):
                await read_only.delete(key)
        if isinstance(store, Looker):
            await assert_holds(store, key, sample(store.facts.shape))

    async def test_a_store_that_cannot_be_asked_says_so(self, store: Store, gate: CountingGate) -> None:
        """Where it cannot be reached, check_access raises: nothing missing would say that all is well."""
        checker = require_access_checker(store)
        gate.close(StoreUnavailable("down"))
        with pytest.raises(StoreUnavailable):
            await checker.check_access(accesses_of(store))
        gate.reopen()

    async def test_every_request_passes_the_gate(self, store: Store, seed: Seed, gate: CountingGate) -> None:
        """Each operation is counted by the gate: otherwise limits, retries and the request count mean nothing."""
        await seed(layout_of(store)("a"), sample(store.facts.shape))
        for name, call in operations_of(store).items():
            before = gate.total
            await call()
            assert gate.total > before, f"{name} makes no request through the gate"

    @pytest.mark.parametrize(
        "error",
        [
            GateClosed("closed"),
            StoreUnavailable("down"),
            AccessDenied("denied"),
            RateLimited("slow down", retry_after=1.0),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_a_failed_request_is_told(
        self, store: Store, seed: Seed, gate: CountingGate, error: Exception
    ) -> None:
        """What the gate raises comes through, or is a Gap of list or stat; it never passes for absence or success."""
        value, key = sample(store.facts.shape), layout_of(store)("a")
        await seed(key, value)
        gate.close(error)
        for name, call in operations_of(store).items():
            if name in ITERATORS and isinstance(error, StoreError):
                try:
                    gaps = await call()
                except type(error):
                    continue
                assert gaps, f"{name} says nothing of the error"
            else:
                with pytest.raises(type(error)):
                    await call()
        gate.reopen()
        if isinstance(store, Looker):
            await assert_holds(store, key, value)
        if isinstance(store, Lister):
            assert await list_keys(store) == [key]

    async def test_a_lost_answer_is_told(self, store: Store, gate: CountingGate) -> None:
        """Where an answer is lost and the repeated write is refused, the error says that the first may have counted."""
        shape, at = store.facts.shape, layout_of(store)
        writes: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        if isinstance(store, ConditionalWriter):
            write_if = store.write_if
            writes.append((at("by-write-if"), lambda: write_if(at("by-write-if"), sample(shape, 1), None)))
            seen = await store.write(at("a"), sample(shape))
            writes.append((at("a"), lambda: write_if(at("a"), sample(shape, 1), seen)))
        if isinstance(store, Creator):
            create = store.create
            writes.append((at("by-create"), lambda: create(at("by-create"), sample(shape, 1))))
        if not writes:
            pytest.skip("the store writes whatever is there")
        gate.lose_answers()
        for key, write in writes:
            try:
                await write()
            except Conflict as error:
                told = error.unanswered
            else:
                told = True  # it knows its own write again
            assert told, f"the write of {key!r} is taken for somebody else's"
        gate.reopen()
        for key, _ in writes:
            await assert_holds(store, key, sample(shape, 1))

    @pytest.mark.parametrize("error", [StoreUnavailable("down"), AccessDenied("denied")], ids=["down", "denied"])
    async def test_what_the_gate_knows_comes_through(
        self, store: Store, seed: Seed, gate: CountingGate, error: StoreError
    ) -> None:
        """An error of the gate that is unanswered comes out of every write as such, whatever the store makes of it."""
        await seed(layout_of(store)("a"), sample(store.facts.shape))
        error.unanswered = True
        gate.close(error)
        for name, call in operations_of(store).items():
            if name in ("write", "write_if", "create", "delete"):
                with pytest.raises(SecretSyncError) as caught:
                    await call()
                assert caught.value.unanswered, f"{name} does not hand on that its request may have been carried out"
        gate.reopen()

    async def test_nothing_but_errors_of_ours_gets_out(self, store: Store, seed: Seed, gate: CountingGate) -> None:
        """A defect within a request comes out of every operation, opened as jobs open it, as an error without a value.

        It may be a Gap of list or stat. It never passes for absence or success.
        """
        await seed(layout_of(store)("a"), sample(store.facts.shape))
        secret = canary()
        handle = hand_out(store, "under-test", Permissions.READ_WRITE)
        assert abilities_of(handle) == abilities_of(store)
        gate.close(RuntimeError(secret.text))
        for name, call in operations_of(handle).items():
            try:
                gaps = await call()
            except SecretSyncError as error:
                shown = texts_of(error)
            else:
                assert name in ITERATORS, f"{name} says nothing of the error"
                assert gaps, f"{name} says nothing of the error"
                shown = [repr(gaps)]
            assert not [found for text in shown for found in find_in(text, [secret])], f"{name} shows what it said"
        gate.reopen()

    async def test_faults_have_their_names(
        self, store: Store, seed: Seed, faults: Mapping[type[StoreError], Fault]
    ) -> None:
        """A store that fails or refuses says so by the error that fits, from every operation that meets it."""
        if not faults:
            pytest.skip("the subclass brings about no faults")
        key = layout_of(store)("a/b")
        await seed(key, sample(store.facts.shape))
        for error, fault in faults.items():
            async with fault(key):
                looker = require_looker(store)
                if isinstance(store, Reader):
                    with pytest.raises(error):
                        await store.read(key)
                try:
                    entries, gaps = await drain(looker.stat([key]))
                except error:
                    continue
                assert entries or gaps, "stat takes the fault for absence"
        await assert_holds(store, key, sample(store.facts.shape))
