"""Which keys a query takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run.making import item_of, keys_of, listed
from secretsync_core.model.inventory import Entry
from secretsync_core.schema.keys import folder

KEYS = ("pay/api-1", "pay/api-test", "pay/db", "pay/deep/api-2")


@pytest.mark.parametrize(
    ("query", "taken"),
    [
        ("{path: pay}", KEYS),
        ("{path: pay, key: {regexp: ^api-}}", ("pay/api-1", "pay/api-test")),
        ("{path: pay, key: {regexp: api-}}", ("pay/api-1", "pay/api-test", "pay/deep/api-2")),
        ("{path: pay, key: {regexp: ^pay}}", ()),
        ("{path: pay, key: {regexp: ^api-, exclude: [-test$]}}", ("pay/api-1",)),
        ("{path: pay, key: {exclude: [^db$, ^deep/]}}", ("pay/api-1", "pay/api-test")),
        ("{key: {regexp: ^pay/d}}", ("pay/db", "pay/deep/api-2")),
    ],
)
def test_expressions_match_below_the_path(query: str, taken: tuple[str, ...]) -> None:
    """Include and exclude are found, unanchored, in the key below ``path`` and nowhere else."""
    assert tuple(keys_of(item_of(f"query: {query}"), listed(*KEYS))) == taken


@pytest.mark.parametrize("path", ["pay", "pay/", "/pay", "/pay/", "//pay//"])
def test_slashes_around_a_path_mean_nothing(path: str) -> None:
    """A path names the same folder with and without slashes, and never what only begins with its letters."""
    assert folder(path) == "pay/"
    assert not "payments/x".startswith(folder(path))
    item = item_of(f"query: {{path: '{path}', key: {{regexp: ^db$}}}}")
    assert keys_of(item, listed(*KEYS)) == ["pay/db"]


@pytest.mark.parametrize("path", ["", "/", "//"])
def test_no_path_is_the_whole_store(path: str) -> None:
    """An empty path and a lone slash both take everything."""
    assert folder(path) == ""


@given(st.text(alphabet="a/", max_size=8))
def test_a_folder_is_empty_or_ends_in_one_slash(path: str) -> None:
    """Whatever the path, its prefix neither begins with a slash nor ends in two, and giving it again is the same."""
    prefix = folder(path)
    assert prefix == "" or (prefix.endswith("/") and not prefix.startswith("/") and not prefix.endswith("//"))
    assert folder(prefix) == prefix


@pytest.mark.parametrize(
    ("metadata", "taken"),
    [
        ({"team": "pay"}, True),
        ({"team": "pay", "extra": "x"}, True),
        ({"team": "Pay"}, False),
        ({"other": "pay"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_metadata_must_be_equal(metadata: dict[str, str] | None, taken: bool) -> None:
    """Every pair that the query names must be there as it stands; more may be."""
    item = item_of("query: {metadata: {team: pay}}")
    assert bool(keys_of(item, [Entry("k", "1", metadata=metadata)])) is taken


def test_deleted_secrets_are_never_taken() -> None:
    """A listing may show what was deleted; it is no source."""
    assert keys_of(item_of("query: {}"), listed("gone", deleted=True)) == []
