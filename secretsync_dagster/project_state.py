"""Where the components of a Dagster project keep what is no code: beside the package, so that no wheel holds it.

A project is built into a wheel, and that into an image: whatever stands in the package goes along, to whoever may pull
it. So ledgers, their keys and the files of the example are in the project's root, in a folder that git and hatchling
leave alone. Up to version 0.1 they were beside each component's documents.
"""

from __future__ import annotations

import logging
import os
from shlex import quote
from typing import TYPE_CHECKING

from secretsync_core.audit import home
from secretsync_core.audit.home import DIRECTORY, LEDGER
from secretsync_core.audit.keys import FILE_NAME

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLES = f"{DIRECTORY}-example"
"""Not within ``DIRECTORY``, where no store may be."""

_log = logging.getLogger(__name__)


def home_of(root: Path, scope: str, documents: Path) -> Path:
    """The directory of a component's ledger and its key.

    Args:
        root: the project's.
        scope: tells components of a project apart.
        documents: where the component's documents are.

    A ledger beside the documents is used as long as there is none in the project's root, with a warning: only people
    can move it in safety.
    """
    new, old = root / DIRECTORY / scope, documents / DIRECTORY
    if old == new or not _has_state(old):
        return new
    if _has_state(new):
        _log.warning(
            "the ledger's key %s is in the package, so a wheel or an image of the project holds it, and the component "
            "uses the ledger in %s: remove the other one, or move it out of the package",
            old / FILE_NAME, new,
        )  # fmt: skip
        return new
    make, move = f"mkdir -m 700 -p {quote(str(new.parent))}", f"mv {quote(str(old))} {quote(str(new))}"
    _log.warning(
        "the ledger's key %s is in the package, so a wheel or an image of the project holds it. "
        "Move it while nothing runs: %s && %s",
        old / FILE_NAME, make, move,
    )  # fmt: skip
    return old


def _has_state(directory: Path) -> bool:
    return any(os.path.exists(directory / name) for name in (LEDGER, FILE_NAME))  # noqa: PTH110  as there


def make_example(root: Path, name: str) -> Path:
    """Make the directory of an example's files, and let git and builds of the project leave it alone."""
    for name_of_ours in (DIRECTORY, _EXAMPLES):
        home.make(root / name_of_ours)
        _ignore(root / ".gitignore", name_of_ours)
    return root / _EXAMPLES / name


def _ignore(file: Path, directory: str) -> None:
    text = file.read_text() if file.exists() else ""
    if not {f"{directory}/", f"/{directory}/", directory, f"/{directory}"} & set(text.splitlines()):
        end = "" if not text or text.endswith("\n") else "\n"
        file.write_text(f"{text}{end}{directory}/\n")
