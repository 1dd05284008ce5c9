"""What documents alone show of jobs that read what they write, or write what another job writes.

Stores are compared by their places, and keys by their addresses there. Of a query nothing is known but what it would
do with a key in its folder, so two such keys are tried; where they tell nothing, nothing is said, and ``plan`` finds
out with the real ones.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from secretsync_core.errors import TransformFailed
from secretsync_core.model.place import place_of_name
from secretsync_core.schema.documents import JobDocument, StoreDocument
from secretsync_core.schema.keys import KeyMapper, QueryMatcher, folder
from secretsync_core.schema.providers import ProviderProblem, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from secretsync_core.model.place import Place
    from secretsync_core.schema.candidates import Candidate
    from secretsync_core.schema.job import PlanItem, QuerySelector, SecretSelector, SyncJobSpec

Server: TypeAlias = tuple[str, str]
"""A service, and which one: two places with the same one are on one server, as far as documents tell."""

_SHOWN = 3
"""How many other jobs a problem names."""

_SAMPLES = ("x", "y", "x/y")
"""Keys below a query's folder that might be there."""


class _Job(NamedTuple):
    found: Candidate
    name: str
    spec: SyncJobSpec


class _Write(NamedTuple):
    """A key that an item writes: ``source_key`` under its new name."""

    job: _Job
    item: int
    dest: str
    key: str
    source_key: str


class _Read(NamedTuple):
    """A source of an item, in a store: a query, or a single key where there is no ``matcher``."""

    job: _Job
    item: int
    store: str
    matcher: QueryMatcher | None = None


class _Reads:
    """Who reads what, by address."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = places
        self._keys: defaultdict[tuple[Server, str], list[_Read]] = defaultdict(list)
        self._queries: defaultdict[tuple[Server, str], list[_Read]] = defaultdict(list)
        self._lengths: defaultdict[Server, set[int]] = defaultdict(set)

    def add(self, job: _Job, servers: set[Server]) -> None:
        """Note what a job reads on these servers."""
        for index, item in enumerate(job.spec.plan):
            store = item.source or job.spec.source
            place = self._places.get(store)
            if place is None or _server(place) not in servers:
                continue
            for secret, query in _selectors(item):
                if secret is not None:
                    self._keys[_server(place), place.root + secret.key].append(_Read(job, index, store))
                elif query is not None:
                    begins = place.root + folder(query.path)
                    read = _Read(job, index, store, QueryMatcher(query))
                    self._queries[_server(place), begins].append(read)
                    self._lengths[_server(place)].add(len(begins))

    def of(self, write: _Write, *, known: bool) -> Iterator[tuple[_Read, str]]:
        """Who reads what is written, and what it is called there. Single keys count only for a ``known`` key."""
        place = self._places[write.dest]
        server, address = _server(place), place.root + write.key
        reads = list(self._keys.get((server, address), ())) if known else []
        for length in self._lengths.get(server, ()):
            reads += self._queries.get((server, address[:length]), ())
        for read in reads:
            named = self._places[read.store].key_at(place, write.key)
            if named is not None and (read.matcher is None or read.matcher.reaches(named)):
                yield read, named


def check_overlaps(candidates: Sequence[Candidate]) -> None:
    """Note at the jobs what they would read of their own, what two of them write, and which are opposite."""
    places = {store.name: _place(found, store) for found in candidates if (store := _store(found)) is not None}
    jobs = [
        _Job(found, found.document.name, found.document.spec)
        for found in candidates
        if isinstance(found.document, JobDocument)
    ]
    for job in jobs:
        _check_twins(job, places)
    known = {job.found: _known_writes(job, places) for job in jobs}
    _written_twice([write for writes in known.values() for write in writes], places)
    read = {_server(places[name]) for job in jobs for name in _sources(job) if name in places}
    servers = read & {_server(places[name]) for job in jobs for name in job.spec.dest if name in places}
    if not servers:
        return
    reads = _Reads(places)
    for job in jobs:
        reads.add(job, servers)
    passes: dict[tuple[str, str], tuple[_Job, _Job]] = {}  # who writes what whom reads
    for job in jobs:
        if not any(_server(places[name]) in servers for name in job.spec.dest if name in places):
            continue
        for write in known[job.found]:
            _note(list(reads.of(write, known=True)), write, passes, places, sample=False)
        for index in range(len(job.spec.plan)):
            _try_samples(job, index, places, reads, passes)
    for writer, reader in passes.values():
        if (reader.name, writer.name) in passes:
            _opposite(writer, reader)


def _try_samples(
    job: _Job, index: int, places: Mapping[str, Place], reads: _Reads, passes: dict[tuple[str, str], tuple[_Job, _Job]]
) -> None:
    """Say what becomes of keys below the item's query, where all of those that it selects come to the same."""
    agreed: dict[tuple[str, str, int, str], tuple[_Write, _Read, str]] | None = None
    writes = _sample_writes(job, index, places)
    for sample in sorted({write.source_key for write in writes}):
        found = {
            (write.dest, read.job.name, read.item, read.store): (write, read, named)
            for write in writes
            if write.source_key == sample
            for read, named in reads.of(write, known=False)
        }
        agreed = found if agreed is None else {where: agreed[where] for where in agreed if where in found}
    for write, read, named in (agreed or {}).values():
        _note([(read, named)], write, passes, places, sample=True)


