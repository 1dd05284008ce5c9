"""Where a directory is: its real path once it is open, its path by the document before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.place import place_of_text, text_of
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.file import PROVIDER, FileConfig, open_store
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from pathlib import Path

    from secretsync_core.model.place import Place


def _declared(path: Path | str) -> Place | None:
    assert PROVIDER.place is not None
    return PROVIDER.place(FileConfig(path=str(path)))


async def _opened(path: Path | str) -> Place | None:
    store = await open_store(FileConfig(path=str(path)), StoreContext("files", CountingGate(), {}, 2))
    await store.aclose()
    return store.facts.place


async def test_a_link_leads_to_the_same_place(tmp_path: Path) -> None:
    """Only the open store knows where a link leads; by the documents alone these are two."""
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    real, inner = await _opened(tmp_path / "real"), await _opened(tmp_path / "link" / "inner")
    assert real is not None
    assert inner is not None
    assert real == await _opened(tmp_path / "link") == await _opened(tmp_path / "real" / ".." / "real")
    assert real.key_at(inner, "a") == "inner/a"
    assert _declared(tmp_path / "real") == _declared(tmp_path / "x" / ".." / "real" / ".") == real
    assert _declared(tmp_path / "link") != real


async def test_a_path_is_told_as_a_line_or_not_at_all(tmp_path: Path) -> None:
    """The top of the tree ends in one slash, a neighbour's name that begins alike is no folder, and no line breaks."""
    top = _declared("/")
    assert top is not None
    assert top.root == "/"
    assert place_of_text(text_of(top)) == top
    one, two = _declared("/srv/a"), _declared("/srv/ab")
    assert one is not None
    assert two is not None
    assert not one.overlaps(two)
    assert await _opened(tmp_path / "a\tb") is None
    assert _declared("/" + "d/" * 1000) is None
