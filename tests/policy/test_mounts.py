"""Another mount of what is ours: a device and a number tell it, where its path does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from secretsync_core import protected
from secretsync_core.errors import InvalidSecret
from secretsync_core.protected import protect
from secretsync_core.stores.directory.folders import Folders


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that has the state's device and number, as another mount of it has; tests may not mount."""
    state, mount = tmp_path / ".secretsync", tmp_path / "data" / "mount"
    state.mkdir()
    (state / "ledger.key").write_text("the-key")
    (mount / "inner").mkdir(parents=True)
    known = os.stat

    def stat(file: str | int) -> tuple[int, int] | None:
        try:
            facts = known(state if file == str(mount) else file)
        except OSError:
            return None
        return facts.st_dev, facts.st_ino

    monkeypatch.setattr(protected, "_number", stat)
    return mount


def test_no_store_is_of_another_mount(mounted: Path) -> None:
    """A mount of the state directory, and a folder in one, are no directories for a store; one beside them is."""
    ours = protect({}, [str(mounted.parent.parent / ".secretsync")])
    for path in (mounted, mounted / "inner"):
        assert "by another mount" in ours.forbids_directory(str(path))
    assert ours.forbids_directory(str(mounted.parent)) == ""


def test_no_folder_of_a_store_is_another_mount(tmp_path: Path) -> None:
    """A folder below the root that is a protected directory is not gone into."""
    (tmp_path / "root" / "folder").mkdir(parents=True)
    folders = Folders(str(tmp_path / "root"), "files", protect({}, [str(tmp_path / "root" / "folder")]))
    with pytest.raises(InvalidSecret, match="by another name"), folders.open(["folder"]):
        pass
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    with pytest.raises(InvalidSecret), folders.open(["folder"]):
        pass
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before
