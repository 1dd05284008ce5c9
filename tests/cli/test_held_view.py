"""How versions and runs are shown in tables that have little room, and whole where somebody looks for one key."""

from __future__ import annotations

import pytest

from secretsync_core.audit.held import HeldKey
from secretsync_core.cli.held_view import short_run, since
from secretsync_core.cli.plan_order import versions_of

LONG = "terraform-20261130T0412-abcdef"


def test_a_long_version_is_cut_unless_it_is_wanted_whole() -> None:
    """Twenty characters have room; of more the first are shown, and that it goes on."""
    assert versions_of("12@2026-11-30T00:00:00Z", None) == "12 <- -"
    assert versions_of("1" * 20, LONG) == f"{'1' * 20} <- terraform-20261130T…"
    assert versions_of("1" * 20, LONG, whole=True) == f"{'1' * 20} <- {LONG}"


@pytest.mark.parametrize(
    ("run", "short"),
    [
        ("0506a6f9-f0d0-4a5b-b589-b2e96ce76dc0", "0506a6f9"),
        ("20261130T041200Z-a1b2c3d4", "…a1b2c3d4"),
        ("run-1", "run-1"),
    ],
)
def test_a_run_is_told_apart_by_few_digits(run: str, short: str) -> None:
    """Dagster's runs as Dagster shows them, and the command line's without the time, which stands beside it."""
    assert short_run(run) == short


@pytest.mark.parametrize(("written", "words"), [(True, "written "), (False, "found the same ")])
def test_the_short_form_says_only_what_is_not_usual(written: bool, words: str) -> None:
    """That a run wrote a key goes without saying, and seconds, too; whole, all of it is told."""
    run = "0506a6f9-f0d0-4a5b-b589-b2e96ce76dc0"
    key = HeldKey("job", "item", "dst", "k", "src", "k", "1", "1", run, 1_800_000_000_000_000, written)
    assert since(key, whole=True).startswith(words)
    assert since(key, whole=True).endswith(f", run {run}")
    short = since(key, whole=False)
    assert short.startswith("20" if written else words)
    assert short.endswith(", run 0506a6f9")
