"""Reads the answer of a SCAN or of a listing with details, entry by entry as it comes in."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import ijson

from secretsync_core.endurance import DEPTH, Endurance, too_large
from secretsync_core.errors import MalformedAnswer
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.answers import MOST_VERSIONS, TOO_DEEP, Part, is_text_map, is_time, malformed
from secretsync_core.stores.bodies import chunks_of
from secretsync_core.stores.http import date_of
from secretsync_core.stores.unseen import Odd, odd_gap
from secretsync_core.stores.vault.answers import says_nothing, without_a_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from secretsync_core.stores.vault.answers import Request

_SMALL = 64 * 1024


def entry_of(key: str, info: Any, now: str, at: Spot, *, metadata: bool) -> Entry:
    """The Entry for one secret's metadata, as SCAN, LIST detailed-metadata and GET metadata all give it.

    The version token is ``<number>@<time it was written>``, so that a secret which was deleted for good and created
    anew never looks unchanged. ``now`` is the server's time as ``server_time`` gives it. Raises MalformedAnswer.
    """
    # There may be a hundred thousand of them: what is wrong is only looked for where something is.
    if type(info) is not dict:
        raise _wrong(info, at)
    number, versions = info.get("current_version"), info.get("versions")
    if type(number) is not int or number >= MOST_VERSIONS or type(versions) is not dict:
        raise _wrong(info, at)
    custom = (info.get("custom_metadata") or {}) if metadata else None
    if custom and not is_text_map(custom):
        raise _wrong(info, at)
    current = versions.get(str(number))
    if current is None:  # only metadata so far, or what makes no sense
        if number != 0 or versions or not _is_moment(info.get("created_time")):
            raise _wrong(info, at)
        return Entry(key, f"0@{info['created_time']}", deleted=True, metadata=custom)
    if type(current) is not dict or str(number + 1) in versions:  # the latest is the current one, always
        raise _wrong(info, at)
    written, gone, deleted = current.get("created_time"), current.get("deletion_time"), current.get("destroyed")
    if number < 1 or type(deleted) is not bool or type(written) is not str or not is_time(written):
        raise _wrong(info, at)
    if gone != "":
        if not _is_moment(gone):
            raise _wrong(info, at)
        # It may lie in the future (delete_version_after).
        deleted = deleted or gone[:19] <= now
    return Entry(key, f"{number}@{written}", deleted, custom)


class Spot(NamedTuple):
    """Where in which answer a secret's details stand."""

    request: Request
    path: str


def _wrong(info: object, at: Spot) -> MalformedAnswer:
    """What is wrong with details that ``entry_of`` does not take."""
    try:
        about = Part.of(at.request, at.path, info)
        number, versions = about.count("current_version"), about.part("versions")
        about.text_map("custom_metadata")
        if number == 0 and not versions.fields:
            about.time("created_time")
        if str(number + 1) in versions.fields:
            return about.wrong("current_version", "the latest of versions")
        current = versions.part(str(number)) if number else about
        if number == 0:
            return about.wrong("versions", "empty, as current_version is 0")
        current.flag("destroyed")
        current.time("created_time")
        if current.fields.get("deletion_time") != "":
            current.time("deletion_time")
    except MalformedAnswer as error:
        return error
    return malformed(at.request, f"{at.path} is not what is known of a secret")


def _is_moment(found: object) -> TypeGuard[str]:
    return isinstance(found, str) and is_time(found)


def server_time(headers: Mapping[str, str]) -> str:
    """The server's own time, in the form of its other times, to the second; ours where it does not tell."""
    return _read_time(headers.get("Date", "")) or datetime.now(UTC).strftime(_SECONDS)


_SECONDS = "%Y-%m-%dT%H:%M:%S"


@lru_cache(maxsize=8)  # the header changes once a second, and comes with every answer
def _read_time(date: str) -> str:
    moment = date_of(date)
    return "" if moment is None else moment.strftime(_SECONDS)


class Details:
    """Collects the entries of one detailed listing of ``prefix``. Give ``receive`` to ``Transport.stream``.

    The answer is taken apart while it comes in: that of 100,000 secrets is 46 MB, and is never held whole. Nothing is
    handed out before the answer is known to be complete, so that a connection that is cut never looks like a
    shorter listing.
    """

    def __init__(self, prefix: str, *, metadata: bool, scan: bool, endurance: Endurance | None = None) -> None:
        """``scan``: the answer is that of a SCAN, which alone may have nothing to say."""
        self._prefix = prefix
        self._metadata = metadata
        self._scan = scan
        self._endurance = endurance or Endurance()
        self.has_folders = False
        self._fault: MalformedAnswer | None = None

    async def receive(self, request: Request, response: aiohttp.ClientResponse) -> list[Entry | Gap]:
        """The entries, last first, for ``pop`` to give them back one by one. Folders are left out.

        One whose details make no sense is a Gap. Raises MalformedAnswer where those of none do.
        """
        now, at = server_time(response.headers), Spot(request, "data.key_info.*")
        entries: list[Entry | Gap] = []
        self._fault = None
        events = ijson.sendable_list()
        # Numbers as the machine has them: a whole one of thousands of digits ends the process within ijson.
        parser = ijson.kvitems_coro(events, "data.key_info", use_float=True)
        first = bytearray()
        seen = depth = since = 0
        endurance = self._endurance
        fault: MalformedAnswer | None = None
        try:
            async for chunk in chunks_of(response, endurance.most("list", streamed=True), request):
                if len(first) < _SMALL:
                    first += chunk
                # What the parser needs grows with the square of the depth.
                depth += chunk.count(b"{") + chunk.count(b"[") - chunk.count(b"}") - chunk.count(b"]")
                if depth > 10 * DEPTH:
                    raise malformed(request, TOO_DEEP)
                since += len(chunk)
                if since > endurance.answer:  # all that is held, as no secret ends in it
                    response.close()
                    raise too_large(request.store, request.action, endurance.answer)
                parser.send(chunk)
                if events:
                    depth = since = 0
                    seen += self._take(events, now, at, entries)
            parser.close()
            seen += self._take(events, now, at, entries)
        except ijson.JSONError:
            fault = malformed(request, "the body is not JSON, or not whole")
        if fault is not None:  # out here, where the error that shows a part of it does not hang on to ours
            raise fault
        if self._fault is not None and all(isinstance(entry, Gap) for entry in entries):
            raise self._fault  # no secret is odd that way: the answer is
        if not seen:
            self._check_empty(Part.of_body(request, bytes(first)))
        entries.reverse()
        return entries

    def _take(self, events: list[tuple[str, Any]], now: str, at: Spot, entries: list[Entry | Gap]) -> int:
        """Turn what was parsed into entries; gives how much that was, folders too."""
        prefix, metadata, count = self._prefix, self._metadata, len(events)
        for key, info in events:
            if key.endswith("/"):
                self.has_folders = True
                continue
            # One string for a key, wherever it stands: most are in the ledger and in the other store too.
            name = intern(prefix + key)
            try:
                entries.append(entry_of(name, info, now, at, metadata=metadata))
            except MalformedAnswer as error:
                entries.append(odd_gap(name, Odd(error.message)))
                self._fault = self._fault or error.with_traceback(None)
        events.clear()
        return count

    def _check_empty(self, root: Part) -> None:
        """An answer without details must be an empty folder in Vault's words: not a proxy's ``{}``, nor a bare LIST."""
        if self._scan and says_nothing(root):
            return
        data = root.part("data")
        if data.texts("keys") or data.part("key_info").fields:
            raise data.wrong("key_info", "the details of what is in keys")
        without_a_word(root)
