"""What would cross a network unencrypted: an ``http://`` address of any kind of store that is not on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.hosts import is_plain_http
from secretsync_core.schema.documents import StoreDocument
from secretsync_core.schema.named import Kind
from secretsync_core.schema.providers import ProviderProblem, uses_of_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from secretsync_core.schema.candidates import Candidate
    from secretsync_core.schema.named import Use
    from secretsync_core.schema.positions import Path

MESSAGE = "the address is not https: tokens and secrets would cross the network unencrypted"
HINT = "Use https://, with tls.caFile for a private CA."


def warn_of_plain_http(candidates: Sequence[Candidate]) -> None:
    """Note a warning at each store with such an address, at the first of them."""
    for found in candidates:
        if isinstance(found.document, StoreDocument):
            try:
                uses = uses_of_store(found.document.provider, found.document.config)
            except ProviderProblem as problem:
                found.problem(("spec", "provider"), problem.message, problem.hint)
                continue
            if (path := plain_http_of(found.document, uses)) is not None:
                found.problem(path, MESSAGE, HINT, warning=True)


def plain_http_of(store: StoreDocument, uses: Iterable[Use]) -> Path | None:
    """The first field of a store with such an address."""
    for use in uses:
        if use.kind is Kind.HOST and is_plain_http(use.text):
            return ("spec", "provider", store.provider, *use.path)
    return None
