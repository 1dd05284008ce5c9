"""Documents with errors, as far as they can be understood: enough to show them under their own names, never to run.

Whoever shows documents would otherwise have to leave one out as soon as it has a typo, and with it its schedule, its
history and its red. What is kept of it has passed the schema part by part: it says no more than a whole document.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from secretsync_core.model.capabilities import Permissions
from secretsync_core.schema.candidates import Candidate, validate
from secretsync_core.schema.documents import (
    Broken,
    BrokenJob,
    BrokenStore,
    Documents,
    JobDocument,
    StoreDocument,
    Where,
)
from secretsync_core.schema.item_names import with_names
from secretsync_core.schema.job import PlanItem, SyncJob, SyncJobSpec
from secretsync_core.schema.notify import without_literals
from secretsync_core.schema.providers import known_providers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.errors import Problem

UNKNOWN = "unknown"
"""Stands for the name of a store, an item or a provider that cannot be told."""

_API, _KIND = "secretsync.io/v1alpha1", "SyncJob"


class _NotUnderstood(BaseModel):
    """Stands for the configuration of a store that has errors: nothing is known of it."""


def broken_of(candidates: Sequence[Candidate], unread: tuple[Problem, ...] = ()) -> Broken:
    """What is known of every SyncJob and SecretStore that has a name and is not whole; of two of one name the first."""
    jobs: dict[str, BrokenJob] = {}
    stores: dict[str, BrokenStore] = {}
    for found in candidates:
        if found.whole or not found.name:
            continue
        errors = tuple(problem for problem in found.told() if not problem.warning)
        if found.kind == "SecretStore":
            stores.setdefault(found.name, BrokenStore(_store(found), errors))
    for found in candidates:
        if found.kind == _KIND and found.name and not found.whole:
            errors = _with_those_of_stores([problem for problem in found.told() if not problem.warning], stores)
            jobs.setdefault(found.name, BrokenJob(_job(found), errors))
    return Broken(jobs, stores, unread)


def _with_those_of_stores(errors: Sequence[Problem], stores: dict[str, BrokenStore]) -> tuple[Problem, ...]:
    """The errors, each "has errors itself" followed by the first of that store: the line that is to be mended."""
    told: list[Problem] = []
    for error in errors:
        told.append(error)
        its = stores[error.store].problems[:1] if error.store in stores else ()
        told += [one for one in its if one not in told]
    return tuple(told)


def absent_job(name: str) -> Documents:
    """Stands for the documents of a SyncJob that there is not any more."""
    plan = (PlanItem.model_validate(_stand_in({"name": UNKNOWN})),)
    spec = SyncJobSpec(source=UNKNOWN, dest=(UNKNOWN,), plan=plan)
    return Documents({}, {}, broken=Broken({name: BrokenJob(JobDocument(name, spec, Where("", 0), {}), ())}))


def unnamed_store(name: str) -> StoreDocument:
    """Stands for a SecretStore that a broken SyncJob names, and that there is not."""
    return StoreDocument(name, Permissions.READ_WRITE, UNKNOWN, _NotUnderstood(), Where("", 0))


def _store(found: Candidate) -> StoreDocument:
    if isinstance(found.document, StoreDocument):
        return found.document
    given = _mapping(found.raw.data, "spec").get("provider")
    name = next(iter(given), None) if isinstance(given, dict) else None
    provider = name if isinstance(name, str) and name in known_providers() else UNKNOWN
    where = Where(found.raw.file, found.raw.line)
    return StoreDocument(found.name, Permissions.READ_WRITE, provider, _NotUnderstood(), where)


def _job(found: Candidate) -> JobDocument:
    if isinstance(found.document, JobDocument):
        spec_of = found.document.spec
        return replace(found.document, spec=spec_of.model_copy(update={"plan": _distinct(spec_of.plan)}))
    given = _mapping(found.raw.data, "spec")
    spec: dict[str, Any] = {"source": UNKNOWN, "dest": UNKNOWN, "plan": [_stand_in({})]}
    for name, value in given.items():
        if name == "plan":
            spec["plan"] = _plan(found, spec, value)
        elif name != "timezone" and _model(found, {**spec, name: value}) is not None:
            spec[name] = value
    if "timezone" in given and _model(found, {**spec, "timezone": given["timezone"]}) is not None:
        spec["timezone"] = given["timezone"]
    model = _model(found, spec)
    assert model is not None  # noqa: S101  each part of it was checked
    checked = model.spec.model_copy(update={"plan": _distinct(with_names(model.spec.plan))})
    return JobDocument(
        found.name, checked, Where(found.raw.file, found.raw.line), without_literals(_document(found, spec))
    )


def _plan(found: Candidate, spec: dict[str, Any], given: object) -> list[Any]:
    """The items, those that have errors by their names alone."""
    items = given if isinstance(given, list) and given else [{}]
    if _model(found, {**spec, "plan": items}) is not None:
        return items
    kept = [item if _model(found, {**spec, "plan": [item]}) is not None else _stand_in(item) for item in items]
    return kept if _model(found, {**spec, "plan": kept}) is not None else [_stand_in({})]


def _distinct(plan: tuple[PlanItem, ...]) -> tuple[PlanItem, ...]:
    """Of items of one name the first: nobody could tell them apart."""
    return tuple({item.name: item for item in reversed(plan)}.values())[::-1]


def _stand_in(item: object) -> dict[str, Any]:
    name = item.get("name") if isinstance(item, dict) else None
    return {**({"name": name} if isinstance(name, str) else {}), "secret": {"key": UNKNOWN}}


def _document(found: Candidate, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": _API, "kind": _KIND, "metadata": {"name": found.name}, "spec": spec}


def _model(found: Candidate, spec: dict[str, Any]) -> SyncJob | None:
    # Whatever stands in a document that has errors, no kind of it may keep the others from being shown.
    with contextlib.suppress(ValidationError, ValueError, TypeError, RecursionError):
        model = validate(SyncJob, _document(found, spec), found.raw)
        return model if isinstance(model, SyncJob) else None
    return None


def _mapping(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}
