"""Logins that are refused, or to wait, in the middle of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from run.world import counted
from support.google.logins import ACCOUNT

from secretsync_core.cli.results import of_sync
from secretsync_core.errors import RateLimited
from secretsync_core.model.report import Result

if TYPE_CHECKING:
    from run.world import World
    from support.google.server import Google

    from gcp.conftest import InGcp, OpenStore

MANY = 40


@pytest.fixture
def synced(world: World, in_gcp: InGcp, google: Google) -> World:
    """A job that copies many secrets from Google, by the key of a service account."""
    in_gcp("src", auth={"serviceAccountKey": {"value": json.dumps(google.logins.key_of(ACCOUNT))}})
    world.job("- {name: all, query: {}}", limits="{concurrency: 4}")
    for number in range(MANY):
        google.secrets.put(f"k{number:02}", str(number).encode())
    return world


def _after_some_reads(google: Google, happens: object) -> None:
    """Let something happen before the eleventh value is given."""
    reads = 0

    def count(asked: object) -> None:
        nonlocal reads
        reads += getattr(asked, "method", "").endswith("access")
        if reads == 11:
            reads += 1
            google.logins.tokens.clear()
            assert callable(happens)
            happens()

    google.before = count


async def test_who_is_locked_out_in_mid_run(synced: World, google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tokens and the key end, one more login is tried, and the store is lost."""
    refused = (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    _after_some_reads(google, lambda: monkeypatch.setattr(google.logins, "_oauth2", lambda _: refused))
    report = await synced.sync()
    assert google.logins.asked.count("oauth2") == 2
    assert report.total(Result.NOT_REACHED) >= MANY - 12 - 8
    assert [error.code for error in report.errors] == ["locked-out"]
    assert of_sync(report) == 3


async def test_tokens_that_end_in_mid_run(synced: World, google: Google) -> None:
    """Another one is got, once, and nothing is lost."""
    _after_some_reads(google, lambda: None)
    report = await synced.sync()
    assert counted(report) == {"created": MANY}
    assert google.logins.asked.count("oauth2") == 2


async def test_a_login_that_is_to_wait(google: Google, open_gcp: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login service that is busy is one that asks to wait, and neither refuses nor is out of reach."""
    monkeypatch.setattr(google.logins, "_oauth2", lambda _: (429, {"error": "rate_limit_exceeded"}))
    key = json.dumps(google.logins.key_of(ACCOUNT))
    with pytest.raises(RateLimited, match="asks us to wait with the login"):
        await open_gcp(auth={"serviceAccountKey": {"value": key}})
