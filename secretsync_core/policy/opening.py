"""The check of one store right before it is opened, in whatever process that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import PolicyDenied
from secretsync_core.policy.bounds import bounds_of
from secretsync_core.schema.positions import dotted
from secretsync_core.schema.providers import ProviderProblem, uses_of_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.policy.bounds import Bounds
    from secretsync_core.schema.documents import StoreDocument


def within_bounds(document: StoreDocument, environ: Mapping[str, str], state: Sequence[str]) -> Bounds:
    """The bounds that a store is opened within. Raises PolicyDenied where its document goes beyond them."""
    bounds = bounds_of(environ, state)
    where = f"{document.where.file}:{document.where.line}"
    bounds.check(bounds.judge_store(document), document.name, f"the store at {where}")
    try:
        uses = uses_of_store(document.provider, document.config)
    except ProviderProblem as problem:
        raise PolicyDenied(
            f"{document.name}: {problem.message}, so nobody can tell whether it is permitted",
            store=document.name, hint=problem.hint,
        ) from None  # fmt: skip
    for use in uses:
        path = dotted(("spec", "provider", document.provider, *use.path))
        bounds.check(bounds.judge(use), document.name, f"{path} of the document at {where}")
    return bounds
