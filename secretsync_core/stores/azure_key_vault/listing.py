"""What is there, without any value: by pages of a listing where it is much, by single looks where it is little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, InvalidSecret, StoreError
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.azure_key_vault.names import KEY_LIMITS, key_of
from secretsync_core.stores.fit import sort_out_keys
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.spread import spread
from secretsync_core.stores.unseen import odd_gap, unseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable

    from secretsync_core.stores.azure_key_vault.calls import Calls
    from secretsync_core.stores.azure_key_vault.seen import About

LIST_FROM = 25
"""From this many keys on, all of the vault is listed: a page shows 25, and a look takes a request, or two."""


class Listing:
    """The inventory of a vault."""

    def __init__(self, calls: Calls, width: int) -> None:
        self._calls = calls
        self._width = width

    async def all(self, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Every secret, and every deleted one that can be recovered, as far as we may see those."""
        given: set[str] = set()
        async for page in self._calls.all():
            for each in page.found:
                if each.key not in given:
                    given.add(each.key)
                    yield each.entry(metadata=metadata)
            for name in page.nameless:
                yield self._nameless(name)
            for name, odd in page.odd:
                key = key_of(name)
                if key is not None:
                    given.add(key)
                yield self._nameless(name) if key is None else odd_gap(key, odd)
        async for each in self._deleted(given):
            yield each.entry(metadata=metadata, deleted=True)

    async def some(self, keys: Collection[str]) -> AsyncIterator[tuple[About, bool] | Gap]:
        """What there is at each of ``keys``, and whether it is deleted; a Gap for each that could not be looked at."""
        good, gaps = sort_out_keys(keys, self._calls.store, KEY_LIMITS)
        for gap in gaps:
            yield gap
        rest = set(good)
        if len(rest) >= LIST_FROM:
            given: set[str] = set()
            async for page in self._calls.all():
                for each in page.found:
                    if each.key in rest and each.key not in given:
                        given.add(each.key)
                        yield each, False
                for name, odd in page.odd:
                    if (key := key_of(name)) in rest and key is not None:
                        given.add(key)
                        yield odd_gap(key, odd)
            async for each in self._deleted(given):
                if each.key in rest:
                    yield each, True
            return
        if rest:
            async for found in spread(sorted(rest), self._look, width=self._width):
                yield found

    def _nameless(self, name: str) -> Gap:
        message = f"{self._calls.store} has the name {name!r}, for which there is no key"
        return Gap(name, InvalidSecret.code, message, is_key=True)

    async def _look(self, key: str) -> tuple[list[tuple[About, bool] | Gap], Iterable[str]]:
        try:
            if (seen := await self._calls.look(key)) is not None:
                return [(seen, False)], ()
        except StoreError as error:
            return [unseen(key, error)], ()
        try:
            deleted = await self._calls.deleted(key)
        except StoreError as error:
            gap = unseen(key, error)
            # We may see what is there, and not what was.
            return ([] if isinstance(error, AccessDenied) else [gap]), ()
        return [(deleted, True)] if deleted is not None else [], ()

    async def _deleted(self, given: set[str]) -> AsyncIterator[About]:
        """Those that are deleted, and have not been made anew or recovered."""
        try:
            async for page in self._calls.all_deleted():
                for each in page.found:
                    if each.key not in given:
                        given.add(each.key)
                        yield each
        except CredentialsRefused:
            raise
        except AccessDenied:
            return