def _note(
    found: Iterable[tuple[_Read, str]],
    write: _Write,
    passes: dict[tuple[str, str], tuple[_Job, _Job]],
    places: Mapping[str, Place],
    *,
    sample: bool,
) -> None:
    for read, named in found:
        if read.job.found is not write.job.found:
            passes[write.job.name, read.job.name] = write.job, read.job
            continue
        one, other = (_name(write.job, index) for index in (write.item, read.item))
        where = f"as {named} in {read.store}" if read.store != write.dest or named != write.key else "there"
        becomes = f"{write.source_key} becomes {write.key}" if sample else f"{write.key} is written"
        alias = (
            ""
            if read.store == write.dest
            else f" {read.store} and {write.dest} are at {places[read.store]._replace(identity='')}."
        )
        hint = (
            "Give the copies another prefix, or leave them out of the query with key.exclude."
            if read.matcher is not None
            else "Give the copy another key with keyTransform, or another destination."
        )
        write.job.found.problem(
            ("spec", "plan", write.item),
            f"the job would copy its own copies: by item {one} {becomes} in {write.dest},"
            f" and item {other} reads it {where}",
            hint + alias,
        )


def _opposite(job: _Job, other: _Job) -> None:
    job.found.problem(
        ("spec", "dest"),
        f"SyncJob {other.name} copies the other way ({other.found.where()}): each may copy what the other has copied",
        "Keep their keys apart, by folders, prefixes or key.exclude, unless this is meant.",
        warning=True,
    )


def _written_twice(writes: Iterable[_Write], places: Mapping[str, Place]) -> None:
    by_address: defaultdict[tuple[Server, str], list[_Write]] = defaultdict(list)
    for write in writes:
        place = places[write.dest]
        by_address[_server(place), place.root + write.key].append(write)
    for same in by_address.values():
        if len(same) > 1:
            _within_jobs(same, places)
            _between_jobs(same)


def _between_jobs(same: Sequence[_Write]) -> None:
    """Note at every job which other ones write the same; of one that takes over and one that does not, nothing."""
    by_job = {write.job.found: write for write in reversed(same)}
    for taking_over in (False, True):
        rivals = [write for write in by_job.values() if _adopts(write) is taking_over]
        for write in rivals if len(rivals) > 1 else ():
            others = [each for each in rivals[:_SHOWN] if each is not write] or rivals[1:2]
            told = ", ".join(
                f"{each.job.name} ({each.job.found.where(('spec', 'plan', each.item))})" for each in others
            )
            more = len(rivals) - 1 - len(others)
            write.job.found.problem(
                ("spec", "plan", write.item),
                f"{write.key} in {write.dest} is written by SyncJob {told}{f' and {more} more' if more else ''} too",
                "Give the key one job; ownership.adopt, on one of them, takes it over.",
            )


def _check_twins(job: _Job, places: Mapping[str, Place]) -> None:
    """Note at a destination that one before it is the same place."""
    dests = [dest for dest in dict.fromkeys(job.spec.dest) if dest in places]
    for index, dest in enumerate(dests):
        twin = next((before for before in dests[:index] if places[before].is_same(places[dest])), None)
        if twin is not None:
            job.found.problem(
                ("spec", "dest", job.spec.dest.index(dest)),
                f"spec.dest names {twin} and {dest}, which are one place: {places[dest]._replace(identity='')}",
                "Name one of them.",
            )


