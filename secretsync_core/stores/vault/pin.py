"""Confirms a pinned ``kvVersion``: before "nothing there" is believed of its mount, and before anything is written.

The API of one version answers paths of the other with the same 404 as for a secret that never was, and version 1 takes
a write to any path: one in the form of version 2 would make a secret of that name. So the mount is asked for its
version. Where we may not know, which may be why it is pinned, what either version answers to a request that neither
carries out tells them apart.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from secretsync_core.errors import StoreError
from secretsync_core.known import named
from secretsync_core.stores.vault.answers import NO_DATA, NO_FIELDS, NO_SUCH_NUMBER, VERSIONED, Request, wrong_version
from secretsync_core.stores.vault.detect import version_for_pin
from secretsync_core.stores.vault.keys import encoded
from secretsync_core.stores.vault.listing import absent

if TYPE_CHECKING:
    from secretsync_core.stores.vault.transport import Transport

# What version 2 keeps at the top of its mount: there an empty write would change something.
_OF_VERSION_2 = frozenset(
    {"config", "data", "delete", "destroy", "detailed-metadata", "metadata", "subkeys", "undelete"}
)


class Pin:
    """What is known of the version of one mount: nothing, that it may be read by, or that it may be written by."""

    def __init__(self, transport: Transport, version: Literal[1, 2], *, confirmed: bool) -> None:
        """``confirmed``: the server has told that this mount is there and runs this version."""
        self._transport = transport
        self._version = version
        self._believed = self._confirmed = confirmed
        self._found: Literal[1, 2] | None = None  # another version than the pin's
        self._asking = asyncio.Lock()

    def prove(self) -> None:
        """Note that an answer had the form that this version alone gives."""
        self._believed = self._confirmed = True

    async def before_absence(self, key: str) -> None:
        """Once, before "nothing there" is believed of the mount. Raises StoreError for another version."""
        if not self._believed:
            async with self._asking:
                if not self._believed:
                    self._confirmed = self._confirmed or await self._ask(key)
                    self._believed = True

    async def before_plan(self, key: str) -> None:
        """Before anything is said of writes to the mount, as far as looks alone tell. Raises as ``before_write``."""
        if not self._confirmed:
            async with self._asking:
                if await self._ask(key):
                    self.prove()

    async def before_write(self, key: str) -> None:
        """Once, before anything is written to the mount.

        Raises StoreError for another version, and where nothing tells which one it is.
        """
        if not self._confirmed:
            async with self._asking:
                if not self._confirmed:
                    if not await self._ask(key):
                        await self._try(key)
                    self.prove()

    async def _ask(self, key: str) -> bool:
        """Whether the version of the pin is confirmed; ``False`` where nobody tells."""
        found = self._found or await version_for_pin(self._transport, self._version)
        if found is None and self._version == 2:
            found = await self._read_what_is_no_version(key)
        return self._fits(found)

    async def _read_what_is_no_version(self, key: str) -> Literal[1, 2] | None:
        """By a read of a version that is no number, which version 2 refuses, and version 1 does not know of."""
        path, request = f"data/{encoded(key)}?version=none", self._request("read", key)
        answer = await self._transport.call("stat", "GET", path, request)
        if answer.status == 400 and NO_SUCH_NUMBER in answer.body:
            return 2
        return 1 if answer.status == 200 or (answer.status == 404 and absent(answer.body)) else None

    async def _try(self, key: str) -> None:
        """By a write of nothing, which both versions refuse, each in its own words."""
        request = self._request("write", key)
        path = f"data/{key}" if self._version == 2 else key
        if self._version == 1 and key.partition("/")[0] in _OF_VERSION_2:
            raise self._unknown(key)
        answer = await self._transport.call("stat", "POST", encoded(path), request, b"{}")
        if VERSIONED in answer.body or (answer.status == 400 and NO_DATA in answer.body):
            self._fits(2)
        elif answer.status == 400 and NO_FIELDS in answer.body:
            self._fits(1)
        elif answer.status in (403, 404):
            raise answer.refusal(request)
        else:
            raise self._unknown(key)

    def _fits(self, found: Literal[1, 2] | None) -> bool:
        if found is not None and found != self._version:
            self._found = found
            raise wrong_version(self._request("", None), found)
        return found is not None

    def _request(self, action: str, key: str | None) -> Request:
        transport = self._transport
        return Request(transport.store, transport.mount, f"{action} {key}", key, transport.namespace)

    def _unknown(self, key: str) -> StoreError:
        store, mount = self._transport.store, self._transport.mount
        return StoreError(
            f"nothing tells whether {store} runs KV version {self._version} at {named(mount)}, as kvVersion says;"
            " nothing is written",
            store=store,
            key=key,
            hint=f"let our token read sys/internal/ui/mounts/{mount}",
        )
