"""The threat model names the tests that show its claims."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/threats.md").read_text())


def test_every_test_that_it_names_is_there() -> None:
    """A test that is renamed or removed takes its claim along, or is named anew."""
    assert len(NAMED) > 40
    for path, name in NAMED:
        text = (ROOT / path).read_text()
        assert re.search(rf"def {name}\(" if name else r"def test_", text), f"{path}::{name}"


def test_a_claim_of_what_nobody_can_do_is_shown() -> None:
    """Every line that says "cannot" names a test."""
    lines = [line for line in (ROOT / "docs/threats.md").read_text().splitlines() if re.search(r"\| cannot \|", line)]
    assert len(lines) > 25
    assert [line for line in lines if "`tests/" not in line] == []
