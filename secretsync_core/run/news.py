"""Whether what was seen of a job's sources is news: worth a run now, or acted on already."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from secretsync_core.run.watch import Sight

AGAIN_SECONDS = 600.0
"""What was acted on and is still not in place is tried again after so long, and not at every look."""


class Acted(NamedTuple):
    """The digest of an item that was last acted on, and when, in seconds since the epoch."""

    digest: str | None
    at: float


def news(sight: Sight, acted: Mapping[str, Acted], now: float) -> list[str]:
    """The touched items that a run should have now, sorted: not seen so before, or acted on long enough ago.

    What only a sync can tell, because its source has no versions, is always news.
    """
    return sorted(item for item, digest in sight.touched.items() if _is_news(digest, acted.get(item), now))


def _is_news(digest: str | None, acted: Acted | None, now: float) -> bool:
    return digest is None or acted is None or acted.digest != digest or now - acted.at > AGAIN_SECONDS


def remember(sight: Sight, acted: Mapping[str, Acted], fresh: Collection[str], now: float) -> dict[str, Acted]:
    """What has been acted on once a run of the ``fresh`` items is asked for.

    Items that are in place are forgotten, unless something could not be seen: that says nothing of them.
    """
    kept = {item: one for item, one in acted.items() if sight.errors or item in sight.touched}
    return kept | {item: Acted(sight.touched[item], now) for item in fresh}
