"""What a store is to the engine: one small protocol per ability.

A store implements the protocols of what it can do, and nothing else declares its abilities: :func:`abilities_of`
reads them off the class. Keys are relative to the root that the SecretStore document names (a mount, a directory,
a prefix), use ``/`` between folders, and neither start nor end with it.

Every request to the outside goes through the :class:`RequestGate` that the store is opened with: it bounds how many
are in flight, holds the rate, counts them by kind, and repeats those that fail with a retryable error. A store
therefore makes one attempt and raises the error that fits; it never sleeps and never retries by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from secretsync_core.endurance import Endurance
from secretsync_core.model.capabilities import Ability, StoreFacts
from secretsync_core.policy.bounds import bounds_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

    from secretsync_core.model.access import Access, Missing
    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.model.leftovers import Leftovers
    from secretsync_core.model.metadata import Described
    from secretsync_core.model.position import Position
    from secretsync_core.policy.bounds import Bounds
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.selection import Selection

T = TypeVar("T")

MARK_KEY = "secretsync.io/owner"
"""The name of the tag, label or custom metadata that says which job of which installation created a secret."""


class RequestGate(Protocol):
    """The one way to the outside: ``await gate("read", attempt)`` runs ``attempt()`` within the job's limits.

    ``attempt`` makes exactly one request and may be called again after a retryable error. ``kind`` is a short word
    (``read``, ``list``, ``stat``, ``write``, ``delete``, ``login``, ...) under which the request is counted.

    A store may await it directly or in a task (``asyncio.wait_for``, ``gather``). What it raises says by ``unanswered``
    whether an attempt may have been carried out whose answer was lost: let that error through, or hand the note on to
    the one that you raise in its place. So an attempt raises where the store refuses, and does not give the refusal.
    """

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run one request, again if it may be, and give what it gave."""
        ...


@dataclass(frozen=True, slots=True)
class StoreContext:
    """What a store is opened with, besides its own configuration.

    Attributes:
        name: the SecretStore's name, for errors.
        gate: the way to the outside.
        environ: where ``{env: NAME}`` credentials are looked up.
        concurrency: how many requests the gate lets through at once; the size for connection and thread pools.
        mark: what a secret that this store creates is to carry under :data:`MARK_KEY`, as a tag, a label or custom
            metadata: who created it. Empty: no mark is wanted. At most 63 letters, digits, ``-``, ``_`` and ``.``.
        mark_at_a_cost: marks are wanted also where one costs a request of its own.
        state: the paths of the ledger and its key, which no store may touch.
        bounds: what may be named by files that the configuration names, such as a kubeconfig: servers, files, programs.
            None where no registry has opened it; see :attr:`within`.
        notes: takes what people are to be told of the store, in sentences.
        endurance: how large an answer may be, and how many pages may bring nothing new. The gate sees to the time that
            a request may take: it cancels an attempt that takes longer.
    """

    name: str
    gate: RequestGate
    environ: Mapping[str, str]
    concurrency: int
    mark: str = ""
    mark_at_a_cost: bool = False
    state: tuple[str, ...] = ()
    bounds: Bounds | None = None
    notes: list[str] = field(default_factory=list)
    endurance: Endurance = field(default_factory=Endurance)

    @property
    def within(self) -> Bounds:
        """The bounds, or those that the environment sets."""
        return self.bounds if self.bounds is not None else bounds_of(self.environ, self.state)


@runtime_checkable
class Store(Protocol):
    """What every store has. ``aclose`` gives back connections, threads and tokens; it may be called twice."""

    @property
    def facts(self) -> StoreFacts:
        """What this store is."""
        ...

    async def aclose(self) -> None:
        """Give everything back."""
        ...


@runtime_checkable
class Looker(Store, Protocol):
    """Looks at single secrets: whether they are there, and at which version. Shows no value.

    With this alone, and without :class:`Reader`, a destination can be written with care: what exists is seen, and what
    was changed or deleted by others. A store that only lists is none: what a listing leaves out proves nothing.
    """

    def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Yield an Entry for each of ``keys`` that exists (also as deleted), in any order.

        A key that is absent is left out; one that could not be looked at is a Gap. No value is read.
        """
        ...


@runtime_checkable
class Reader(Looker, Protocol):
    """Reads secrets one by one."""

    async def read(self, key: str, version: str | None = None) -> Secret:
        """Read a secret: its current value, or the one a ``version:`` pin names.

        Raises SecretNotFound where it is absent, deleted or destroyed, and only then.
        """
        ...


@runtime_checkable
class Lister(Store, Protocol):
    """Lists what is there."""

    def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield every secret whose key starts with ``prefix`` (a folder ending in ``/``, or empty for all).

        Deleted secrets are yielded with ``deleted`` set. Without ``recursive``, only those directly in the folder.
        ``metadata`` asks for custom metadata on each entry. A folder that does not exist yields nothing. A part that
        cannot be listed is a Gap; if nothing can be listed at all the error is raised.
        """
        ...


