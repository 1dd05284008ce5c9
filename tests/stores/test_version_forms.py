"""What a store calls a version leaves it as numbers, times, UUIDs and hex digits, or with an alias in their place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.errors import Conflict, SecretNotFound
from secretsync_core.model.capabilities import Permissions, Shape
from secretsync_core.model.inventory import LONGEST_TOKEN, Entry
from secretsync_core.model.versions import is_kept, is_plain, kept_version, plain_token
from secretsync_core.secret import SecretValue
from secretsync_core.stores import memory
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.handle import hand_out
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from secretsync_core.model.inventory import Gap
    from secretsync_core.secret import Secret

PLAIN = (
    "7",
    "3@2026-01-01T00:00:00.123456789Z",
    "3@2026-01-01T00:00:00.123+00:00",
    "81@3f1f3c8e-0b8a-4a59-9a3e-0123456789ab",
    "3F1F3C8E-0B8A-4A59-9A3E-0123456789AB",
    "2026-01-01T00:00:00Z@1767225600000000000.7.42",
    "5@0123456789abcdef",
)


def test_what_is_plain_stays_as_it_is() -> None:
    """The versions of all stores of ours, which people know by what stands before the ``@``."""
    for token in PLAIN:
        assert is_plain(token)
        assert plain_token(token) == kept_version(token) == token
        assert is_kept(token)
        assert is_kept(f"{token}@fields=12")


@pytest.mark.parametrize(
    "token", ["v7", 'W/"etag 7"', "3@of-canary", "canary@7", "x" * LONGEST_TOKEN, "terraform-2026", "@", "x@"]
)
def test_what_is_not_gets_an_alias(token: str) -> None:
    """For each part that is of another form; the same at every time, and nothing of the part is in it."""
    plain = plain_token(token)
    assert is_plain(plain)
    assert plain == plain_token(plain) == plain_token(token)
    assert is_kept(plain)
    assert kept_version(f"{token}@fields=2") == f"{plain}@fields=2"
    assert not re.search("canary|etag|terraform|x", plain)


def test_a_pin_is_the_documents_own_word() -> None:
    """It stays as it is where it is a number, an id or a label; else it has an alias."""
    assert kept_version("pin:AWSPREVIOUS") == "pin:AWSPREVIOUS"
    odd = kept_version("pin:the one before")
    assert odd is not None
    assert re.fullmatch("pin:Z[0-9a-f]{32}", odd)


class Etags(memory.MemoryStore):
    """A third party's store whose versions are quoted texts."""

    async def read(self, key: str, version: str | None = None) -> Secret:
        if version is not None:
            version = version.removeprefix('W/"v').removesuffix('"')
        secret = await super().read(key, version)
        return secret._replace(version=_odd_token(secret.version))

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        async for found in super().stat(keys):
            yield _odd(found)

    async def write(self, key: str, value: SecretValue) -> str:
        return _odd_token(await super().write(key, value))

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str:
        if expected is not None:
            assert expected.startswith('W/"v'), "it is given what it calls a version itself"
            number, _, rest = expected.partition("@")
            expected = f"{number[4:-1]}@{rest}"
        return _odd_token(await super().write_if(key, value, expected))


def _odd_token(token: str | None) -> str:
    number, _, rest = str(token).partition("@")
    return f'W/"v{number}"@{rest}'


def _odd(found: Any) -> Any:
    return found._replace(version=_odd_token(found.version)) if getattr(found, "version", None) else found


def _opened() -> Any:
    return hand_out(Etags(Shape.FIELDS, StoreContext("etags", CountingGate(), {}, 1)), "etags", Permissions.READ_WRITE)


async def test_a_store_is_given_back_what_it_calls_a_version() -> None:
    """Also by another process, which looks first; where it has another one by then, that is a conflict."""
    memory.reset()
    here = _opened()
    first = await here.write("a", SecretValue({"x": "1"}))
    assert re.fullmatch("Z[0-9a-f]{32}@[0-9a-f]{16}", first)
    assert (await here.read("a")).version == first
    assert [entry.version async for entry in here.stat(["a"]) if isinstance(entry, Entry)] == [first]
    second = await here.write_if("a", SecretValue({"x": "2"}), first)
    assert second != first
    there = _opened()
    third = await there.write_if("a", SecretValue({"x": "3"}), second)
    with pytest.raises(Conflict):
        await _opened().write_if("a", SecretValue({"x": "4"}), second)
    assert (await there.read("a")).version == third
    assert (await here.read("a", first.partition("@")[0])).version == first
    with pytest.raises(SecretNotFound, match="not known any more"):
        await _opened().read("a", first.partition("@")[0])
