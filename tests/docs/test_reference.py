"""The reference pages are what the code says. `make reference` writes them anew."""

from __future__ import annotations

import re

import pytest

from tools.docs.fields import undescribed
from tools.docs.pages import PAGES, ROOT


@pytest.mark.parametrize("path", PAGES)
def test_the_page_is_current(path: str) -> None:
    """A committed reference page is what the generator makes of the code today."""
    assert (ROOT / path).read_text() == PAGES[path](), f"{path} is stale: run `make reference`"


def test_no_page_is_left_over() -> None:
    """Every page in the folder is generated."""
    assert {str(file.relative_to(ROOT)) for file in (ROOT / "docs/reference").iterdir()} == set(PAGES)


def test_every_field_is_described() -> None:
    """No field of a document is without a description, for the page and for editors."""
    assert undescribed() == []


def test_the_metrics_that_pages_name_exist() -> None:
    """No page names a metric that is not on the reference page."""
    made = set(re.findall(r"secretsync_[a-z_]+", PAGES["docs/reference/metrics.md"]()))
    for page in ("operations.md", "runbooks.md", "kubernetes.md"):
        named = set(re.findall(r"`(secretsync_(?:job|ledger|build)_[a-z_]+)", (ROOT / "docs" / page).read_text()))
        assert named <= made, page
