"""Whether what a SecretStore wants beside every secret leaves room for the ownership mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.metadata_rules import MOST_CUSTOM, MOST_TAGS
from secretsync_core.schema.documents import JobDocument, StoreDocument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.schema.candidates import Candidate

_FULL = (
    # The field of a store's configuration, as in Python and in YAML; how many fit; whether a mark costs no request.
    ("tags", "tags", MOST_TAGS, True),
    ("custom_metadata", "customMetadata", MOST_CUSTOM, False),
)


def check_room(candidates: Sequence[Candidate], stores: Mapping[str, Candidate]) -> None:
    """Note a problem at each SecretStore that has as many tags as fit, where a job needs one more for its mark."""
    told: set[str] = set()
    for found in candidates:
        if not isinstance(found.document, JobDocument):
            continue
        mark = found.document.spec.ownership.mark
        for dest in found.document.spec.dest:
            target = stores.get(dest)
            if target is None or dest in told or not isinstance(target.document, StoreDocument):
                continue
            for name, alias, most, is_free in _FULL:
                given = getattr(target.document.config, name, None)
                marks = mark is True or (mark is None and is_free)
                if marks and isinstance(given, dict) and len(given) == most:
                    told.add(dest)
                    target.problem(
                        ("spec", "provider", target.document.provider, alias),
                        f"{alias} has {most} entries, as many as fit, and the mark of SyncJob {found.name} needs one",
                        "Remove one, or set ownership: {mark: false} in the SyncJob.",
                    )
