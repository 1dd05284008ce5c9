"""How backfills become runs: one run a SyncJob, or one for each stretch of its items, and never two SyncJobs in one.

Dagster puts assets with the same partitions and the same policy into one run. SyncJobs whose items have the same names
have the same partitions, so their policies have to differ: in a number of items that none of them reaches.
"""

from __future__ import annotations

import zlib
from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_dagster.catalog import Catalog

_ROOM = 1000
_SCOPES = 1_000_000  # so that no number exceeds what GraphQL takes as one


def backfill_policies(catalog: Catalog) -> Mapping[str, dg.BackfillPolicy]:
    """The policy of each SyncJob's asset: all of its items in one run, in words that no other one has."""
    same: Counter[tuple[str, ...]] = Counter()
    of_scope = (1 + zlib.crc32(catalog.scope.encode()) % _SCOPES) * _ROOM if catalog.scope else 0
    found = {}
    for job in catalog.jobs:
        partitions = tuple(catalog.partition_keys(job).values())
        number, same[partitions] = same[partitions], same[partitions] + 1
        if not of_scope and not number:
            found[job] = dg.BackfillPolicy.single_run()
        else:
            found[job] = dg.BackfillPolicy.multi_run(max(_ROOM, len(partitions)) + of_scope + number)
    return found
