"""Which code locations of an instance are loaded, and which assets each of them has: signs that they keep renewing.

Neither a run nor a sensor's tick can ask Dagster for that. So it is kept in the instance, as dynamic partitions of no
asset: small, documented, shared by all programs, and added and deleted one by one, so that nobody overwrites another's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import dagster as dg

HOLDS_SECONDS = 300
"""For so long after its last renewal a sign holds: a code location that is gone is forgotten then."""

_RENEWED_SECONDS = 30
_KEPT_SECONDS = 86400
_SIGNS = "secretsync_code_locations"
_ASSETS = "secretsync_code_location_assets"
_PER_ROW = 128
"""How many assets a row has. PostgreSQL indexes no text of more than 2.7 kB."""


@dataclass(frozen=True)
class _Sign:
    """A code location was loaded, and had the assets of a digest, at a time in whole seconds since 1970."""

    seen: int
    digest: str
    scope: str
    location: str

    @property
    def text(self) -> str:
        """As it is kept. MySQL tells texts apart by their first 64 characters: time and digest come first."""
        # Dagster refuses three dots and control characters.
        return f"{self.seen} {self.digest} {self.scope or '-'} {quote(self.location, safe='').replace('.', '%2E')}"


def mark_of(key: dg.AssetKey) -> str:
    """An asset's key in twelve characters."""
    return sha256(key.to_string().encode()).hexdigest()[:12]


def renew_sign(
    instance: dg.DagsterInstance, location: str, scope: str, keys: Iterable[dg.AssetKey], *, newest: bool
) -> None:
    """Note that a code location is loaded, and which assets its documents of a scope have.

    Costs one read unless the sign is half a minute old or the assets are others. Raises what the instance's storage
    raises, also where another process adds the same sign at the same moment.

    Args:
        instance: keeps the signs.
        location: ``repository@location``.
        scope: of the documents, where the location has several sets of them.
        keys: the assets.
        newest: whether the documents are those that are loaded now, so that any other sign is out of date. A run may
            have begun before they were reloaded; it has its assets until it ends.
    """
    marks = sorted(mark_of(key) for key in keys)
    digest = sha256(" ".join([location, scope, *marks]).encode()).hexdigest()[:16]
    now = int(time.time())
    current = _Sign(now - now % _RENEWED_SECONDS, digest, scope, location)
    signs = list(_signs(instance))
    mine = [sign for sign in signs if (sign.location, sign.scope) == (location, scope)]
    if not newest:
        mine = [sign for sign in mine if sign.digest == digest]
    if any(sign.seen >= current.seen for sign in mine) and {sign.digest for sign in mine} == {digest}:
        return
    # The assets first: a sign without them would say that there are none.
    rows = [f"{digest} {at} {' '.join(marks[at : at + _PER_ROW])}" for at in range(0, len(marks), _PER_ROW)]
    if rows:
        instance.add_dynamic_partitions(_ASSETS, rows)
    instance.add_dynamic_partitions(_SIGNS, [current.text])
    outdated = [sign for sign in mine if sign != current]
    outdated += [sign for sign in signs if sign.seen < now - _KEPT_SECONDS and sign not in mine]
    _delete(instance, outdated, kept=[current, *(sign for sign in signs if sign not in outdated)])


def assets_by_location(instance: dg.DagsterInstance) -> dict[str, set[str]]:
    """The marks of the assets of each code location whose sign holds, by ``repository@location``."""
    try:
        since = time.time() - HOLDS_SECONDS
        holding = [sign for sign in _signs(instance) if sign.seen >= since]
        rows = instance.get_dynamic_partitions(_ASSETS) if holding else ()
    except NotImplementedError:
        return {}  # an instance that keeps no dynamic partitions
    marks: dict[str, set[str]] = {}
    for row in rows:
        digest, _, *found = row.split(" ")
        marks.setdefault(digest, set()).update(found)
    held: dict[str, set[str]] = {}
    for sign in holding:
        held.setdefault(sign.location, set()).update(marks.get(sign.digest, ()))
    return held


def _signs(instance: dg.DagsterInstance) -> Iterator[_Sign]:
    for text in instance.get_dynamic_partitions(_SIGNS):
        seen, digest, scope, location = text.split(" ")
        yield _Sign(int(seen), digest, scope.removeprefix("-"), unquote(location))


def _delete(instance: dg.DagsterInstance, signs: Collection[_Sign], *, kept: Collection[_Sign]) -> None:
    """Delete signs, and the rows of assets that none of those ``kept`` needs."""
    for sign in signs:
        instance.delete_dynamic_partition(_SIGNS, sign.text)
    gone = {sign.digest for sign in signs} - {sign.digest for sign in kept}
    if gone:
        for row in instance.get_dynamic_partitions(_ASSETS):
            if row.partition(" ")[0] in gone:
                instance.delete_dynamic_partition(_ASSETS, row)
