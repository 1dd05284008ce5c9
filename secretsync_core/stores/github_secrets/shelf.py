"""What secrets and variables have in common: names and times, which are listed, looked at, and deleted."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret, QuotaReached, SecretSyncError, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.fit import blob_of, check_folder, check_key, check_new_key, sort_out_keys
from secretsync_core.stores.github_secrets.answers import Request
from secretsync_core.stores.github_secrets.listing import Listing
from secretsync_core.stores.github_secrets.names import KEY_LIMITS
from secretsync_core.stores.github_secrets.place import SERVICE
from secretsync_core.stores.github_secrets.selected import Selected
from secretsync_core.stores.github_secrets.times import Written
from secretsync_core.stores.github_secrets.transport import DONE
from secretsync_core.stores.unanswered import Doubt
from secretsync_core.stores.unseen import unseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection

    from secretsync_core.model.capabilities import StoreLimits
    from secretsync_core.model.place import Place
    from secretsync_core.secret import SecretValue
    from secretsync_core.stores.github_secrets.config import GithubSecretsConfig
    from secretsync_core.stores.github_secrets.scope import Scope
    from secretsync_core.stores.github_secrets.transport import Answer, Transport

MAX_BYTES = 48 * 1024
"""Of one secret or variable, by GitHub's documentation."""


class Shelf:
    """See the module. A version token is when it was last written, to the second; GitHub keeps no older values."""

    LIMITS: StoreLimits

    def __init__(self, config: GithubSecretsConfig, transport: Transport, scope: Scope, place: Place | None) -> None:
        self._transport = transport
        self._scope = scope
        self._listing = Listing(transport, scope)
        self._selected = Selected(config, transport, scope)
        self.facts = StoreFacts(
            name=transport.store,
            provider=SERVICE,
            shape=Shape.BLOB,
            versioned=True,
            limits=self.LIMITS,
            place=place,
        )

    async def aclose(self) -> None:
        """Give back what we logged in for, and close every connection."""
        if self._transport.auth is not None:
            await self._transport.auth.aclose()
        await self._transport.aclose()

    # -- looking

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that exists: one by one, or by a listing where that is fewer requests."""
        good, bad = sort_out_keys(keys, self.facts.name, KEY_LIMITS)
        for gap in bad:
            yield gap
        if len(good) <= self._listing.pages:
            for key in good:
                try:
                    entry = await self._listing.one(key)
                except StoreError as error:
                    yield unseen(key, error)
                    continue
                if entry is not None:
                    yield entry
            return
        wanted = frozenset(good)
        for found in await self._listing.entries():
            if (found.key if isinstance(found, Entry) else found.prefix) in wanted:
                yield found

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield all that there is. There are no folders, and nothing stands beside a value."""
        check_folder(prefix, self.facts.name)
        if not prefix:
            for found in await self._listing.entries():
                yield found

    # -- changing

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what keeps the value from being sent: its name, its form, its size, or that there are too many."""
        self._blob(key, value)
        last = self._listing.last
        if expected is None and last is not None and key not in last and len(last) >= self._scope.most:
            raise self._full(key, len(last))

    async def delete(self, key: str) -> None:
        """Delete it for good."""
        check_key(key, self.facts.name, KEY_LIMITS)
        request = self._request("delete", key)
        answer = await self._transport.call("delete", "DELETE", self._path(key), request, DONE)
        doubt = Doubt(unanswered=answer.unanswered)
        if answer.status == 404 and await doubt.of(self._listing.one(key)) is None:
            return
        if not answer.done:
            raise answer.refusal(request)

    def _blob(self, key: str, value: SecretValue) -> bytes:
        check_new_key(key, self.facts.name, KEY_LIMITS)
        return blob_of(value, self.facts, key)

    async def _version(
        self, key: str, answer: Answer, holds: Callable[[], Awaitable[bool]] | None = None
    ) -> str | None:
        """The version that a write has made, which was answered so.

        Where GitHub does not show it, the write is done all the same, and whose it is has to be kept: then the time of
        the answer stands for it. If that is not quite it, the next run takes it for drift, and writes once more.

        Raises StoreUnavailable where it shows an older one: that is not what was written, whatever the answer says.
        Unless it ``holds`` what was written, for the time of what is there already need not become another one.
        """
        written, before = Written(answer), self._listing.seen.get(key)
        try:
            seen = await self._shown(key, before)
        except SecretSyncError as error:
            if written.answered is not None:
                return written.answered
            error.unanswered = True
            raise
        if not written.is_older(seen, before):
            return written.version(seen)
        if holds is not None and await Doubt(unanswered=True).of(holds()):
            return seen
        raise self._not_shown(key)

    async def _shown(self, key: str, before: str | None) -> str:
        """The version that GitHub shows of what was just written; asked again where that is the one before."""
        shown = await self._one(key)
        return shown if shown != before else await self._one(key)

    async def _one(self, key: str) -> str:
        entry = await self._listing.one(key)
        if entry is None or entry.version is None:
            raise self._not_shown(key)
        return entry.version

    def _not_shown(self, key: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self.facts.name} does not show {key} as it was just written",
            store=self.facts.name,
            key=key,
            hint="check what answers at the address of the SecretStore: a proxy may have taken the write",
        )

    async def _refused(self, request: Request, answer: Answer) -> StoreError:
        """The error for a write that was refused: with the number there is, where that is why."""
        error = answer.refusal(request)
        if not isinstance(error, InvalidSecret) or request.key is None:
            return error
        with contextlib.suppress(SecretSyncError):
            there = {found.key for found in await self._listing.entries() if isinstance(found, Entry)}
            if request.key not in there and len(there) >= self._scope.most:
                return Doubt(unanswered=error.unanswered).on(self._full(request.key, len(there)))
        return error

    def _full(self, key: str, there: int) -> QuotaReached:
        scope = self._scope
        return QuotaReached(
            f"{self.facts.name} has no room for {key}: the {scope.holder} has {there} {scope.listed}, "
            f"and GitHub allows {scope.most}",
            store=self.facts.name,
            key=key,
            hint=f"delete {scope.listed} that nobody needs, or combine several values into one",
        )

    def _request(self, verb: str, key: str, *, level: str = "write") -> Request:
        return Request(self.facts.name, self._scope, f"{verb} {key}", key, level)

    def _path(self, key: str) -> str:
        return f"{self._scope.base}/{key}"
