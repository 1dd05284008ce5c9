"""The wall between us and the code of a store: whatever comes out through it is a SecretSyncError.

A third party's store may raise anything, with anything in its text, in its causes and in the locals of its frames. So
what is not of our tree is told by its type alone, and nothing of it hangs on to what is raised in its place: that is
raised after the handler that caught it, never within.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from secretsync_core.endurance import Endurance
from secretsync_core.errors import SecretSyncError, StoreError
from secretsync_core.model.inventory import LONGEST_TOKEN, Entry, Gap, display_version, is_token
from secretsync_core.model.versions import is_alias, is_plain, plain_token
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.stalled import TellsActivity, Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable


@runtime_checkable
class GivesUp(Protocol):
    """A gate that can be told that its store refused our credentials for good. Stores need not know of it."""

    def give_up(self, why: SecretSyncError) -> None:
        """Let no request through any more: each would be refused like this one."""
        ...


_LISTINGS = frozenset({"list", "select"})


class Boundary:
    """Calls the methods of one store, by their names.

    Each call is told what its result is to be; for anything else it raises a StoreError.
    """

    # Any: a store is what its class says, and here that is not taken on trust.
    __slots__ = ("_active", "_endurance", "_gate", "_name", "_raw", "_store")

    def __init__(self, store: Any, name: str, gate: object = None, endurance: Endurance | None = None) -> None:
        """``gate``: what its requests go through, to be told where its credentials are refused.

        ``endurance``: how long a call may take.
        """
        self._store = store
        self._name = name
        self._gate = gate if isinstance(gate, GivesUp) else None
        self._active = gate if isinstance(gate, TellsActivity) else None
        self._endurance = endurance or Endurance()
        self._raw: dict[str, str] = {}  # what the store calls what has an alias here

    @property
    def name(self) -> str:
        """The store's name."""
        return self._name

    def plain(self, token: str | None) -> str | None:
        """A version as it is called outside of the store: in a plain form."""
        if token is None or is_plain(token):
            return token
        kept = plain_token(token)
        self._raw[kept] = token
        self._raw[display_version(kept)] = display_version(token)
        return kept

    def known(self, version: str | None) -> str | None:
        """What the store itself calls a version that is called so outside; None for an alias that nobody has told."""
        if version is None or not any(is_alias(part) for part in version.split("@")):
            return version
        return self._raw.get(version)

    async def call(self, method: str, is_right: Callable[[Any], bool], /, *args: Any) -> Any:
        """Await a method of the store, and give what it gives."""
        watch = Watch(self._name, self._endurance, self._active)
        try:
            given = await watch.wait(getattr(self._store, method)(*args))
        except BaseException as raised:  # noqa: BLE001  see the module
            failure = self._passed_on(raised)
        else:
            if is_right(given):
                return given
            failure = self._misfit(method, args)
        finally:
            watch.end()
        try:
            raise failure
        finally:
            del failure  # it holds this frame, by its traceback

    async def each(
        self, method: str, is_right: Callable[[Any], bool], /, *args: Any, **options: Any
    ) -> AsyncGenerator[Any]:
        """Yield what the iterator of a method yields. Left early, it closes that iterator too."""
        failure: BaseException | None = None
        said: Any = None
        watch = Watch(self._name, self._endurance, self._active, listing=method in _LISTINGS)
        try:
            said = aiter(getattr(self._store, method)(*args, **options))
        except BaseException as raised:  # noqa: BLE001  see the module
            failure = passed_on(raised, self._name)
        try:
            while failure is None:
                try:
                    found = await watch.next(said)
                except StopAsyncIteration:
                    said = None
                    return
                except BaseException as raised:  # noqa: BLE001  see the module
                    failure = self._passed_on(raised)
                else:
                    if is_right(found):
                        if isinstance(found, Entry) and found.version is not None and not is_plain(found.version):
                            found = found._replace(version=self.plain(found.version))
                        yield found
                    elif (gap := self._odd(found)) is not None:
                        yield gap
                    else:
                        failure = self._misfit(method)
            raise failure
        finally:
            del failure
            watch.end()
            if said is not None:
                await self._close(said)

    async def _close(self, said: AsyncIterator[Any]) -> None:
        try:
            if (close := getattr(said, "aclose", None)) is not None:
                await close()
        except BaseException as raised:  # noqa: BLE001  see the module
            failure = passed_on(raised, self._name)
        else:
            return
        # What it listed is listed, and who left it does not wait for more.
        if not isinstance(failure, SecretSyncError):
            raise failure

    def _passed_on(self, raised: BaseException) -> BaseException:
        failure = passed_on(raised, self._name)
        if self._gate is not None and isinstance(failure, CredentialsRefused):
            self._gate.give_up(failure)
        return failure

    def _odd(self, found: Any) -> Gap | None:
        """A gap in the place of a secret of which the version alone is wrong: that is its fault, and no other's."""
        if not isinstance(found, Entry):
            return None
        key: Any = found.key
        version: Any = found.version
        if not isinstance(key, str) or not isinstance(version, str) or is_token(version):
            return None
        most = f"at most {LONGEST_TOKEN} printable ASCII characters"
        return Gap(
            found.key, StoreError.code, f"{found.key} in {self._name} has a version that is none: {most}", is_key=True
        )

    def _misfit(self, method: str, args: tuple[Any, ...] = ()) -> StoreError:
        asked = f", of {args[0]}" if args and isinstance(args[0], str) else ""
        error = StoreError(
            f"store {self._name} returned from {method} what no {method} returns{asked}", store=self._name
        )
        error.unanswered = True
        return error


def passed_on(raised: BaseException, store: str) -> BaseException:
    """What is to be raised in place of something that a store raised.

    An error of our tree is given as it is, without its causes. Cancellation, the end of the process and the like are
    given as they are, and out of a group with other exceptions as the first of their kind. All else is a StoreError.
    """
    if isinstance(raised, SecretSyncError) and _is_whole(raised):
        raised.__cause__ = raised.__context__ = None
        return raised
    if isinstance(raised, BaseExceptionGroup):
        if ends := _ends(raised):
            return next((end for end in ends if not isinstance(end, asyncio.CancelledError)), ends[0])
    elif not isinstance(raised, (Exception, GeneratorExit)) or _closes_us(raised):
        return raised
    return unexpected(raised, store)


def unexpected(raised: BaseException, store: str) -> SecretSyncError:
    """An error of our tree as it is; for any other one that names the store and the type.

    Nobody knows how far the store got, so that counts as unanswered.
    """
    if isinstance(raised, SecretSyncError) and _is_whole(raised):
        return raised
    error = StoreError(f"store {store} failed with an unexpected {type(raised).__name__}", store=store)
    error.unanswered = True
    return error


def _is_whole(error: SecretSyncError) -> bool:
    """Whether an error of our tree has what every one has: a class of somebody else's may have left it out."""
    return isinstance(getattr(error, "message", None), str) and isinstance(getattr(error, "hint", None), str)


def _ends(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The members of a group, at any depth, that are no mere exceptions."""
    found: list[BaseException] = []
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            found += _ends(each)
        elif not isinstance(each, (Exception, GeneratorExit)):
            found.append(each)
    return found


def _closes_us(raised: BaseException) -> bool:
    """Whether this is the GeneratorExit that closes our frame: such a one comes from no frame of the store."""
    return isinstance(raised, GeneratorExit) and (raised.__traceback__ is None or raised.__traceback__.tb_next is None)
