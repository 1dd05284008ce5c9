"""The names of plan items that were not given one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yaml_samples import STORES, job, load

from secretsync_core.schema.base import NAME_PATTERN
from secretsync_core.schema.item_names import slug, with_names
from secretsync_core.schema.job import PlanItem, SecretSelector

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("plan", "names"),
    [
        ("- secret: {key: Billing/DB_main}", ["billing-db-main"]),
        ("- query: {path: payments/api/}", ["payments-api"]),
        ("- query: {}\n- query: {path: /}", ["all", "all-2"]),
        ("- key: app/env\n  combine: [{name: a, secret: {key: b}}]", ["app-env"]),
        ("- secret: {key: a}\n- secret: {key: a}\n  split: fields\n- {name: a, query: {}}", ["a-2", "a-3", "a"]),
        ("- secret: {key: ünï}", ["n"]),
        ("- secret: {key: 日本}", ["item"]),
    ],
)
def test_names_come_from_what_is_selected(tmp_path: Path, plan: str, names: list[str]) -> None:
    """A key, a path or a combined key becomes a name; a number keeps it apart from others, given ones first."""
    spec = load(tmp_path, STORES + job(plan)).jobs["job"].spec
    assert [item.name for item in spec.plan] == names


@given(st.lists(st.text(min_size=1, max_size=90), max_size=8))
def test_names_are_always_names_and_never_repeat(keys: list[str]) -> None:
    """Whatever the keys, the names fit the pattern of names, and each is there once."""
    plan = tuple(PlanItem(secret=SecretSelector(key=key)) for key in keys)
    names = [item.name or "" for item in with_names(plan)]
    assert all(re.fullmatch(NAME_PATTERN, name) for name in names)
    assert len(set(names)) == len(names)


def test_long_keys_are_cut_to_fit() -> None:
    """A name is at most 63 long, with its number."""
    item = PlanItem(secret=SecretSelector(key="k" * 100))
    assert slug("k" * 100) == "k" * 63
    assert [named.name for named in with_names((item, item))] == ["k" * 63, "k" * 61 + "-2"]
