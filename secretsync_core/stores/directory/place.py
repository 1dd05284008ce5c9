"""Where a directory is: its path, links resolved once it is open.

The machine is no part of it. A directory that several machines or pods mount is one place, and the names of pods change
with every run; a ledger that two machines share for a path of the same name on each has to be told so by other means.
All stores of files are of one service: what is written as one kind of file may be read as another.
"""

from __future__ import annotations

import os
from pathlib import Path

from secretsync_core.model.place import Place
from secretsync_core.stores.places import sound


def declared(path: str) -> str:
    """A path as the document names it: a link on the way is only seen when it is opened."""
    return os.path.normpath(Path(path).absolute())


def place_of_directory(path: str) -> Place | None:
    """The place of an absolute path."""
    return sound(Place("file", "", path.rstrip("/") + "/"))
