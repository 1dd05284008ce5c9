"""How many requests the store for Secrets Manager makes, and what becomes of those that fail halfway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.errors import AccessDenied, RateLimited, SecretNotFound, StoreUnavailable
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores.aws_secrets_manager import listing

if TYPE_CHECKING:
    from support.aws import Microburst, Region

    from aws.conftest import OpenStore
    from secretsync_core.testing.gates import CountingGate

TEXT = SecretValue(b"text")
DENIED = {"code": "AccessDeniedException"}
THROTTLED = {"code": "ThrottlingException"}


def fill(region: Region, *names: str) -> None:
    """Make secrets whose values are their names."""
    for name in names:
        region.secrets.create_secret(Name=name, SecretString=name)


async def read_all(store: Any, keys: list[str]) -> dict[str, Any]:
    """Read many at once; errors stand for themselves."""
    found = await asyncio.gather(*(store.read(key) for key in keys), return_exceptions=True)
    values = [each if isinstance(each, BaseException) else each.value.reveal().decode() for each in found]
    return dict(zip(keys, values, strict=True))


# -- reads that are gathered


async def test_reads_at_once_share_requests(secrets_manager: OpenStore, region: Region, gate: CountingGate) -> None:
    """Forty-five reads at once are three requests of up to twenty; one that comes alone is read by itself."""
    keys = [f"k{number}" for number in range(45)]
    fill(region, *keys)
    store = await secrets_manager()
    assert await read_all(store, keys) == {key: key for key in keys}
    assert gate.counts == {"read-many": 3}
    await store.read("k0")
    assert gate.counts == {"read-many": 3, "read": 1}


async def test_two_who_want_one_secret_share_it(secrets_manager: OpenStore, region: Region, gate: CountingGate) -> None:
    """The same key is asked for once, however many wait for it."""
    fill(region, "a")
    store = await secrets_manager()
    found = await asyncio.gather(*(store.read("a") for _ in range(10)))
    assert {each.value.reveal() for each in found} == {b"a"}
    assert gate.counts == {"read": 1}


async def test_a_busy_store_fills_its_batches(secrets_manager: OpenStore, region: Region, gate: CountingGate) -> None:
    """While requests are under way, reads gather for the next one: a hundred that trickle in are few requests."""
    keys = [f"k{number}" for number in range(100)]
    fill(region, *keys)
    store = await secrets_manager()

    async def trickle(number: int) -> None:
        await asyncio.sleep(number * 0.0005)
        await store.read(keys[number])

    await asyncio.gather(*(trickle(number) for number in range(100)))
    assert gate.total < 50


async def test_one_that_is_given_up_does_not_hold_up_the_others(secrets_manager: OpenStore, region: Region) -> None:
    """Who stops waiting for a read leaves those who share its request alone."""
    fill(region, "a", "b")
    store = await secrets_manager()
    first, second = asyncio.create_task(store.read("a")), asyncio.create_task(store.read("b"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).value.reveal() == b"b"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_each_secret_of_a_batch_has_its_own_error(
    secrets_manager: OpenStore, region: Region, burst: Microburst
) -> None:
    """Absent and deleted ones in the middle of a batch are just that; the others are read."""
    fill(region, "a", "b", "gone")
    region.secrets.delete_secret(SecretId="gone")
    store = await secrets_manager()
    found = await read_all(store, ["a", "absent", "gone", "b"])
    assert (found["a"], found["b"]) == ("a", "b")
    assert isinstance(found["absent"], SecretNotFound)
    assert isinstance(found["gone"], SecretNotFound)
    assert found["gone"].key == "gone"
    assert "deleted" in found["gone"].message


async def test_without_the_right_to_batches_each_is_read_by_itself(
    secrets_manager: OpenStore, region: Region, burst: Microburst, gate: CountingGate
) -> None:
    """A policy without BatchGetSecretValue costs one refusal, and then a request a secret."""
    keys = [f"k{number}" for number in range(30)]
    fill(region, *keys)
    store = await secrets_manager(endpointUrl=burst.address, concurrency=1)
    burst.rules({"operation": "BatchGetSecretValue", "error": DENIED})
    assert await read_all(store, keys) == {key: key for key in keys}
    assert await read_all(store, keys) == {key: key for key in keys}
    # Two lanes may have asked before the first of them was refused.
    assert gate.counts["read-many"] <= 2
    assert gate.counts["read"] == 60


async def test_a_denied_secret_among_many(secrets_manager: OpenStore, region: Region, burst: Microburst) -> None:
    """With batches refused as a whole, the one that we may not read fails by itself, and says what is needed."""
    fill(region, "a", "b", "c")
    store = await secrets_manager(endpointUrl=burst.address)
    burst.rules(
        {"operation": "BatchGetSecretValue", "error": DENIED},
        {"operation": "GetSecretValue", "body": "SecretId == 'b'", "error": DENIED},
    )
    found = await read_all(store, ["a", "b", "c"])
    assert (found["a"], found["c"]) == ("a", "c")
    assert isinstance(found["b"], AccessDenied)
    assert found["b"].hint == "our identity must be allowed secretsmanager:GetSecretValue"


async def test_a_throttled_batch_is_told_to_each(secrets_manager: OpenStore, region: Region, burst: Microburst) -> None:
    """A request that fails for all fails for each who waits, by an error of its own."""
    fill(region, "a", "b")
    store = await secrets_manager(endpointUrl=burst.address)
    burst.rules({"operation": "BatchGetSecretValue", "error": THROTTLED})
    found = await read_all(store, ["a", "b"])
    assert [type(error) for error in found.values()] == [RateLimited, RateLimited]
    assert found["a"] is not found["b"]


# -- listing and looking


async def test_a_listing_is_a_page_for_a_hundred(
    secrets_manager: OpenStore, region: Region, gate: CountingGate
) -> None:
    """250 secrets are three pages, to list and to look at alike, and every key comes once."""
    keys = sorted(f"k{number:03}" for number in range(250))
    fill(region, *keys)
    store = await secrets_manager()
    found = [each.key async for each in store.list("", recursive=True, metadata=False)]
    assert sorted(found) == keys
    assert gate.counts == {"list": 3}
    gate.counts.clear()
    assert sorted([each.key async for each in store.stat(keys)]) == keys
    assert gate.counts == {"list": 3}


async def test_few_are_looked_at_one_by_one(secrets_manager: OpenStore, region: Region, gate: CountingGate) -> None:
    """Below the threshold nobody lists: the region may hold a hundred thousand others."""
    fill(region, *(f"k{number}" for number in range(30)))
    store = await secrets_manager()
    assert len([each async for each in store.stat([f"k{number}" for number in range(listing.LIST_FROM - 1)])]) == 24
    assert gate.counts == {"stat": 24}


@pytest.mark.slow
async def test_a_listing_that_does_not_pay_is_given_up(
    secrets_manager: OpenStore, region: Region, gate: CountingGate
) -> None:
    """Among a thousand others, thirty are looked for in a few pages, and then one by one."""
    mine = [f"z{number}" for number in range(30)]
    fill(region, *(f"k{number}" for number in range(1000)), *mine)
    store = await secrets_manager()
    # A key at each end, so that the common beginning of all is empty.
    found = [each.key async for each in store.stat([*mine, "a-absent"])]
    assert sorted(found) == sorted(mine)
    assert gate.counts == {"list": 6, "stat": 31}


async def test_absence_is_looked_up_and_not_believed_of_a_listing(
    secrets_manager: OpenStore, region: Region, gate: CountingGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a late listing leaves out, or shows as deleted, is looked at by itself.

    moto's listings are never late, so the listing from before stands in for one that is.
    """
    keys = [f"k{number:02}" for number in range(40)]
    fill(region, *keys[:38])
    region.secrets.delete_secret(SecretId="k00")
    store = await secrets_manager()
    late = await store._calls.page("", None)
    region.secrets.restore_secret(SecretId="k00")
    fill(region, "k38")
    gate.counts.clear()

    async def page(*_: object) -> Any:
        gate.counts["list"] += 1
        return late

    monkeypatch.setattr(store._calls, "page", page)
    found = {each.key: each async for each in store.stat(keys)}
    assert sorted(found) == keys[:39]
    assert not any(each.deleted for each in found.values())
    assert gate.counts == {"list": 1, "stat": 3}


