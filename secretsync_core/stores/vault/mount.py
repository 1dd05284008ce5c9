"""What the stores of both KV versions share: the mount, its confirmation, and the keys of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn

from secretsync_core.errors import SecretNotFound
from secretsync_core.model.access import Act
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.versions import VersionOrder
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.vault.access import missing
from secretsync_core.stores.vault.answers import Request
from secretsync_core.stores.vault.keys import can_hold, check, encoded
from secretsync_core.stores.vault.listing import absent
from secretsync_core.stores.vault.pin import Pin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretsync_core.model.access import Access, Missing
    from secretsync_core.model.capabilities import StoreLimits
    from secretsync_core.model.place import Place
    from secretsync_core.model.position import Position
    from secretsync_core.stores.vault.access import Demand
    from secretsync_core.stores.vault.auth import Auth
    from secretsync_core.stores.vault.listing import Listing
    from secretsync_core.stores.vault.transport import Answer, Transport


class KvMount:
    """A KV engine at one mount, opened. Implements none of the abilities."""

    version: ClassVar[Literal[1, 2]]
    LIMITS: ClassVar[StoreLimits]
    _listing: Listing

    def __init__(self, transport: Transport, auth: Auth, place: Place | None, *, confirmed: bool) -> None:
        """``confirmed``: the server has told that this mount is there and runs this version."""
        self._transport = transport
        self._auth = auth
        self._pin = Pin(transport, self.version, confirmed=confirmed)
        self.facts = StoreFacts(
            name=transport.store,
            provider="vault",
            shape=Shape.FIELDS,
            versioned=self.version == 2,
            limits=self.LIMITS,
            place=place,
            lasting_marks=self.version == 2,
            version_order=VersionOrder.NUMBER_AND_TIME if self.version == 2 else VersionOrder.NONE,
        )

    async def position(self) -> Position | None:
        """Which cluster answered, and how far its active node had got; asks for nothing."""
        return self._transport.course.position

    async def shows_folders(self, prefix: str) -> bool:
        """Whether the last listing of this folder alone showed folders in it; asks for nothing."""
        return self._listing.shows_folders(prefix)

    async def check_access(self, wanted: Sequence[Access]) -> list[Missing]:
        """What our token's policies would refuse, by one request; nothing where it may not ask.

        Raises StoreError for a mount that does not run the version that is pinned: all writes to it would fail.
        """
        held = [access for access in wanted if can_hold(access.key.rstrip("/"))]
        written = next((key for act, key in held if act in (Act.CREATE, Act.UPDATE, Act.DELETE)), None)
        if written is not None:
            await self._pin.before_plan(written)
        return await missing(self._transport, list(self._demands(held)))

    def _demands(self, wanted: Iterable[Access]) -> Iterator[Demand]:
        """What accesses take in this version."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Give the token back, where we logged in for it, and close every connection."""
        await self._auth.aclose()
        await self._transport.aclose()

    def _request(self, action: str, key: str) -> Request:
        transport = self._transport
        return Request(transport.store, transport.mount, f"{action} {key}", key, transport.namespace)

    def _path(self, root: str, key: str) -> str:
        check(key, self._transport.store)
        return root + encoded(key)

    def _refused(self, request: Request, answer: Answer) -> NoReturn:
        if answer.status == 404 and not answer.body.lstrip().startswith(b"{"):
            raise malformed(request, "the body of its 404 is not JSON")  # a proxy's page
        raise answer.refusal(request)

    async def _not_found(self, request: Request, answer: Answer) -> NoReturn:
        """Raise SecretNotFound for a 404 that says just that, and what fits for any other."""
        if not absent(answer.body):
            self._refused(request, answer)
        await self._confirm(request.key or "")
        raise SecretNotFound(f"{request.key} is not in {request.store}", store=request.store, key=request.key)

    async def _confirm(self, key: str) -> None:
        """Before "nothing there" is believed of a pinned mount, make sure once that it runs the version of the pin."""
        await self._pin.before_absence(key)
