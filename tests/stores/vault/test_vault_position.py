"""What OpenBao says of itself in ``X-Vault-Index``, and what it is asked for with it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from support.faulty_http import FaultyHttp

from secretsync_core.errors import TwoServers
from secretsync_core.model.place import alias_of
from secretsync_core.model.position import Position
from secretsync_core.secret import SecretValue
from secretsync_core.stores.vault.cluster import cluster_of_index
from secretsync_core.stores.vault.position import Course, read_index

if TYPE_CHECKING:
    from conftest import VaultStores

SECRET = b'{"data":{"data":{"a":"1"},"metadata":{"version":1,"created_time":"2026-01-01T00:00:00Z"}}}'
WRITTEN = b'{"data":{"version":1,"created_time":"2026-01-01T00:00:00Z"}}'
MOUNT = b'{"data":{"type":"kv","path":"kv/","options":{"version":"2"}}}'


ONE = "0a6b1b2c-8257-2b06-2fc5-9b6600e1668c"
TWO = "77bb1b2c-8257-2b06-2fc5-9b6600e1668c"


def index(value: int | str, cluster: str = ONE) -> dict[str, str]:
    """The header of an answer."""
    return {"X-Vault-Index": base64.b64encode(json.dumps({"cluster": cluster, "value": str(value)}).encode()).decode()}


def sent(store: Any) -> dict[str, Any]:
    """What the next request asks for."""
    headers = store._transport.course.headers
    return {**headers, "said": json.loads(base64.b64decode(headers["X-Vault-Index"]))} if headers else {}


async def test_the_mount_names_the_cluster_and_every_read_asks_for_the_active_node(
    vault_store_factory: VaultStores,
) -> None:
    """The look at the mount is not repeated, and what it says of the position counts for nothing."""
    async with FaultyHttp() as fake:
        fake.answer("GET .*/sys/internal/ui/mounts/kv", 200, MOUNT, headers=index(3))
        fake.answer("GET .*/kv/data/k", 200, SECRET, headers=index(7))
        store = await vault_store_factory(mount="kv", address=fake.address)
        assert await store.position() == Position(alias_of(ONE))
        headers = sent(store)
        assert headers["X-Vault-Inconsistent"] == "forward-active-node"
        assert headers["said"]["cluster"] == ONE
        assert int(headers["said"]["value"]) > 2**62
        await store.read("k")
        assert await store.position() == Position(alias_of(ONE), 7, 7)
        assert fake.count("GET") == 2


async def test_what_was_read_before_the_cluster_was_known_is_read_again(vault_store_factory: VaultStores) -> None:
    """With a pinned version the first read cannot ask for the active node, so it is made twice; the next ones once."""
    async with FaultyHttp() as fake:
        fake.answer("GET .*/kv/data/k", 200, SECRET, headers=index(9))
        fake.answer("GET .*/kv/data/k", 200, SECRET, headers=index(3), times=1)
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        await store.read("k")
        assert await store.position() == Position(alias_of(ONE), 9, 9)
        assert fake.count("/kv/data/k") == 2
        await store.read("k")
        assert fake.count("/kv/data/k") == 3


@pytest.mark.parametrize(("enterprise", "asks"), [("", True), (',"enterprise":false', False)], ids=["OpenBao", "Vault"])
async def test_its_health_names_the_cluster_where_the_version_is_pinned(
    vault_store_factory: VaultStores, enterprise: str, asks: bool
) -> None:
    """A 404 names none, and may come from a standby: so OpenBao is asked for the active node from the first read on."""
    health = f'{{"cluster_id":"{ONE}"{enterprise}}}'.encode()
    async with FaultyHttp() as fake:
        fake.answer("GET .*/sys/health", 200, health)
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        assert bool(sent(store)) is asks
        assert not asks or sent(store)["said"]["cluster"] == ONE
        assert await store.position() is None


async def test_a_server_that_names_nothing_is_asked_once(vault_store_factory: VaultStores) -> None:
    """A server in memory, or an older one, sends no index: no header, no repeat, no position."""
    async with FaultyHttp() as fake:
        fake.answer("GET .*/kv/data/k", 200, SECRET)
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        await store.read("k")
        assert (await store.position(), sent(store), fake.count("/kv/data/k")) == (None, {}, 1)


async def test_two_clusters_end_everything_that_the_store_does(vault_store_factory: VaultStores) -> None:
    """Once an answer names another cluster nothing more is asked; a write that it answered may have been made there."""
    async with FaultyHttp() as fake:
        fake.answer("GET .*/kv/data/k", 200, SECRET, headers=index(7))
        fake.answer("POST .*/kv/data/k", 200, WRITTEN, headers=index(8, TWO))
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        await store.read("k")
        with pytest.raises(TwoServers, match="two clusters behind one address") as caught:
            await store.write("k", SecretValue({"a": "1"}))
        assert caught.value.unanswered
        before = len(fake.requests)
        for call in (store.read("k"), store.write("k", SecretValue({"a": "1"})), store.delete("k")):
            with pytest.raises(TwoServers):
                await call
        assert len(fake.requests) == before


async def test_a_listing_of_another_cluster_is_none(vault_store_factory: VaultStores) -> None:
    """Also in an answer that is taken apart while it comes in."""
    async with FaultyHttp() as fake:
        fake.answer("GET .*/kv/data/k", 200, SECRET, headers=index(7))
        fake.answer("(SCAN|LIST) .*", 200, b'{"data":{"keys":[]}}', headers=index(9, TWO))
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        await store.read("k")
        with pytest.raises(TwoServers):
            [entry async for entry in store.list("", recursive=True, metadata=False)]


def test_the_lowest_and_the_highest_answer_are_kept() -> None:
    """Of those alone that were asked of the active node."""
    course = Course("s")
    for value, asked in ((1, False), (8, True), (6, True), (99, False)):
        course.heed(index(value)["X-Vault-Index"], asked=asked)
    assert course.position == Position(alias_of(ONE), 6, 8)


def test_a_value_that_is_no_number_is_sent_back_as_it_is() -> None:
    """Another storage may count in another way: it names the cluster, and the latest index is all that can be asked."""
    course = Course("s")
    for value in ("a/1", "a/2"):
        course.heed(index(value)["X-Vault-Index"], asked=True)
    assert course.headers["X-Vault-Index"] == index("a/2")["X-Vault-Index"]
    assert (course.position, course.asks) == (Position(alias_of(ONE)), False)


def test_clusters_of_vault_are_not_compared() -> None:
    """Two of them may hold the same secrets, by performance replication; its index is signed, so it goes back as is."""
    course = Course("s")
    for cluster, number in (("one", 5), ("two", 7), ("one", 6)):
        course.heed(base64.b64encode(f"v1:{cluster}:{number}:0:mac".encode()).decode(), asked=False)
    assert base64.b64decode(course.headers["X-Vault-Index"]) == b"v1:two:7:0:mac"
    assert course.position is None


@pytest.mark.parametrize(
    "header", ["", "%", "e30=", base64.b64encode(b"v1:c").decode(), base64.b64encode(b"[1]").decode()]
)
def test_any_other_index_is_none(header: str) -> None:
    """A form that is not known says nothing, and ends nothing."""
    assert read_index(header) is None


@pytest.mark.parametrize("header", ["\udcff", "é", "x", "9" * 6000, base64.b64encode(b'{"cluster":5}').decode()])
def test_an_index_that_makes_no_sense_names_nothing(header: str) -> None:
    """Any other form of the header is left aside, and never an error."""
    assert cluster_of_index(header) == ""
    assert read_index(header) is None


def test_an_index_beyond_all_numbers_is_no_position() -> None:
    """A number that no server counts to, and that no ledger holds, is none."""
    index = read_index(base64.b64encode(b'{"cluster":"%s","value":"%s"}' % (ONE.encode(), b"9" * 5000)).decode())
    assert index is not None
    assert index.value is None


@pytest.mark.parametrize(
    "cluster", ["hvs.CANARY", "s.canary", "x", "a b", "a" * 65, "cluster-one", "caf\u00e9-caf\u00e9"]
)
def test_what_no_cluster_is_called_is_no_index(cluster: str) -> None:
    """It would be printed and kept as a name: a server that sends a token back is not believed."""
    said = json.dumps({"cluster": cluster, "value": "7"}).encode()
    assert read_index(base64.b64encode(said).decode()) is None


@pytest.mark.slow
async def test_a_server_that_sends_our_token_back_names_no_cluster(vault_store_factory: VaultStores) -> None:
    """A token may be a UUID, as a cluster's id is."""
    token = "cafe0000-0000-4000-8000-000000000000"
    async with FaultyHttp() as fake:
        fake.answer("GET .*/sys/internal/ui/mounts/kv", 200, MOUNT, headers=index(3, token))
        fake.answer("GET .*/kv/data/k", 200, SECRET, headers=index(7, token))
        store = await vault_store_factory(mount="kv", address=fake.address, auth={"token": {"value": token}})
        await store.read("k")
        assert await store.position() is None
        assert token not in str(store.facts.place)


@pytest.mark.slow
async def test_another_credential_that_a_server_names_as_its_cluster_is_not_told(
    vault_store_factory: VaultStores,
) -> None:
    """A secret id, or a value, may be a UUID too: what is kept and shown of a cluster's id does not lead back to it."""
    value = "beef0000-0000-4000-8000-000000000000"
    async with FaultyHttp() as fake:
        fake.answer("GET .*/sys/internal/ui/mounts/kv", 200, MOUNT, headers=index(3, value))
        fake.answer("GET .*/kv/data/k", 200, SECRET, headers=index(7, value))
        store = await vault_store_factory(mount="kv", address=fake.address)
        await store.read("k")
        assert await store.position() == Position(alias_of(value), 7, 7)
        assert store.facts.place is not None
        assert store.facts.place.identity == alias_of(value)
        assert value not in f"{store.facts.place}{await store.position()}"
