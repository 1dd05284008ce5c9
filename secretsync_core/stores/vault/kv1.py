"""KV version 1: secrets without versions, so that only their values tell whether they changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.known import named
from secretsync_core.model.access import ANY_NAME
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.selection import Selection, folder_rule
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.fit import json_fields_of
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.spread import spread
from secretsync_core.stores.vault.access import demands_of_kv1
from secretsync_core.stores.vault.fields import MAX_BYTES, encode
from secretsync_core.stores.vault.keys import KEY_LIMITS, folder_of, sort_out
from secretsync_core.stores.vault.listing import Listing, absent
from secretsync_core.stores.vault.mount import KvMount
from secretsync_core.stores.vault.transport import Answer
from secretsync_core.stores.vault.walk import Found, Way, Ways, walk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Iterator

    from secretsync_core.model.access import Access
    from secretsync_core.model.place import Place
    from secretsync_core.stores.vault.access import Demand
    from secretsync_core.stores.vault.auth import Auth
    from secretsync_core.stores.vault.transport import Received, Transport


class Kv1Store(KvMount):
    """Reads, lists, writes and deletes. A delete is for good: version 1 keeps nothing."""

    version = 1
    # Measured: version 1 gives a number back as it was sent.
    LIMITS = replace(KEY_LIMITS, max_bytes=MAX_BYTES, empty=False)

    def __init__(
        self, transport: Transport, auth: Auth, place: Place | None, *, confirmed: bool = True, stated: bool = True
    ) -> None:
        """``stated``: the document or the server names the version; else it is this one for want of any other."""
        super().__init__(transport, auth, place, confirmed=confirmed)
        self._listing = Listing(transport, "")
        self._stated = stated

    async def _confirm(self, key: str) -> None:
        """As for a pin; and before it is believed of a mount that names no version, look for the folder of version 2.

        A mount of version 2 whose version is left out would look empty, and what was copied from it as gone.
        """
        await super()._confirm(key)
        if self._stated:
            return
        store, mount = self.facts.name, self._transport.mount
        try:
            found = await self._listing.folder("metadata/")
        except CredentialsRefused:
            raise
        except AccessDenied:
            found = None  # nor could it be listed by version 2
        if found is not None and (found.keys or found.folders):
            raise StoreError(
                f"{store} does not say which version of KV it runs at {named(mount)}, and it looks like version 2",
                store=store,
                hint="set kvVersion in the SecretStore",
            )
        self._stated = True

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The secret's fields. A ``version`` is a StoreError: there are none."""
        if version is not None:
            raise StoreError(f"{self.facts.name} keeps no versions (KV version 1)", store=self.facts.name, key=key)
        request = self._request("read", key)
        found = await self._transport.ask("read", "GET", self._path("", key), request, _fields)
        if isinstance(found, Answer):
            if found.status == 404:
                await self._not_found(request, found)
            self._refused(request, found)
        return Secret(SecretValue(found), None)

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Whether each key is there, told by listing its folder: a look at the secret itself would read its value."""
        wanted: dict[str, set[str]] = {}
        held, gaps = sort_out(keys, self.facts.name)
        for gap in gaps:
            yield gap
        for key in held:
            wanted.setdefault(folder_of(key), set()).add(key)

        async def look(folder: str) -> tuple[Found, list[str]]:
            try:
                there = (await self._listing.folder(folder)).keys
            except CredentialsRefused:
                raise
            except AccessDenied as error:
                return [Gap(key, error.code, error.message) for key in wanted[folder]], []
            if not there:
                await self._confirm(folder + ANY_NAME)
            return [Entry(key) for key in there if key in wanted[folder]], []

        async for found in spread(wanted, look, width=self._transport.width):
            yield found

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Every key, by one SCAN where the server has it, else folder by folder. There is no metadata."""
        wanted = Selection([folder_rule(prefix, recursive=recursive)])
        async for found in self.select(wanted, metadata=metadata):
            yield found

    async def select(self, wanted: Selection, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """The same of what is wanted, and of no folder besides."""

        async def tree(folder: str) -> Found | None:
            keys = await self._listing.all_keys(folder)
            return None if keys is None else [Entry(key) for key in reversed(keys)]

        async def shown(key: str, _: bool) -> Found:
            return [Entry(key)]

        ways = Ways(Way(tree, self._listing.scan_is_closed), None, shown, self._confirm, looks=False)
        async for found in walk(wanted, self._listing, ways, width=self._transport.width):
            yield found

    async def write(self, key: str, value: SecretValue) -> None:
        """Create or replace the secret, whole. Raises InvalidSecret where it has no fields."""
        fields = json_fields_of(value, self.facts, key)
        request = self._request("write", key)
        path = self._path("", key)
        await self._pin.before_write(key)
        answer = await self._transport.call("write", "POST", path, request, encode(fields, self.facts, key))
        if answer.status not in (200, 204):
            self._refused(request, answer)

    def _demands(self, wanted: Iterable[Access]) -> Iterator[Demand]:
        return demands_of_kv1(wanted)

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the secret from being sent: its key, its fields, and their size as JSON."""
        self._path("", key)
        encode(json_fields_of(value, self.facts, key), self.facts, key)

    async def delete(self, key: str) -> None:
        """Delete the secret for good."""
        request = self._request("delete", key)
        path = self._path("", key)
        await self._pin.before_write(key)
        answer = await self._transport.call("delete", "DELETE", path, request)
        if answer.status not in (200, 204) and not (answer.status == 404 and absent(answer.body)):
            self._refused(request, answer)


def _fields(received: Received) -> dict[str, Any]:
    """The fields of a secret. There are some: version 1 takes none without."""
    data = received.data()
    if not data.fields:
        raise malformed(received.request, "data is empty, and version 1 holds no secret without fields")
    if all(isinstance(field, str) for field in data.fields.values()):
        return dict(data.fields)
    # orjson makes a float of an integer beyond 64 bits, where version 1 keeps every digit.
    try:
        fields: dict[str, Any] = json.loads(received.body)["data"]
    except (ValueError, RecursionError):  # more digits than Python reads
        pass
    else:
        return fields
    raise malformed(received.request, "a number in data is too long to be read")