class KindLister(Lister, Protocol):
    """Lists the secrets of one kind, as ``facts.limits.types`` says of it. It is asked so only where that is wanted."""

    def list(self, prefix: str, *, recursive: bool, metadata: bool, kind: str = "") -> AsyncIterator[Entry | Gap]:
        """Like :meth:`Lister.list`, of the secrets whose values have this ``kind``; empty: of all."""
        ...


@runtime_checkable
class SelectiveLister(Lister, Protocol):
    """Lists only what is wanted: for stores in which a folder that is not listed is a request less, or a right less."""

    def select(self, wanted: Selection, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Yield every secret that ``wanted`` takes, as ``list`` would.

        What lies elsewhere in a folder that had to be listed may be yielded as well: the caller chooses again. A
        folder that ``wanted`` does not enter is neither listed nor told of. If ``wanted.folder`` cannot be listed the
        error is raised. Where one kind is wanted, ``list`` is asked for it, and never this.
        """
        ...


@runtime_checkable
class Writer(Store, Protocol):
    """Writes whole secrets."""

    async def write(self, key: str, value: SecretValue) -> str | None:
        """Create or replace the secret; gives the new version token (``None``: the store has none)."""
        ...


@runtime_checkable
class ConditionalWriter(Writer, Protocol):
    """Writes only if the secret is still what we saw."""

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        """Like ``write``, if the secret's version token is ``expected`` (``None``: it must never have existed).

        Raises Conflict, having written nothing, where it is not.
        """
        ...


@runtime_checkable
class Recreator(ConditionalWriter, Protocol):
    """Has to be told that a write is to create a secret: it cannot tell by itself, and marks only what it creates."""

    async def recreate(self, key: str, value: SecretValue, expected: str) -> str | None:
        """Like ``write_if``, where ``expected`` is the token of a deleted secret, or of one that had no value yet."""
        ...


@runtime_checkable
class Creator(Writer, Protocol):
    """Writes only what is not there yet: for stores that can tell that much, and cannot compare versions."""

    async def create(self, key: str, value: SecretValue) -> str | None:
        """Like ``write``, if there is no such secret (or only a deleted one). Raises Conflict where there is."""
        ...


@runtime_checkable
class Deleter(Store, Protocol):
    """Deletes secrets, recoverably where the store knows how."""

    async def delete(self, key: str) -> None:
        """Delete the secret; one that is absent already is no error."""
        ...


@runtime_checkable
class ConditionalDeleter(Deleter, Protocol):
    """Deletes only what we saw. Optional: where it is not there, what is written right before a delete goes with it."""

    async def delete_if(self, key: str, expected: str) -> None:
        """Like ``delete``, of the secret whose version token is ``expected``; what was written since stays.

        Raises Conflict, having deleted nothing, where the token is known to be another one. A store that can delete a
        version by its name deletes that one, and raises nothing where it is not the current one any more.
        """
        ...


@runtime_checkable
class Marker(Store, Protocol):
    """Knows who created a secret, by a mark (see :attr:`StoreContext.mark`) that it carries.

    A secret is marked by ``write``, ``write_if`` and ``create`` themselves where they create it, also in the place of
    one that was deleted. A store whose ``write_if`` cannot tell that is a :class:`Recreator`.
    """

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """The marks of those of ``keys`` that carry one, whoever set it."""
        ...

    async def mark(self, key: str) -> None:
        """Put the context's mark on a secret that is there, in place of any other. Raises SecretNotFound."""
        ...


@runtime_checkable
class Undeleter(Store, Protocol):
    """Keeps what was deleted, and brings it back as it was.

    ``version`` is the token that the deleted secret's entry has: it is still the last one that was written, and what
    comes back is that version. Both methods raise SecretNotFound where nothing is left to bring back, and Conflict
    where the secret is not deleted, or was written since.
    """

    async def check_undelete(self, key: str, version: str) -> None:
        """Look whether :meth:`undelete` would bring the secret back, and raise what it would raise. Changes nothing."""
        ...

    async def undelete(self, key: str, version: str) -> str | None:
        """Bring the deleted secret back; gives the version token that it has then."""
        ...


@runtime_checkable
class Describer(Store, Protocol):
    """Tells what stands beside the values of secrets: tags, labels, custom metadata, and whatever else there is."""

    def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``, with ``metadata`` and ``notes`` on each Entry. No value is read.

        ``notes`` has at least the kinds of which :attr:`MetadataFacts.asked` has any, and annotations where there are
        any. Either is None where we may look at the secret, and not at that.
        """
        ...


@runtime_checkable
class MetadataWriter(Store, Protocol):
    """Changes what stands beside the value of a secret, and leaves the value as it is."""

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        """Set these pieces of metadata, and leave all others as they are; gives the version token.

        ``version`` is the token that was seen. Where setting metadata changes no token, that is what it gives, and
        whoever has written meanwhile is seen by theirs. Where it does, or writes the value once more, it gives the new
        one, and raises Conflict, having changed nothing, if ``version`` is not the current token any more.

        Raises SecretNotFound where there is no such secret.
        """
        ...


@runtime_checkable
class Foreseer(Store, Protocol):
    """Knows of a value, before it is written, what would keep it from being written there.

    A plan asks it. What only a write can tell (rights, quotas, policies) it leaves to the write.
    """

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        """Raise what writing ``value`` would raise, with the same text, as far as that can be known. Changes nothing.

        ``expected`` is the version token that the write is to replace; ``None`` where it creates the secret, or where
        the store has no versions. Whether the token is still the current one is not what is asked. May make the reads
        that the write itself would make, and none for each key beyond them.
        """
        ...


@runtime_checkable
class DeleteForeseer(Deleter, Protocol):
    """Knows before a delete what would keep it from being made. Optional: a plan asks it."""

    async def check_delete(self, key: str, expected: str) -> None:
        """Raise what ``delete_if`` would raise, with the same text, as far as that can be known. Changes nothing."""
        ...


@runtime_checkable
class Positioned(Store, Protocol):
    """Knows from the answers that it had so far who answered, and how far that server had got.

    A server that is behind (a standby, a cache, a restored snapshot) is told by it from one that is not. An answer
    that may have come from such a server although the store could have asked for a better one does not count.
    """

    async def position(self) -> Position | None:
        """The position so far; None where no answer has told any. Asks the server for nothing."""
        ...


@runtime_checkable
class ShowsFolders(Store, Protocol):
    """Knows from a listing of one folder whether there is more below it. Optional: a warning says so."""

    async def shows_folders(self, prefix: str) -> bool:
        """Whether the last listing of ``prefix`` without ``recursive`` showed folders in it.

        Asks for nothing; where listings show none, and that one was empty, one request may tell.
        """
        ...


@runtime_checkable
class AccessChecker(Store, Protocol):
    """Knows what it would let us do, without our doing it. Optional: ``health`` and ``plan`` ask, where it is there."""

    async def check_access(self, wanted: Sequence[Access]) -> Sequence[Missing]:
        """Those of ``wanted`` that the store would refuse, and what to grant; empty where it would refuse none.

        Reads no value and changes nothing. Only what the store says for sure is Missing: what it does not tell, because
        we may not ask, or because it has no such question, is left out. So an empty answer is no promise.

        ``wanted`` has up to 100 accesses, the most telling first, and each goes with an ability that the store has. A
        store that asks for all of them in one request does so; one that must ask one by one asks for some, such as the
        first of each act in each folder, in no more than ten requests. Counted by the gate as ``stat``.

        Raises what keeps us from asking at all: StoreUnavailable, or credentials that are refused.
        """
        ...


@runtime_checkable
class ToldOfLeftovers(Store, Protocol):
    """Knows what processes left at it that were killed while they wrote. Optional: ``check`` asks, where it is there.

    In one request or none. What a writer that lives has begun is no leftover.
    """

    async def leftovers(self) -> Leftovers:
        """Tell what is left there. Changes nothing."""
        ...


@runtime_checkable
class Sweeper(Store, Protocol):
    """Removes that. Optional: each run asks the stores that it writes to, once; in one request or none."""

    async def sweep(self) -> Leftovers:
        """Remove what is proven to be ours and of a dead writer; tell of that, and of what stays."""
        ...


_PROTOCOLS: tuple[tuple[type[Store], Ability], ...] = (
    (Reader, Ability.READ),
    (Looker, Ability.LOOK),
    (Lister, Ability.LIST),
    (Writer, Ability.WRITE),
    (ConditionalWriter, Ability.COMPARE_AND_SET),
    (Creator, Ability.CREATE),
    (Deleter, Ability.DELETE),
    (Marker, Ability.MARK),
    (Undeleter, Ability.UNDELETE),
    (Describer, Ability.DESCRIBE),
    (MetadataWriter, Ability.SET_METADATA),
)


def abilities_of(store: object) -> frozenset[Ability]:
    """What a store can do, read off the protocols that it implements."""
    return frozenset(ability for protocol, ability in _PROTOCOLS if isinstance(store, protocol))
