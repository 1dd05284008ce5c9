"""Whether sources moved since the last sync: versions only, no value, and nothing is asked of any destination.

Many jobs are looked at together. Each store is opened once, each listing is asked for once, and where many jobs read
folders of one store it is asked for the folder that holds them all, as long as that is less work for the store.
"""

from __future__ import annotations

import asyncio
import hashlib
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.engine.inventories import SourceView, fill
from secretsync_core.engine.opening import open_named
from secretsync_core.engine.splitting import recall_fields
from secretsync_core.engine.widening import Widening
from secretsync_core.errors import SecretSyncError
from secretsync_core.model.plan import Target
from secretsync_core.model.report import ItemError
from secretsync_core.plan.items import build_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.engine.gate import RetryPolicy
    from secretsync_core.engine.listings import Listing, Question
    from secretsync_core.engine.survey import State
    from secretsync_core.model.state import Origin
    from secretsync_core.plan.items import JobPlan
    from secretsync_core.plan.targets import ItemTargets
    from secretsync_core.schema.documents import Documents, JobDocument


class Sight(NamedTuple):
    """What was seen of one job.

    Attributes:
        touched: the plan items whose sources are not what the ledger holds of them. Beside the name stands a digest of
            what was seen, so that the same sight need not be acted on twice; None where a source has no versions and
            only a sync can tell.
        errors: what could not be seen. It touches nothing.
    """

    touched: dict[str, str | None]
    errors: list[ItemError]


class Watch:
    """Looks at the sources of jobs, again and again."""

    def __init__(self) -> None:
        self._widening = Widening()

    async def look(
        self,
        jobs: Iterable[JobDocument],
        documents: Documents,
        ledger: Ledger,
        *,
        environ: Mapping[str, str],
        retry: RetryPolicy | None = None,
    ) -> dict[str, Sight]:
        """Look at all of these jobs once; gives what was seen, by the job's name.

        An item is touched where a secret is new, has another version, or is gone, and where the item's definition is
        another one. What is wrong with one job or store is told of the jobs that it concerns. Raises LedgerError.
        """
        seen: dict[str, Sight] = {}
        views: dict[str, tuple[JobPlan, SourceView]] = {}
        for job in jobs:
            try:
                plan = build_plan(job)
                views[job.name] = plan, SourceView.of(plan)
            except Exception as error:  # noqa: BLE001  the other jobs have to be looked at too
                seen[job.name] = _unseen(error)
        # What a document allows us to ask of a store a minute holds for its own jobs only.
        groups = [list(members) for _, members in groupby(sorted(views.values(), key=_limits), key=_limits)]
        asked = (self._ask(members, documents, environ=environ, retry=retry) for members in groups)
        for members, failure in zip(groups, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(failure, Exception):
                seen |= {plan.job: _unseen(failure) for plan, _ in members}
            elif failure is not None:
                raise failure
        views = {name: view for name, view in views.items() if name not in seen}
        for name, state in _states(ledger, views):
            plan, view = views[name]
            try:
                unread = {
                    collected.item.name: recall_fields(collected, _origins(ledger, name, collected.item.name))
                    for collected in view.items
                    if collected.item.split
                }
                seen[name] = Sight(_touched(plan, view, state, unread), view.errors)
            except Exception as error:  # noqa: BLE001  the other jobs have to be looked at too
                seen[name] = _unseen(error)
        return seen

    async def _ask(
        self,
        members: Sequence[tuple[JobPlan, SourceView]],
        documents: Documents,
        *,
        environ: Mapping[str, str],
        retry: RetryPolicy | None,
    ) -> None:
        names = [name for plan, _ in members for name in plan.sources]
        limits = members[0][0].spec.limits
        async with open_named(names, limits, documents, environ=environ, retry=retry) as opened:
            asked: list[Question] = []

            def arrange(questions: Mapping[Listing, Question]) -> list[Question]:
                asked.extend(self._widening.arrange(questions, opened))
                return asked

            await fill([view for _, view in members], opened, arrange)
            self._widening.learn(asked)


def _limits(member: tuple[JobPlan, SourceView]) -> tuple[int, float]:
    limits = member[0].spec.limits
    return limits.concurrency, limits.rate or 0.0


def _states(ledger: Ledger, names: Iterable[str]) -> Iterator[tuple[str, State]]:
    """What the ledger holds of each of these jobs, one after the other."""
    missing = set(names)
    for job, rows in groupby(ledger.state.of_jobs(missing), key=lambda row: row[0]):
        state: State = {}
        for _, (dest, key), held in rows:
            state.setdefault(dest, {})[key] = held
        missing.discard(job)
        yield job, state
    for job in sorted(missing):
        yield job, {}


def _origins(ledger: Ledger, job: str, item: str) -> dict[str, list[Origin]]:
    found: dict[str, list[Origin]] = {}
    for dest, origin in ledger.state.origins(job, item):
        found.setdefault(dest, []).append(origin)
    return found


def _unseen(error: Exception) -> Sight:
    if isinstance(error, SecretSyncError):
        return Sight({}, [ItemError("", error.code, error.message, error.hint, error.exit_code)])
    # Its text may hold anything.
    return Sight({}, [ItemError("", "internal-error", f"an unexpected {type(error).__name__}", "", 1)])


def _touched(
    plan: JobPlan, view: SourceView, state: State, unread: Mapping[str, Sequence[str]]
) -> dict[str, str | None]:
    touched: dict[str, str | None] = {}
    for collected in view.items:
        digest = _digest(collected, plan.spec.dest, state, unread.get(collected.item.name, ()))
        if digest != "":
            touched[collected.item.name] = digest
    return touched


def _digest(collected: ItemTargets, dests: Sequence[str], state: State, unread: Sequence[str]) -> str | None:
    """A digest of an item's differences; empty where there are none, None where versions cannot tell.

    ``unread`` are secrets to be split whose fields the ledger does not know as they now are.
    """
    item = collected.item
    seen: set[str] = set()
    versions = dict(collected.sources()) if unread else {}
    if any(versions[key] is None for key in unread):
        return None
    different = [f"{key}={versions[key]}={item.definition}" for key in unread]
    for made in collected.targets():
        if not isinstance(made, Target):
            continue
        if made.version is None:
            return None
        seen.add(made.key)
        for dest in dests:
            held = state.get(dest, {}).get(made.key)
            if held is None or (held.source_version, held.definition, held.item) != (
                made.version,
                item.definition,
                item.name,
            ):
                different.append(f"{made.key}={made.version}={item.definition}")
    if not collected.incomplete and not unread:
        different += [
            f"{key} is gone"
            for keys in state.values()
            for key, held in keys.items()
            if held.owned and held.item == item.name and key not in seen
        ]
    return hashlib.sha256("\n".join(sorted(set(different))).encode()).hexdigest() if different else ""
