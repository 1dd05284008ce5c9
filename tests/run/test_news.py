"""What was seen of a job's sources is acted on once, and again only after a while."""

from __future__ import annotations

import pytest

from secretsync_core.model.report import ItemError
from secretsync_core.run.news import AGAIN_SECONDS, Acted, news, remember
from secretsync_core.run.watch import Sight

NOW = 1e9
HIDDEN = [ItemError("b", "access-denied", "no", "", 3)]


@pytest.mark.parametrize(
    ("digest", "acted", "is_news"),
    [
        ("x", None, True),
        ("x", Acted("y", NOW), True),
        ("x", Acted("x", NOW), False),
        ("x", Acted("x", NOW - AGAIN_SECONDS), False),
        ("x", Acted("x", NOW - AGAIN_SECONDS - 1), True),
        (None, Acted(None, NOW), True),
    ],
)
def test_what_is_news(digest: str | None, acted: Acted | None, is_news: bool) -> None:
    """The same sight is none until it was acted on long ago; what has no versions always is."""
    assert news(Sight({"a": digest}, []), {"a": acted} if acted else {}, NOW) == (["a"] if is_news else [])


def test_items_are_told_in_order() -> None:
    """And each by itself."""
    assert news(Sight({"c": "x", "a": "x", "b": "x"}, []), {"b": Acted("x", NOW)}, NOW) == ["a", "c"]


def test_what_is_in_place_is_forgotten() -> None:
    """So that the same sight is news when it comes again; what is still touched keeps its time."""
    acted = {"a": Acted("x", 1.0), "b": Acted("x", 2.0)}
    assert remember(Sight({"a": "x", "c": "z"}, []), acted, ["c"], NOW) == {"a": acted["a"], "c": Acted("z", NOW)}
    assert remember(Sight({"a": "y"}, []), acted, ["a"], NOW) == {"a": Acted("y", NOW)}


def test_what_cannot_be_seen_is_not_forgotten() -> None:
    """An item may be untouched just because nobody could look."""
    acted = {"a": Acted("x", 1.0), "b": Acted("x", 2.0)}
    assert remember(Sight({"a": "x"}, HIDDEN), acted, [], NOW) == acted
