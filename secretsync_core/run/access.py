"""What the stores would refuse of what is to be done, asked before anybody tries. Reads no value and changes nothing.

Only stores that can tell are asked (:class:`~secretsync_core.stores.base.AccessChecker`), and only of what is to be
done: a plan with nothing to do costs no request more.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.counting import number, plural
from secretsync_core.errors import AccessDenied, SecretSyncError
from secretsync_core.model.access import Access, Act
from secretsync_core.model.change import Action, Reason
from secretsync_core.run.opening import job_error
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from secretsync_core.model.access import Missing
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.seen import Unversioned
    from secretsync_core.stores.base import AccessChecker

MOST = 100
"""About so many accesses a store is asked at the most."""


class Permitted(NamedTuple):
    """The changes that nothing stands against, and those that a store would refuse; what to tell about it."""

    changes: list[Change]
    warnings: list[str]
    errors: list[ItemError]


async def ask_before(
    changes: Sequence[Change],
    unversioned: Iterable[Unversioned],
    merged: Collection[tuple[str, str]],
    opened: OpenStores,
) -> Permitted:
    """Refuse what a store would refuse, as far as it tells; ``merged`` keys are not deleted, but written without ours.

    A secret whose versions are hidden is told in a warning: it can be copied, by reading its value every time.
    """
    wanted: dict[str, list[Access]] = defaultdict(list)
    for change in changes:
        for store, access in _accesses(change, merged):
            wanted[store].append(access)
    hidden = {each.store: each for each in unversioned}
    lacking: dict[tuple[str, Access], list[str]] = defaultdict(list)
    warnings: list[str] = []
    errors: list[ItemError] = []
    for store in dict.fromkeys([*hidden, *wanted]):
        looks = hidden[store].looks if store in hidden else ()
        asked = most_telling([*looks, *wanted[store]])
        try:
            missing = await _ask(store, asked, opened)
        except SecretSyncError as error:
            errors.append(job_error(error))
            missing = []
        for access, grant in missing:
            lacking[store, access].append(grant)
        if store in hidden:
            grants = [grant for access, grant in missing if access.act is Act.LOOK]
            warnings.append(told_of_unversioned(store, hidden[store].secrets, grants))
        unasked = len(set(wanted[store])) - MOST
        if unasked > 0 and any(access.act is not Act.LOOK for access, _ in missing):
            warnings.append(
                f"{store} was asked what it permits for {MOST} of {number(unasked + MOST)} requests:"
                " it may refuse others too"
            )
    return Permitted([_judged(change, merged, lacking) for change in changes], warnings, errors)


def told_of_unversioned(store: str, count: int | None, grants: Sequence[str]) -> str:
    """The warning that secrets of a store can only be compared by their values; ``count``: so many, None: any."""
    which = "its secrets" if count is None else plural(count, "secret")
    grant = f" (grant {', '.join(dict.fromkeys(grants))})" if grants else ""
    return f"{store} does not let us see the versions of {which}, so that every run reads their values{grant}"


def most_telling(accesses: Iterable[Access]) -> list[Access]:
    """Each once, the first of each act in each folder before all others, and no more than a store is to be asked."""
    first: list[Access] = []
    rest: list[Access] = []
    known: set[tuple[Act, str]] = set()
    for access in dict.fromkeys(accesses):
        spot = access.act, access.key[: access.key.rfind("/") + 1]
        (rest if spot in known else first).append(access)
        known.add(spot)
    return [*first, *rest][:MOST]


async def missing_of(checker: AccessChecker, wanted: Sequence[Access]) -> Sequence[Missing]:
    """What is missing of this; nothing where we may not ask. Raises what keeps us from asking at all."""
    if not wanted:
        return []
    try:
        return await checker.check_access(wanted)
    except CredentialsRefused:
        raise
    except AccessDenied:
        return []


async def _ask(store: str, wanted: Sequence[Access], opened: OpenStores) -> Sequence[Missing]:
    halves = opened.stores.get(store)
    if halves is None or halves.checker is None:
        return []
    async with opened.in_time(store):
        return await missing_of(halves.checker, wanted)


def _accesses(change: Change, merged: Collection[tuple[str, str]]) -> Iterable[tuple[str, Access]]:
    """What carrying out a change takes, by store. What sets metadata alone touches no value: no store tells of that."""
    if change.action is Action.DELETE and change.reason is not Reason.REMOVED_OUTSIDE:
        act = Act.UPDATE if (change.dest, change.key) in merged else Act.DELETE
        yield change.dest, Access(act, change.key)
    elif change.action in (Action.CREATE, Action.UPDATE) and change.reason is not Reason.METADATA:
        new = change.action is Action.CREATE and change.dest_version is None
        yield change.dest, Access(Act.CREATE if new else Act.UPDATE, change.key)
        for source in change.sources:
            yield source.store, Access(Act.READ, source.key)


def _judged(
    change: Change, merged: Collection[tuple[str, str]], lacking: Mapping[tuple[str, Access], Sequence[str]]
) -> Change:
    """A change, refused where something is lacking for it."""
    grants = {
        store: lacking[store, access] for store, access in _accesses(change, merged) if (store, access) in lacking
    }
    if not grants:
        return change
    detail = "; ".join(f"grant {', '.join(each)} in {store}" for store, each in grants.items())
    return change._replace(action=Action.REFUSE, reason=Reason.NOT_PERMITTED, detail=detail)
