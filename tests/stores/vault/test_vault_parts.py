"""The small parts by themselves: credentials, the spreading of work, common folders."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from secretsync_core.credentials import MAX_BYTES, describe, resolve
from secretsync_core.errors import StoreError
from secretsync_core.schema.base import Credential
from secretsync_core.stores.spread import spread
from secretsync_core.stores.vault.keys import common_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_credentials(tmp_path: Path) -> None:
    """A credential comes from the environment, a file or the document, without the newline at its end."""
    file = tmp_path / "token"
    file.write_text("from file\r\n")
    environ = {"TOKEN": "from env\n"}
    assert resolve(Credential(env="TOKEN"), environ) == "from env"
    assert resolve(Credential(file=str(file)), environ) == "from file"
    assert resolve(Credential(value="from document"), environ) == "from document"
    assert describe(Credential(env="TOKEN")) == "environment variable TOKEN"
    assert describe(Credential(file="/run/token")) == "file /run/token"
    assert "canary" not in describe(Credential(value="canary"))


def test_credentials_that_are_not_there(tmp_path: Path) -> None:
    """A credential that is missing, empty, unreadable, too large or no text is an error that names where, not what."""
    file = tmp_path / "token"
    with pytest.raises(StoreError, match="variable TOKEN is not set"):
        resolve(Credential(env="TOKEN"), {})
    with pytest.raises(StoreError, match="variable TOKEN is empty"):
        resolve(Credential(env="TOKEN"), {"TOKEN": "\n"})
    with pytest.raises(StoreError, match="does not exist"):
        resolve(Credential(file=str(file)), {})
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        resolve(Credential(file=str(tmp_path)), {})
    for content, reason in ((b"", "is empty"), (b"canary" * MAX_BYTES, "larger than 64 KiB"), (b"canary\xff", "UTF-8")):
        file.write_bytes(content)
        with pytest.raises(StoreError, match=reason) as raised:
            resolve(Credential(file=str(file)), {}, store="s")
        assert "canary" not in str(raised.value)
        assert raised.value.store == "s"


def test_common_folder() -> None:
    """The deepest folder that holds all keys."""
    assert common_folder(["a/b/c", "a/b/d"]) == "a/b/"
    assert common_folder(["a/b", "a/bc/d"]) == "a/"
    assert common_folder(["a/b", "a/b/c"]) == "a/"
    assert common_folder(["a/b"]) == "a/"
    assert common_folder(["a", "b"]) == ""


async def test_spread_walks_what_grows() -> None:
    """Work that comes up on the way is done as well, no more at once than asked for, each piece once."""
    flying = peak = 0

    async def do(number: int) -> tuple[list[int], list[int]]:
        nonlocal flying, peak
        flying += 1
        peak = max(peak, flying)
        await asyncio.sleep(0.0001 * (number % 3))
        flying -= 1
        return [number], [number * 2, number * 2 + 1] if number < 256 else []

    found = [number async for number in spread([1], do, width=5)]
    assert sorted(found) == list(range(1, 512))
    assert peak == 5
    assert [number async for number in spread([], do, width=5)] == []


async def test_spread_draws_as_it_goes() -> None:
    """The list of work is not read ahead of what is done, so that it may be endless; leaving early stops the rest."""
    drawn = 0

    def work() -> object:
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    async def do(number: int) -> tuple[list[int], tuple[()]]:
        await asyncio.sleep(0)
        return [number], ()

    results = spread(work(), do, width=4)  # type: ignore[arg-type]
    for _ in range(10):
        await anext(results)
    await results.aclose()  # type: ignore[attr-defined]
    assert drawn < 40
    before = drawn
    await asyncio.sleep(0.01)
    assert drawn == before


async def test_spread_raises() -> None:
    """The first error ends the rest and is raised as it is."""

    async def do(number: int) -> tuple[list[int], tuple[()]]:
        await asyncio.sleep(0)
        if number == 50:
            raise StoreError("broken")
        return [number], ()

    with pytest.raises(StoreError, match="broken"):
        _ = [number async for number in spread(range(100), do, width=8)]