def _within_jobs(same: Sequence[_Write], places: Mapping[str, Place]) -> None:
    """Note at each second item or destination of a job that the first one writes the same."""
    first: dict[Candidate, _Write] = {}
    for write in same:
        job, before = write.job, first.setdefault(write.job.found, write)
        if write.item != before.item:
            line = job.found.raw.positions.line(("spec", "plan", before.item))
            message = f"{write.key} in {write.dest} is written by item {_name(job, before.item)} too"
            job.found.problem(("spec", "plan", write.item), message, f"Give each key one item; see line {line}.")
        elif write.dest != before.dest and not places[write.dest].is_same(places[before.dest]):
            job.found.problem(
                ("spec", "dest", job.spec.dest.index(write.dest)),
                f"spec.dest names {before.dest} and {write.dest}, where {before.key} and {write.key} are one secret",
                "Name one of them.",
            )


def _known_writes(job: _Job, places: Mapping[str, Place]) -> list[_Write]:
    """What the document alone says that a job writes."""
    writes = []
    for index, item in enumerate(job.spec.plan):
        if item.combine is not None:
            source, key = item.key or "", item.key
        elif item.secret is not None and item.split is None:
            source, key = item.secret.key, _mapped(item, item.secret.key)
        else:
            continue
        if key:
            writes += [_Write(job, index, dest, key, source) for dest in dict.fromkeys(job.spec.dest) if dest in places]
    return writes


def _sample_writes(job: _Job, index: int, places: Mapping[str, Place]) -> list[_Write]:
    """What becomes of keys that the query of an item, which does not combine, would select."""
    item = job.spec.plan[index]
    here = places.get(item.source or job.spec.source)
    if item.query is None or here is None:
        return []
    matcher, writes = QueryMatcher(item.query), []
    for sample in _samples(item.query, matcher):
        source = f"{sample}/x" if item.split is not None else sample
        key = _mapped(item, source) if matcher.reaches(sample) else None
        if not key:
            continue
        # A sample that a transform leaves alone tells nothing of the keys that it is for.
        told = [
            dest
            for dest in dict.fromkeys(job.spec.dest)
            if dest in places and (not item.key_transform or here.key_at(places[dest], key) != sample)
        ]
        writes += [_Write(job, index, dest, key, sample) for dest in told]
    return writes


def _samples(query: QuerySelector, matcher: QueryMatcher) -> list[str]:
    """Keys that the query's path stands for."""
    pattern = matcher.rule.pattern
    if not pattern.chooses:
        return [folder(query.path) + each for each in _SAMPLES]
    keys = [pattern.key_with(letter) for letter in ("x", "y")]
    if any(part.deep for part in pattern.folders):
        keys += [f"{pattern.folder_with('x')}x/{pattern.name.filled('y')}"]
    return list(dict.fromkeys(key for key in keys if pattern.matches(key)))


def _mapped(item: PlanItem, key: str) -> str | None:
    try:
        return KeyMapper(item.key_transform, item=item.name or "").map(key)
    except TransformFailed:
        return None


def _selectors(item: PlanItem) -> list[tuple[SecretSelector | None, QuerySelector | None]]:
    parts = item.combine if item.combine is not None else (item,)
    return [(part.secret, part.query) for part in parts]


def _sources(job: _Job) -> set[str]:
    return {item.source or job.spec.source for item in job.spec.plan}


def _adopts(write: _Write) -> bool:
    own = write.job.spec.plan[write.item].ownership
    return own.adopt if own is not None else write.job.spec.ownership.adopt


def _name(job: _Job, item: int) -> str:
    return job.spec.plan[item].name or ""


def _server(place: Place) -> Server:
    return place.service, place.identity or place.server


def _store(found: Candidate) -> StoreDocument | None:
    return found.document if isinstance(found.document, StoreDocument) else None


def _place(found: Candidate, store: StoreDocument) -> Place:
    try:
        place = place_of(store.provider, store.config)
    except ProviderProblem as problem:
        found.problem(("spec", "provider", store.provider), problem.message, problem.hint, warning=True)
        place = None
    return place or place_of_name(store.name)
