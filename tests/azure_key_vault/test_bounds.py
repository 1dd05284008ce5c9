"""Vaults and login services that never end: both are given up in time and in memory, by what the document says."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.endurance import Endurance
from secretsync_core.errors import SecretSyncError, StoreError
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.secret import SecretValue
from secretsync_core.stores.azure_key_vault import open_store
from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
from secretsync_core.stores.base import StoreContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.azure.service import KeyVault
    from support.azure.trust import Trust

    from azure_key_vault.conftest import Section

SHORT = Endurance(request=0.3, listing=3.0)
SMALL = Endurance(answer=64 * 1024, pages=20)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BOMB = gzip.compress(b'{"value":"' + b" " * 8_000_000, 9)

NEVER_ENDING = {
    "no answer": (b"", b""),
    "headers of a byte now and then": (OK + b"X-A: ", b"x"),
    "a body of a byte now and then": (OK + b"Content-Length: 100000\r\n\r\n{", b" "),
    "chunks now and then": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@contextlib.asynccontextmanager
async def going_on(trust: Trust, begin: bytes, piece: bytes) -> AsyncIterator[str]:
    """A server over TLS that answers everybody with this, and never ends; gives its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(begin)
            while not writer.is_closing():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=trust.server)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@contextlib.asynccontextmanager
async def store_at(section: dict[str, Any], endurance: Endurance) -> AsyncIterator[Any]:
    """A store whose gate makes each request once."""
    gate = Gate("kv", concurrency=4, policy=RetryPolicy(attempts=1, lost_after=100), endurance=endurance)
    config = AzureKeyVaultConfig.model_validate_json(json.dumps(section))
    store: Any = await open_store(config, StoreContext("kv", gate, {}, 4, endurance=endurance))
    try:
        yield store
    finally:
        await store.aclose()


async def listed(store: Any) -> list[Any]:
    """All that a listing shows."""
    return [each async for each in store.list("", recursive=True, metadata=True)]


async def error_of(work: Any) -> SecretSyncError:
    """The error that it ends in, soon."""
    with pytest.raises(SecretSyncError) as caught:
        await asyncio.wait_for(work, 8)
    return caught.value


@pytest.mark.parametrize("how", NEVER_ENDING)
@pytest.mark.parametrize("who", ["vaultUrl", "authorityHost"])
async def test_an_answer_that_never_ends_is_given_up(section: Section, azure_trust: Trust, who: str, how: str) -> None:
    """Of the vault and of the login: a read fails in time, and says which limit of the SecretStore it was."""
    async with (
        going_on(azure_trust, *NEVER_ENDING[how]) as address,
        store_at(section(**{who: address}), SHORT) as store,
    ):
        error = await error_of(store.read("a"))
    assert isinstance(error, StoreError)
    assert "limits.request" in error.hint


async def test_a_token_without_end(azure: KeyVault, section: Section) -> None:
    """A login's answer has a bound of its own, which no document sets: it says whose it was, and what to check."""
    azure.entra.answer = (200, {"Content-Type": "application/json"}, b" " * 400_000)
    async with store_at(section(), SMALL) as store:
        error = await error_of(store.read("a"))
    assert error.code == "answer-too-large"
    assert error.message == "kv: its login service answers with more than 256 KiB, which is no token"
    assert "authorityHost" in error.hint
    assert "limits" not in error.hint


async def test_an_answer_is_as_large_as_what_it_holds(azure: KeyVault, section: Section) -> None:
    """Also a compressed one, of a read, a listing and a refusal."""
    assert len(BOMB) < SMALL.answer
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for status in (200, 400):
        azure.answer("^GET", status, BOMB, headers=headers)
        async with store_at(section(), SMALL) as store:
            for work in (store.read("a"), listed(store)):
                assert "limits.answerMiB" in (await error_of(work)).hint
        azure.heal()


async def test_what_is_not_compressed_as_it_says_is_no_answer(azure: KeyVault, section: Section) -> None:
    """Nor is a chunk that is cut."""
    azure.vault.set("a", {"value": "1"})
    for body in (b"no gzip", BOMB[:20]):
        azure.answer("^GET", 200, body, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
        async with store_at(section(), SMALL) as store:
            assert (await error_of(store.read("a"))).code in ("malformed-answer", "unavailable")
        azure.heal()
    azure.answer("^GET", 200, bundle(azure), headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
    async with store_at(section(), SMALL) as store:
        assert (await store.read("a")).value.reveal() == b"v"


def bundle(azure: KeyVault) -> bytes:
    """A secret, compressed."""
    attributes = {"enabled": True, "created": 5, "updated": 5}
    identifier = f"{azure.address}/secrets/a/{'0' * 32}"
    return gzip.compress(json.dumps({"value": "v", "id": identifier, "attributes": attributes}).encode())


async def test_a_write_whose_answer_is_too_large_may_have_been_made(azure: KeyVault, section: Section) -> None:
    """Only a look can tell; a read leaves nothing open."""
    azure.answer("^PUT|^GET /secrets/b/\\?", 200, b" " * 400_000)
    async with store_at(section(), SMALL) as store:
        error = await error_of(store.write("a", SecretValue(b"1")))
        assert (error.code, error.unanswered) == ("answer-too-large", True)
        assert not (await error_of(store.read("b"))).unanswered


@pytest.mark.parametrize("names", [[], ["a", "b"]])
async def test_pages_that_bring_nothing_new_end(azure: KeyVault, section: Section, names: list[str]) -> None:
    """Ever new tokens, with empty pages or with the same secrets again and again, end after so many pages."""
    numbers = count()
    attributes = {"enabled": True, "created": 5, "updated": 5}

    def page() -> None:
        found = [{"id": f"{azure.address}/secrets/{name}", "attributes": attributes} for name in names]
        link = f"{azure.address}/secrets?api-version=7.4&$skiptoken={next(numbers)}"
        body = json.dumps({"value": found, "nextLink": link}).encode()
        azure.answer("^GET", 200, body, times=1)

    azure.before("^GET", page, times=None)
    async with store_at(section(), SMALL) as store:
        assert "limits.pages" in (await error_of(listed(store))).hint
    assert len(azure.requests) <= SMALL.pages + 5


@pytest.mark.parametrize("levels", [300, 5000])
async def test_what_stands_deep_in_itself_is_no_answer(azure: KeyVault, section: Section, levels: int) -> None:
    """A read and a page are refused in words."""
    deep = b'{"a":' * levels + b"1" + b"}" * levels
    azure.answer("^GET", 200, b'{"value":%s,"id":%s}' % (deep, deep))
    async with store_at(section(), Endurance()) as store:
        for work in (store.read("a"), listed(store)):
            assert (await error_of(work)).code == "malformed-answer"
