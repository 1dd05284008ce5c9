"""What the tests of the deployments share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def image() -> Iterator[Image]:
    """The image's content, built once. Tests that ask for it are in one xdist group."""
    # Not in pytest's own directory, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory(prefix="secretsync-tests-") as name:
        Path(name).chmod(0o755)
        yield Image(Path(name))