async def test_without_the_right_to_list_each_is_looked_at(
    secrets_manager: OpenStore, region: Region, burst: Microburst, gate: CountingGate
) -> None:
    """stat needs no ListSecrets; a listing does, and says so."""
    keys = [f"k{number:02}" for number in range(30)]
    fill(region, *keys)
    store = await secrets_manager(endpointUrl=burst.address)
    burst.rules({"operation": "ListSecrets", "error": DENIED})
    assert sorted([each.key async for each in store.stat(keys)]) == keys
    assert gate.counts == {"list": 1, "stat": 30}
    with pytest.raises(AccessDenied) as caught:
        [each async for each in store.list("", recursive=True, metadata=False)]
    assert "secretsmanager:ListSecrets" in caught.value.hint


async def test_one_that_we_may_not_look_at_is_a_gap(
    secrets_manager: OpenStore, region: Region, burst: Microburst
) -> None:
    """A denial of one look hides that key and no other; marks do not take it for the lack of one."""
    fill(region, "a", "b")
    store = await secrets_manager(endpointUrl=burst.address)
    burst.rules({"operation": "DescribeSecret", "body": "SecretId == 'a'", "error": DENIED})
    found = [each async for each in store.stat(["a", "b"])]
    assert [each.prefix for each in found if isinstance(each, Gap)] == ["a"]
    assert [each.key for each in found if isinstance(each, Entry)] == ["b"]
    with pytest.raises(AccessDenied):
        await store.marks(["a", "b"])


async def test_a_page_that_fails_is_never_the_end(
    secrets_manager: OpenStore, region: Region, burst: Microburst
) -> None:
    """A listing that fails at its second page raises: half of it must not pass for all."""
    fill(region, *(f"k{number}" for number in range(150)))
    store = await secrets_manager(endpointUrl=burst.address)
    burst.rules({"operation": "ListSecrets", "body": "NextToken", "error": {"code": "InternalServiceError"}})
    listing = store.list("", recursive=True, metadata=False)
    for _ in range(100):
        await anext(listing)
    with pytest.raises(StoreUnavailable):
        await anext(listing)
    with pytest.raises(StoreUnavailable):
        [each async for each in store.stat([f"k{number}" for number in range(150)])]
