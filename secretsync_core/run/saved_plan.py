"""A plan as a file: what is in it, who signed it, and whether it still fits. See docs/design/0014-saved-plans.md.

Lines of JSON, names and versions alone. The first line holds the format and the signature of all that follows; the
second what the plan is bound to; and then comes one line for each key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from secretsync_core import __version__
from secretsync_core.errors import PlanRefused
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.run.options import Options
from secretsync_core.run.pins import Named, Pins, is_kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.run.pins import Place
    from secretsync_core.schema.documents import Documents, JobDocument

FORMAT = 1
MAX_AGE = 7 * 86_400
"""Seconds after which a plan is too old to be carried out."""

_AHEAD = 300  # seconds that two machines' clocks may differ
_AGAIN = "make a new plan with `secretsync plan --out FILE`"


class SavedJob(NamedTuple):
    """One job of a saved plan.

    Attributes:
        job: its name.
        head: the number and the hash of the last record that the ledger had of it; 0 and nothing where it had none.
        documents: HMACs of the job's document and of its stores', by kind and name.
        options: what was asked of the plan, and is to be asked of the run.
    """

    job: str
    head: tuple[int, str]
    documents: Mapping[str, str]
    options: Mapping[str, Any]


class SavedPlan(NamedTuple):
    """A plan that was read and whose signature holds; ``digest`` is the SHA-256 of its file, ``made`` in seconds."""

    digest: str
    made: float
    jobs: tuple[SavedJob, ...]
    changes: Mapping[str, Mapping[Place, Change]]
    named: Mapping[str, Mapping[Place, Named]]

    def options_of(self, job: SavedJob, key: bytes) -> Options:
        """What to ask of the run that carries out one job of the plan."""
        told = job.options
        return Options(
            frozenset(told["items"]),
            told["verify"],
            max_delete=told["maxDelete"],
            adopt=frozenset(told["adopt"]),
            restored=frozenset(told["restored"]),
            pins=Pins(self.digest, self.changes.get(job.job, {}), self.named.get(job.job, {}), key),
        )


# -- Making -----------------------------------------------------------------------------------------------------------


def bind(job: JobDocument, documents: Documents, ledger: Ledger | None, options: Options, key: bytes) -> SavedJob:
    """What a plan of a job is bound to. To be asked before the plan is made: what happens later, it has not seen."""
    return SavedJob(
        job.name,
        _head(ledger, job.name),
        _documents(job, documents, key),
        {
            "items": sorted(options.items),
            "verify": options.verify,
            "maxDelete": options.max_delete,
            "adopt": sorted(options.adopt),
            "restored": sorted(options.restored),
        },
    )


class Content(NamedTuple):
    """What a plan says of one job: what it is bound to, every change, and names of values by place."""

    bound: SavedJob
    changes: Sequence[Change]
    named: Mapping[Place, Named]


def seal(contents: Sequence[Content], key: bytes) -> bytes:
    """The file of a plan, signed with ``key`` (``KeyPair.plan``)."""
    body = b"".join(_lines(contents))
    sign = {"secretsyncPlan": FORMAT, "signature": _signature(body, key)}
    return orjson.dumps(sign, option=orjson.OPT_APPEND_NEWLINE) + body


def digest_of(data: bytes) -> str:
    """What a plan is called: the hex SHA-256 of its file."""
    return hashlib.sha256(data).hexdigest()


def _lines(contents: Sequence[Content]) -> Iterator[bytes]:
    frame = {
        "version": __version__,
        "made": time.time(),
        "jobs": [
            {"job": saved.job, "head": saved.head, "documents": saved.documents, "options": saved.options}
            for saved, _, _ in contents
        ],
    }
    yield orjson.dumps(frame, option=orjson.OPT_APPEND_NEWLINE)
    for saved, changes, named in contents:
        for change in changes:
            if is_kept(change):
                line = _to_line(saved.job, change, named.get((change.dest, change.key)))
                yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _to_line(job: str, change: Change, named: Named | None) -> dict[str, Any]:
    line: dict[str, Any] = {
        "job": job,
        "action": change.action,
        "dest": change.dest,
        "key": change.key,
        "reason": change.reason,
        "item": change.item,
        "sources": [list(ref) for ref in change.sources],
        "sourceVersion": change.source_version,
        "destVersion": change.dest_version,
        "definition": change.definition,
    }
    if change.adopt:
        line["adopt"] = True
    if change.holder is not None:
        line["holder"] = list(change.holder)
    if change.metadata:
        line["metadata"] = list(change.metadata)
    if named is not None:
        line["values"] = list(named)
    return line


# -- Reading ----------------------------------------------------------------------------------------------------------


def unseal(data: bytes, keys: Sequence[bytes], *, now: float | None = None) -> SavedPlan:
    """A plan from its file; ``keys`` are the key that signs, and after it the former ones, which sign no more.

    Raises PlanRefused where it is no such file, was changed, or was made by another version or at another time.
    """
    first, _, body = data.partition(b"\n")
    sign = _parsed(first)
    if not isinstance(sign, dict) or "secretsyncPlan" not in sign:
        raise _refused("it is not a SecretSync plan")
    if sign["secretsyncPlan"] != FORMAT:
        raise _refused("another version of SecretSync made it")
    if not _is_signed(sign.get("signature"), body, keys[0]):
        if any(_is_signed(sign.get("signature"), body, key) for key in keys[1:]):
            raise _refused("the ledger's key was replaced since it was made")
        raise _refused("it was changed, or made with another ledger: its signature does not match this ledger's key")
    frame, *lines = (orjson.loads(line) for line in body.splitlines())
    if frame["version"] != __version__:
        raise _refused(f"SecretSync {frame['version']} made it, and this is {__version__}")
    age = (time.time() if now is None else now) - frame["made"]
    if age > MAX_AGE:
        raise _refused(f"it is {int(age // 86_400)} days old, and a plan expires after {MAX_AGE // 86_400}")
    if age < -_AHEAD:
        raise _refused("it is from the future: the clock of this machine, or of the one that made it, is wrong")
    changes: dict[str, dict[Place, Change]] = {}
    named: dict[str, dict[Place, Named]] = {}
    for line in lines:
        change = _to_change(line)
        changes.setdefault(line["job"], {})[change.dest, change.key] = change
        if "values" in line:
            named.setdefault(line["job"], {})[change.dest, change.key] = Named(*line["values"])
    jobs = (SavedJob(job["job"], tuple(job["head"]), job["documents"], job["options"]) for job in frame["jobs"])
    return SavedPlan(digest_of(data), frame["made"], tuple(jobs), changes, named)


def check(plan: SavedPlan, documents: Documents, ledger: Ledger | None, key: bytes) -> None:
    """Raise PlanRefused, with every reason, where a plan's documents or its ledger are others by now.

    ``ledger`` is None where there is none yet.
    """
    reasons = [reason for saved in plan.jobs for reason in _faults(saved, documents, ledger, key)]
    if reasons:
        raise PlanRefused([f"the saved plan cannot be used: {reason}" for reason in dict.fromkeys(reasons)], hint=_HINT)


_HINT = f"nothing was done; {_AGAIN}"


def _faults(saved: SavedJob, documents: Documents, ledger: Ledger | None, key: bytes) -> Iterator[str]:
    job = documents.jobs.get(saved.job)
    if job is None:
        yield f"the documents have no SyncJob {saved.job} any more"
        return
    now = _documents(job, documents, key)
    for name in dict.fromkeys((*saved.documents, *now)):
        if name not in now or name not in saved.documents:
            yield f"{name} is was {'added to' if name in now else 'removed from'} the documents of SyncJob {saved.job}"
        elif not hmac.compare_digest(saved.documents[name], now[name]):
            kind, _, called = name.partition(" ")
            where = (documents.jobs if kind == "SyncJob" else documents.stores)[called].where
            yield f"the document of {name} was changed since ({where.file}:{where.line})"
    seq, digest = saved.head
    if not seq:
        if _head(ledger, saved.job)[0]:
            yield f"the ledger had nothing of SyncJob {saved.job} when it was made, and has something now"
    elif ledger is None or ledger.hash_at(saved.job, seq) != digest:
        yield f"this ledger has no record {seq} of SyncJob {saved.job}: another one has, or a later copy"


def _to_change(line: Mapping[str, Any]) -> Change:
    return Change(
        line["item"],
        line["dest"],
        line["key"],
        Action(line["action"]),
        Reason(line["reason"]),
        tuple(SourceRef(*ref) for ref in line["sources"]),
        line["sourceVersion"],
        line["destVersion"],
        line["definition"],
        drift=Drift.NONE,
        adopt=line.get("adopt", False),
        holder=tuple(line["holder"]) if "holder" in line else None,
        metadata=tuple(line.get("metadata", ())),
    )


def _parsed(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _refused(why: str) -> PlanRefused:
    return PlanRefused([f"the saved plan is refused: {why}"], hint=_HINT)


# -- What both are made of --------------------------------------------------------------------------------------------


def _signature(body: bytes, key: bytes) -> str:
    return hmac.digest(key, b"plan\0" + body, "sha256").hex()


def _is_signed(signature: object, body: bytes, key: bytes) -> bool:
    return isinstance(signature, str) and hmac.compare_digest(signature.encode(), _signature(body, key).encode())


def _head(ledger: Ledger | None, job: str) -> tuple[int, str]:
    if ledger is None:
        return 0, ""
    last = next(iter(ledger.records(job=job, newest_first=True, limit=1)), None)
    return (last.seq, last.hash) if last is not None else (0, "")


def _documents(job: JobDocument, documents: Documents, key: bytes) -> dict[str, str]:
    """HMACs of what a job's documents say: a hash that anybody can make would tell a credential that stands in one."""
    spec = job.spec
    found = {f"SyncJob {job.name}": _name(spec.model_dump(mode="json"), job.where.file, key)}
    names = (spec.source, *(item.source for item in spec.plan), *spec.dest)
    for name in dict.fromkeys(name for name in names if name is not None):
        store = documents.stores[name]
        said = {
            "permissions": store.permissions,
            **({} if store.look is None else {"look": store.look}),
            "provider": store.provider,
            "config": store.config.model_dump(mode="json", fallback=lambda value: type(value).__name__),
        }
        found[f"SecretStore {name}"] = _name(said, store.where.file, key)
    return found


def _name(said: object, file: str, key: bytes) -> str:
    """The HMAC of what a document says. Of paths below it the rest counts: it may be checked out somewhere else."""
    base = str(Path(file).absolute().parent)  # as loading makes paths absolute
    text = orjson.dumps(_relative(said, base), option=orjson.OPT_SORT_KEYS)
    return hmac.digest(key, b"document\0" + text, "sha256").hex()


def _relative(said: object, base: str) -> object:
    if isinstance(said, dict):
        return {str(name): _relative(inner, base) for name, inner in said.items()}
    if isinstance(said, list | tuple):
        return [_relative(inner, base) for inner in said]
    if isinstance(said, str) and said.startswith(base + os.sep):
        return {"\0below": os.path.relpath(said, base)}  # in a form that no document has, so as to equal nothing else
    return said
