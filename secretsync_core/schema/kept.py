"""A SyncJob with its SecretStores as text, so that a run can have them as they were when it was asked for.

The text holds references to credentials and none itself: of documents in which one stands it holds a digest alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secretsync_core.schema.documents import JobDocument, StoreDocument, Where
from secretsync_core.schema.positions import Positions
from secretsync_core.schema.yaml_tree import RawDocument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsync_core.schema.documents import Documents

MOST_CHARACTERS = 200_000
"""How long the text of one SyncJob may be: longer ones are kept as a digest."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One SyncJob as it was.

    Attributes:
        job: its name.
        digest: tells whether another one is the same: of everything but comments, lines and credentials.
        where: where it stood.
        raws: what was read of it and its stores; None where only the digest was kept.
    """

    job: str
    digest: str
    where: Where
    raws: tuple[RawDocument, ...] | None


def digest_of(documents: Documents, job: str) -> str:
    """Tells a whole SyncJob and its stores apart from what they were, in 16 characters."""
    told = [
        [type(each).__name__, each.name, str(Path(each.where.file).parent), each.data]
        for each in _parts(documents, job)
    ]
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def keep(documents: Documents, job: str) -> str:
    """A whole SyncJob and its stores as text."""
    document = documents.jobs[job]
    head = {"job": job, "digest": digest_of(documents, job), "where": [document.where.file, document.where.line]}
    parts = list(_parts(documents, job))
    if not any(part.literal for part in parts):
        kept = [[part.where.file, part.where.line, _kept(part.data)] for part in parts]
        text = json.dumps({**head, "documents": kept})
        if len(text) <= MOST_CHARACTERS:
            return text
    return json.dumps(head)


def _kept(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a run needs of a document: annotations are for people, and of any length."""
    metadata = data["metadata"]
    return {**data, "metadata": {name: part for name, part in metadata.items() if name != "annotations"}}


def kept_of(text: str) -> Kept:
    """What :func:`keep` made a text of. Raises ValueError, KeyError or TypeError where something else made it."""
    found: dict[str, Any] = json.loads(text)
    file, line = found["where"]
    documents = found.get("documents")
    raws = None if documents is None else tuple(_raw(*each) for each in documents)
    return Kept(str(found["job"]), str(found["digest"]), Where(str(file), int(line)), raws)


def _raw(file: str, line: int, data: dict[str, Any]) -> RawDocument:
    return RawDocument(file, line, "", data, Positions({(): line}), whole=True)


def _parts(documents: Documents, job: str) -> Iterator[JobDocument | StoreDocument]:
    document = documents.jobs[job]
    yield document
    for name in sorted(stores_of(document)):
        yield documents.stores[name]


def stores_of(document: JobDocument) -> set[str]:
    """The names of the stores that a SyncJob needs."""
    spec = document.spec
    return {spec.source, *spec.dest, *(item.source for item in spec.plan if item.source is not None)}
