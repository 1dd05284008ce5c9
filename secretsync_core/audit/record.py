"""One line of the ledger: what it holds, and how its hash is made.

No column fits a value. Names, keys and versions say what was done; values are told apart by an HMAC alone.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import NamedTuple

import orjson

from secretsync_core.model.state import KeyState
from secretsync_core.model.versions import kept_version

__all__ = [
    "ASIDE",
    "GENESIS",
    "PLAN",
    "REOPENED",
    "UNDO",
    "Draft",
    "Event",
    "KeyState",
    "Record",
    "Requests",
    "kept",
    "record_hash",
]

Requests = tuple[tuple[str, str, int], ...]
"""Store, kind and how many requests of the kind were made to it, repeats included; sorted."""


UNDO = "undo"
"""The reason in the first record of a run that undoes another, and in its last one where all went well."""

PLAN = "plan"
"""The reason in the first record of a run that carries out a saved plan; its ``definition`` is the plan's digest."""

ASIDE = "orphans"
"""The reason in the first and the last record of a run that ends orphans: it says nothing of how the job stands."""


REOPENED = "reopened"
"""The reason in a ``run-started`` of which nothing began: a run that was taken over wrote late, and what became of that
is open again, under its id with ``:late`` behind it. The next run settles it."""


class Event(StrEnum):
    """What a record says."""

    RUN_STARTED = "run-started"
    RUN_FINISHED = "run-finished"
    INTENDED = "intended"  # recorded, and durable, before the write it announces
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class Draft(NamedTuple):
    """A record before the ledger gives it its place.

    Attributes:
        event: what it says.
        run: the run that says it.
        intent: joins an ``intended`` and its outcome: unique within the job. With ``run-started``, and the reason
            UNDO, the run that this one undoes.
        item, dest, key: the plan item, the destination SecretStore's name and the key there.
        action: ``create``, ``update`` or ``delete``.
        reason: a code (``[a-z-]*``) from ``model.change.Reason`` or an error's ``code``.
        source, source_key: the source SecretStore's name and the key there; empty where several are combined.
        source_version, dest_version: version tokens; for ``intended``, dest_version is the one expected before.
        definition: hex SHA-256 of what the item makes of its sources. With ``run-started``, and the reason PLAN, the
            hex SHA-256 of the file with the plan that this run carries out.
        fingerprint: hex HMAC-SHA256 of the value that is (or would be) in the destination.
        owned: this job created the key.
        fields: with Merge, the fields that are ours: hex HMACs of their names, 16 digits each, run together.
        counts: with ``run-finished``: results by name, as ``name=number`` separated by spaces.
        requests: with ``run-finished``: the run's requests. They stand in a table of their own, and the record's hash
            covers them.
    """

    event: Event
    run: str
    intent: str = ""
    item: str = ""
    dest: str = ""
    key: str = ""
    action: str = ""
    reason: str = ""
    source: str = ""
    source_key: str = ""
    source_version: str | None = None
    dest_version: str | None = None
    definition: str = ""
    fingerprint: str = ""
    owned: bool = False
    fields: str = ""
    counts: str = ""
    requests: Requests = ()


def kept(draft: Draft) -> Draft:
    """A draft as a record may say it now: an older ledger's may have versions of another form."""
    source, dest = kept_version(draft.source_version), kept_version(draft.dest_version)
    if (source, dest) == (draft.source_version, draft.dest_version):
        return draft
    return draft._replace(source_version=source, dest_version=dest)


class Record(NamedTuple):
    """A record in its place: the ``seq``-th (from 1) of its job's chain.

    ``time`` is microseconds since the epoch; ``previous`` and ``hash`` are hex SHA-256, the first record's
    ``previous`` being 64 zeros.
    """

    job: str
    seq: int
    time: int
    draft: Draft
    previous: str
    hash: str


GENESIS = "0" * 64


def record_hash(job: str, seq: int, time: int, draft: Draft, previous: str) -> str:
    """The hash of a record: hex SHA-256 over every column and the hash of the record before it.

    Requests are told where there are any: records from before there was such a thing keep their hash.
    """
    told = [previous, job, seq, time, *draft]
    if not told[-1]:
        del told[-1]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()
