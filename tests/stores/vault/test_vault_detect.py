"""Which version of KV a mount is, by what the server says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from secretsync_core.errors import MalformedAnswer
from secretsync_core.stores.vault.detect import kv_version
from secretsync_core.stores.vault.transport import Received, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsync_core.stores.vault.answers import Request


class _Says:
    """A transport whose server says that of the mount."""

    store, mount, namespace = "vault", "kv", ""

    def __init__(self, options: object) -> None:
        self._data: dict[str, Any] = {"type": "kv", "path": "kv/", "options": options}

    async def system(self, _kind: str, _path: str, request: Request, parse: Callable[[Received], Any]) -> Any:
        return parse(Received(request, orjson.dumps({"data": self._data}), {}))


@pytest.mark.parametrize(
    ("options", "version"), [(None, 1), ({}, 1), ({"version": "1"}, 1), ({"version": "2", "other": "x"}, 2)]
)
async def test_the_version_that_the_server_tells(options: object, version: int) -> None:
    """A mount without a version is of the first."""
    assert await kv_version(cast("Transport", _Says(options))) == version


@pytest.mark.parametrize(
    "options", [{"version": 2}, {"version": "3"}, {"version": None}, {"version": ["2"]}, [], "2", 2]
)
async def test_nonsense_is_no_version(options: object) -> None:
    """What makes no sense is an error of the store: 2 taken for 1 would see no secret and write beside them."""
    with pytest.raises(MalformedAnswer):
        await kv_version(cast("Transport", _Says(options)))
