"""Which pages are generated, and by what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tools.docs import commands, errors, fields, filters, metrics, stores

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/fields.md": fields.page,
    "docs/reference/commands.md": commands.page,
    "docs/reference/stores.md": stores.page,
    "docs/reference/metrics.md": metrics.page,
    "docs/reference/errors.md": errors.page,
    "docs/reference/filters.md": filters.page,
}
"""Each generated page, by its path in the repository."""
