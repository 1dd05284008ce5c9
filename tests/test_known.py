"""What messages say of names: the nearest known one, and never what looks like a credential."""

from __future__ import annotations

import pytest

from secretsync_core import known
from secretsync_core.credentials import describe, resolve
from secretsync_core.errors import StoreError
from secretsync_core.schema.base import Credential

TOKEN = "hvs.CAESIJcanaryTOKEN0123456789"
NAMES = ["invoices", "orders", "payments"]


def test_the_nearest_name_is_suggested() -> None:
    """Whatever its case; nothing where none is near, and nothing for what is no text."""
    assert known.nearest("Oders", NAMES) == "orders"
    assert [known.nearest(given, NAMES) for given in (TOKEN, None, 5, "o" * 10_000)] == [""] * 4


def test_known_names_are_bounded() -> None:
    """Of many names the first are listed, and how many more there are."""
    assert known.hint_of(["x"], [], there="jobs") == "jobs: none"
    told = known.hint_of(["name-7"], [f"name-{number:04}" for number in range(1020)], there="jobs")
    assert told.endswith("name-0019 and 1,000 more")


@pytest.mark.parametrize(
    ("given", "told"), [(["orders"], ""), (["x"], "--item"), (["orders", "x", "y"], "--item number 2")]
)
def test_which_of_several_is_unknown(given: list[str], told: str) -> None:
    """By where it stands."""
    assert known.which("--item", given, NAMES) == told


@pytest.mark.parametrize(
    ("credential", "told"),
    [
        ({"env": "VAULT_TOKEN"}, "environment variable VAULT_TOKEN"),
        ({"env": TOKEN}, "environment variable of a name that is not shown (31 long)"),
        ({"env": "hunter2"}, "environment variable of a name that is not shown (7 long)"),
        ({"env": "AKIA0123456789ABCDEF"}, "environment variable of a name that is not shown (20 long)"),
        ({"file": "/run/secrets/token"}, "file /run/secrets/token"),
        ({"file": f"/run/{TOKEN}"}, "file /run/(a name that is not shown)"),
    ],
)
def test_a_credential_in_place_of_where_it_is_found(credential: dict[str, str], told: str) -> None:
    """A variable or a path is told where it looks like one, also where it is not there."""
    made = Credential(**credential)
    assert describe(made) == told
    with pytest.raises(StoreError) as raised:
        resolve(made, {})
    assert TOKEN not in str(raised.value)
    assert TOKEN not in raised.value.message


def test_a_part_of_a_place_that_looks_like_a_credential() -> None:
    """A mount is told in quotes, and not at all where a part of it looks like a token."""
    assert known.named("team/kv") == "'team/kv'"
    assert TOKEN not in known.named(f"team/{TOKEN}")
