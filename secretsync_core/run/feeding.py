"""Pure: what a job would read of what it writes.

A copy that a query selects is copied again by the next run, and so on without end. So every destination key is an
address (see :mod:`~secretsync_core.model.place`), and none may be one that a source of the same job stands for, by its
name or by a query; it need not be there yet. A query for metadata counts as selecting it, although a new copy carries
none but our mark: somebody may label it, the SecretStore's own labels or tags may be just those, and a secret that was
there before us keeps what it has.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.schema.keys import QueryMatcher, folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from secretsync_core.model.place import Place
    from secretsync_core.run.items import Item, Part


class Feeding(NamedTuple):
    """A destination key that an item would read: it is called ``source_key`` in ``source``."""

    key: str
    dest: str
    item: str
    source: str
    source_key: str

    def __str__(self) -> str:
        return (
            f"{self.key} in {self.dest}: item {self.item} would read it as a source ({self.source}: {self.source_key})"
        )


HINT = "give the copies a prefix that no query reaches, or exclude them from the query; nothing was written"


def find_feeding(
    items: Iterable[Item], places: Mapping[str, Place], dests: Iterable[str], keys: AbstractSet[str]
) -> list[Feeding]:
    """Every one of the destination ``keys`` that a source of the items would select.

    ``places`` are those of the open stores, by name. Costs nothing where no source overlaps a destination, and one look
    at each key for each two stores that do.
    """
    parts: defaultdict[str, list[tuple[Item, Part]]] = defaultdict(list)
    for item in items:
        for part in item.parts:
            parts[part.store].append((item, part))
    found: list[Feeding] = []
    for dest in dests:
        for source, reading in parts.items():
            if dest in places and source in places and places[dest].overlaps(places[source]):
                found += _between(dest, places[dest], source, places[source], reading, keys)
    return found


def _between(
    dest: str, there: Place, source: str, here: Place, reading: Iterable[tuple[Item, Part]], keys: AbstractSet[str]
) -> Iterator[Feeding]:
    queries: defaultdict[str, list[tuple[Item, QueryMatcher]]] = defaultdict(list)
    for item, part in reading:
        if part.query is not None:
            queries[folder(part.query.path)].append((item, QueryMatcher(part.query)))
        elif part.secret is not None and (key := there.key_at(here, part.secret.key)) in keys:
            yield Feeding(str(key), dest, item.name, source, part.secret.key)
    if not queries:
        return
    lengths = sorted({len(path) for path in queries})
    for key, named in _renamed(keys, there.root, here.root):
        for length in lengths:
            for item, matcher in queries.get(named[:length], ()):
                if matcher.reaches(named):
                    yield Feeding(key, dest, item.name, source, named)


def _renamed(keys: Iterable[str], there: str, here: str) -> Iterator[tuple[str, str]]:
    """Those of the keys below the root ``there`` that are also below ``here``, and what they are called from there."""
    if there.startswith(here):
        before = there[len(here) :]
        yield from ((key, before + key) for key in keys)
    else:
        beyond = here[len(there) :]
        yield from ((key, key[len(beyond) :]) for key in keys if key.startswith(beyond) and key != beyond)
