"""Reads the answer of a SCAN or of a listing with details, entry by entry as it comes in."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Any

import ijson

from secretsync_core.model.inventory import Entry
from secretsync_core.stores.vault.answers import nonsense

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from secretsync_core.stores.vault.transport import Transport

_CHUNK = 128 * 1024
_SMALL = 64 * 1024


def entry_of(key: str, info: Mapping[str, Any], now: str, *, metadata: bool) -> Entry:
    """The Entry for one secret's metadata, as SCAN, LIST detailed-metadata and GET metadata all give it.

    The version token is ``<number>@<time it was written>``, so that a secret which was deleted for good and created
    anew never looks unchanged. ``now`` is the server's time as ``server_time`` gives it.
    """
    number = info["current_version"]
    current = info["versions"].get(str(number))
    custom = (info.get("custom_metadata") or {}) if metadata else None
    if current is None:  # only metadata so far
        return Entry(key, f"{number}@{info['created_time']}", deleted=True, metadata=custom)
    gone = current["deletion_time"]
    # A deletion time may lie in the future (delete_version_after).
    deleted = bool(current["destroyed"]) or (gone != "" and gone[:19] <= now)
    return Entry(key, f"{number}@{current['created_time']}", deleted, custom)


def server_time(headers: Mapping[str, str]) -> str:
    """The server's own time, in the form of its other times, to the second; ours where it does not tell."""
    try:
        return _read_time(headers["Date"])
    except (KeyError, ValueError):
        return datetime.now(UTC).strftime(_SECONDS)


_SECONDS = "%Y-%m-%dT%H:%M:%S"


@lru_cache(maxsize=8)  # the header changes once a second, and comes with every answer
def _read_time(date: str) -> str:
    return parsedate_to_datetime(date).strftime(_SECONDS)


class Details:
    """Collects the entries of one detailed listing of ``prefix``. Give ``receive`` to ``Transport.stream``.

    The answer is taken apart while it comes in: that of 100,000 secrets is 46 MB, and is never held whole. Nothing is
    handed out before the answer is known to be complete, so that a connection that is cut never looks like a
    shorter listing.
    """

    def __init__(self, transport: Transport, prefix: str, *, metadata: bool) -> None:
        self._transport = transport
        self._prefix = prefix
        self._metadata = metadata

    async def receive(self, response: aiohttp.ClientResponse) -> list[Entry]:
        """The entries, last first, for ``pop`` to give them back one by one. Folders are left out."""
        content, now = response.content, server_time(response.headers)
        entries: list[Entry] = []
        events = ijson.sendable_list()
        parser = ijson.kvitems_coro(events, "data.key_info")
        first = bytearray()
        seen = 0
        try:
            while chunk := await content.read(_CHUNK):
                if len(first) < _SMALL:
                    first += chunk
                parser.send(chunk)
                if events:
                    seen += self._take(events, now, entries)
            parser.close()
            seen += self._take(events, now, entries)
        except (ijson.JSONError, KeyError, TypeError, AttributeError):
            raise nonsense(self._transport.store) from None
        if not seen:
            self._check_empty(bytes(first))
        entries.reverse()
        return entries

    def _take(self, events: list[tuple[str, Any]], now: str, entries: list[Entry]) -> int:
        """Turn what was parsed into entries; gives how much that was, folders too."""
        prefix, metadata, count = self._prefix, self._metadata, len(events)
        for key, info in events:
            if not key.endswith("/"):
                # One string for a key, wherever it stands: most are in the ledger and in the other store too.
                entries.append(entry_of(intern(prefix + key), info, now, metadata=metadata))
        events.clear()
        return count

    def _check_empty(self, body: bytes) -> None:
        """An answer without details must be an empty folder in Vault's words: not a proxy's ``{}``, nor a bare LIST."""
        data = self._transport.data_of(body)
        if set(data) - {"keys", "key_info"} or data.get("keys"):
            raise nonsense(self._transport.store)
