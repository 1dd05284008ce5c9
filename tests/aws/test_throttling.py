"""A service that throttles: real ThrottlingExceptions by microburst, the gate of real runs, and the rate of a job."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.errors import RateLimited
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from support.aws import Microburst, Region

    from aws.conftest import OpenStore

QUICK = RetryPolicy(attempts=5, first_wait=0.01, longest_wait=0.05, longest_retry_after=0.5)
THROTTLED = {"code": "ThrottlingException", "message": "Rate exceeded"}


async def test_throttled_requests_are_repeated(secrets_manager: OpenStore, burst: Microburst, region: Region) -> None:
    """Every third request is throttled: all of them get through, each repetition is counted, and none is in vain."""
    gate = Gate("aws", concurrency=4, policy=QUICK)
    store = await secrets_manager(gate=gate, endpointUrl=burst.address)
    burst.rules({"sequence": {"pass": 2, "fail": 1}, "error": THROTTLED})
    keys = [f"k{number}" for number in range(30)]
    await asyncio.gather(*(store.write_if(key, SecretValue(key.encode()), None) for key in keys))
    read = await asyncio.gather(*(store.read(key) for key in keys))
    assert [each.value.reveal().decode() for each in read] == keys
    assert burst.fired() > 10
    assert sum(gate.requests.values()) == burst.seen
    assert gate.requests["write"] == 30 + burst.fired("CreateSecret")


async def test_throttling_that_does_not_end(secrets_manager: OpenStore, burst: Microburst) -> None:
    """Patience is bounded, and what remains is RateLimited."""
    gate = Gate("aws", concurrency=4, policy=QUICK)
    store = await secrets_manager(gate=gate, endpointUrl=burst.address)
    burst.rules({"error": THROTTLED})
    with pytest.raises(RateLimited):
        await store.write("a", SecretValue(b"x"))
    assert QUICK.attempts < burst.seen <= 20  # a busy store is asked until patience is at its end


async def test_boto3_repeats_nothing_by_itself(secrets_manager: OpenStore, burst: Microburst) -> None:
    """One attempt of the gate is one request, whatever goes wrong with it."""
    store = await secrets_manager(endpointUrl=burst.address)
    rules: list[dict[str, Any]] = [{"error": THROTTLED}, {"error": {"code": "InternalServiceError"}}, {"reset": True}]
    for number, rule in enumerate(rules):
        burst.rules(rule)
        with pytest.raises(Exception, match="aws"):
            await store.read("a")
        assert burst.seen == number + 1


async def test_the_rate_of_a_job_holds(secrets_manager: OpenStore, burst: Microburst) -> None:
    """With 50 requests a second, thirty take at least 0.58 s, whatever the threads could do."""
    gate = Gate("aws", concurrency=16, rate=50)
    store = await secrets_manager(gate=gate, endpointUrl=burst.address, concurrency=16)
    began = time.monotonic()
    await asyncio.gather(*(store.write_if(f"k{number}", SecretValue(b"x"), None) for number in range(30)))
    assert time.monotonic() - began >= 29 / 50
    assert burst.seen == 30
