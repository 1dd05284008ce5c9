"""What the tests of the deployments share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.image import Image, can_confine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def image() -> Iterator[Image]:
    """The image's content, built once. Tests that ask for it are in one xdist group."""
    if not can_confine():
        pytest.skip("the image's programs run in a mount namespace, which takes Linux and root")
    # Neither in pytest's own directory, which nobody but its owner may enter, nor in /tmp, which is the image's own.
    with tempfile.TemporaryDirectory(prefix="secretsync-tests-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Image(Path(name))
