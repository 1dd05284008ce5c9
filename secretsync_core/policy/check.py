"""What the bounds do not permit of documents, told at their fields: by line and rule, before anything is opened."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from secretsync_core.errors import TransformFailed
from secretsync_core.policy.bounds import ASK
from secretsync_core.policy.flows import Flows, rules_of
from secretsync_core.schema.documents import JobDocument, StoreDocument
from secretsync_core.schema.keys import KeyMapper
from secretsync_core.schema.plain_http import HINT, MESSAGE, plain_http_of
from secretsync_core.schema.policy import PlainHttp
from secretsync_core.schema.positions import dotted
from secretsync_core.schema.providers import ProviderProblem, uses_of_store
from secretsync_core.schema.uses import uses_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretsync_core.policy.bounds import Bounds
    from secretsync_core.schema.candidates import Candidate
    from secretsync_core.schema.job import PlanItem
    from secretsync_core.schema.named import Use
    from secretsync_core.schema.positions import Path


def check_documents(candidates: Sequence[Candidate], bounds: Bounds) -> None:
    """Note all that is not permitted, and a warning at each store that would be spoken to unencrypted."""
    if (refusal := bounds.broken()) is not None:
        for found in candidates:
            found.problem(("kind",), f"nothing is permitted: {refusal.why}", refusal.hint)
        return
    stores = {found.document.name: found.document for found in candidates if isinstance(found.document, StoreDocument)}
    flows = Flows(rules_of(bounds.policies), stores)
    for found in candidates:
        if isinstance(found.document, StoreDocument):
            _store(found, found.document, bounds)
        elif isinstance(found.document, JobDocument):
            named = uses_of(found.document.spec.notify, ("spec", "notify"))
            _uses(found, named, bounds)
            if flows:
                _flows(found, found.document, flows)


def _store(found: Candidate, store: StoreDocument, bounds: Bounds) -> None:
    if (refusal := bounds.judge_store(store)) is not None:
        found.problem(("spec", "provider", store.provider), refusal.why, refusal.hint)
    try:
        uses = uses_of_store(store.provider, store.config)
    except ProviderProblem as problem:
        found.problem(("spec", "provider"), problem.message, problem.hint)
        return
    where: Path = ("spec", "provider", store.provider)
    _uses(found, (use._replace(path=(*where, *use.path)) for use in uses), bounds)
    if bounds.plain_http is PlainHttp.WARN and (path := plain_http_of(store, uses)) is not None:
        found.problem(path, MESSAGE, HINT, warning=True)


def _uses(found: Candidate, uses: Iterable[Use], bounds: Bounds) -> None:
    for use in uses:
        if (refusal := bounds.judge(use)) is not None:
            found.problem(use.path, f"{dotted(use.path)} is refused: {refusal.why}", refusal.hint)


def _flows(found: Candidate, job: JobDocument, flows: Flows) -> None:
    """Refuse what the document itself spells out. What a query selects is refused key by key, by plan and sync."""
    for index, item in enumerate(job.spec.plan):
        where: Path = ("spec", "plan", index)
        for dest in job.spec.dest:
            told: set[str] = set()
            for store, source_key, key, path in _ways(item, job.spec.source, where):
                rule = flows.denying([(store, source_key)], dest, key)
                if rule is not None and rule.name not in told:
                    told.add(rule.name)
                    found.problem(path, f"{dotted(path)} may not go from {store} to {dest}: {rule.told}", ASK)


def _ways(item: PlanItem, default: str, where: Path) -> Iterator[tuple[str, str | None, str | None, Path]]:
    """The source of each part of an item, its key and the destination's, as far as the document says, and where."""
    store = item.source or default
    if item.combine:
        for at, part in enumerate(item.combine):
            known = part.secret.key if part.secret is not None else None
            yield store, known, item.key, (*where, "combine", at)
        return
    if item.secret is None:
        yield store, None, None, (*where, "query")
        return
    mapped = None
    if not item.split:
        with suppress(TransformFailed):
            mapped = KeyMapper(item.key_transform, item=item.name or "").map(item.secret.key)
    yield store, item.secret.key, mapped, (*where, "secret")
