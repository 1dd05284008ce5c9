"""Builds plans from a few lines of YAML, and what the inventories say of their sources."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from secretsync_core.model.inventory import Entry
from secretsync_core.model.plan import Target
from secretsync_core.run.items import Item, JobPlan, build_plan
from secretsync_core.run.look import Taking
from secretsync_core.run.targets import Impossible, targets_of
from secretsync_core.schema.documents import JobDocument, Where
from secretsync_core.schema.job import SyncJob

if TYPE_CHECKING:
    from collections.abc import Collection


def job(plan: str | list[dict[str, Any]], **spec: Any) -> JobDocument:
    """A SyncJob from ``src`` to ``dst`` with this plan (YAML, or what YAML gives)."""
    items = yaml.safe_load(plan) if isinstance(plan, str) else plan
    document = {
        "apiVersion": "secretsync.io/v1alpha1",
        "kind": "SyncJob",
        "metadata": {"name": "job"},
        "spec": {"source": "src", "dest": "dst", **spec, "plan": items},
    }
    parsed = SyncJob.model_validate_json(json.dumps(document))
    return JobDocument("job", parsed.spec, Where("job.yaml", 1), {})


def plan_of(plan: str | list[dict[str, Any]], only: Collection[str] = (), **spec: Any) -> JobPlan:
    """The plan of :func:`job`."""
    return build_plan(job(plan, **spec), only)


def item_of(item: str, **spec: Any) -> Item:
    """The only item of a plan: a YAML mapping without its name, which is ``it``."""
    return plan_of([{"name": "it", **yaml.safe_load(item)}], **spec).items[0]


def listed(*keys: str, **more: Any) -> list[Entry]:
    """Entries of these keys, each at version 1."""
    return [Entry(key, "1", **more) for key in keys]


def made(item: Item, entries: list[Entry], *, found: Collection[str] = ()) -> list[Target | Impossible]:
    """What an item makes of a listing (offered to each of its queries) and of the single secrets that exist."""
    taking = Taking(item)
    for index, part in enumerate(item.parts):
        if part.query is not None:
            for entry in entries:
                taking.offer(index, entry)
        elif part.secret is not None:
            taking.resolve(index, Entry(part.secret.key, "1") if part.secret.key in found else None)
    return list(targets_of(taking.seen()))


def keys_of(item: Item, entries: list[Entry]) -> list[str]:
    """The destination keys that an item makes of a listing."""
    return [target.key for target in made(item, entries) if isinstance(target, Target)]
