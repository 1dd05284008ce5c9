"""What counts as done at GitHub: what its own description has for it and a look shows; of all else nobody knows."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.gaps import without_faults
from support.gate import Persistent
from support.github import refusals

from secretsync_core.errors import (
    AccessDenied,
    InvalidSecret,
    MalformedAnswer,
    QuotaReached,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.secret import SecretValue
from secretsync_core.stores.github_secrets.times import Written
from secretsync_core.stores.github_secrets.transport import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from run.world import World
    from support.github.service import GitHub

    from github.conftest import OpenStore, Section

VALUE = SecretValue(b"s3cret")

# Of GitHub's description: what is done is answered with these, and with no others.
WRITES: dict[str, tuple[dict[str, Any], str, set[int], Callable[[Any], Awaitable[object]]]] = {
    "secret": ({}, "^PUT ", {201, 204}, lambda store: store.write("A", VALUE)),
    "variable": ({"kind": "Variables"}, "^PATCH ", {204}, lambda store: store.write("A", VALUE)),
    "new variable": ({"kind": "Variables"}, "^POST ", {201}, lambda store: store.create("B", VALUE)),
    "delete": ({}, "^DELETE ", {204}, lambda store: store.delete("A")),
    "delete of a variable": ({"kind": "Variables"}, "^DELETE ", {204}, lambda store: store.delete("A")),
}


async def _raised(call: Awaitable[object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 206, 207, 300, 303, 304])
@pytest.mark.parametrize("what", WRITES)
async def test_only_what_github_describes_is_done(github: GitHub, opened: OpenStore, what: str, status: int) -> None:
    """Any other success, such as a proxy's page, says nothing: the write may have been made, and only a look tells."""
    given, match, right, call = WRITES[what]
    store = await opened(**given)
    await store.write("A", SecretValue(b"old"))
    github.answer(match, status, b"" if status in (204, 304) else b"<html>welcome")
    if status in right:
        return  # what then counts is the look: see below
    error = await _raised(call(store))
    assert isinstance(error, MalformedAnswer)
    assert error.unanswered
    assert f"HTTP {status}" in error.message


@pytest.mark.parametrize("status", [201, 204])
async def test_a_read_has_no_other_status_than_200(github: GitHub, opened: OpenStore, status: int) -> None:
    """What is done otherwise was no look: nothing is absent for it, and nothing there."""
    store = await opened(kind="Variables")
    await store.write("A", VALUE)
    github.answer("^GET ", status, b"{}")
    listed = without_faults(store.list("", recursive=True, metadata=False))
    for call in (store.read("A"), without_faults(store.stat(["A"])), listed):
        assert isinstance(await _raised(call), MalformedAnswer)


@pytest.mark.parametrize("given", [{}, {"kind": "Variables"}], ids=["secret", "variable"])
@pytest.mark.parametrize("dated", [True, False])
async def test_no_older_version_is_kept(
    github: GitHub, opened: OpenStore, given: dict[str, Any], *, dated: bool
) -> None:
    """A write that is answered rightly, and that GitHub does not show, was not made: so it counts as uncertain."""
    store = await opened(**given)
    await store.write("A", SecretValue(b"old"))
    clock = github.accounts.clock
    clock.now += timedelta(minutes=1)
    headers = {"Date": format_datetime(clock.now, usegmt=True)} if dated else {}
    github.answer("^(PUT|PATCH) ", 204, b"", headers=headers)
    error = await _raised(store.write("A", VALUE))
    assert isinstance(error, StoreUnavailable)
    assert error.unanswered
    assert "as it was just written" in error.message


@pytest.mark.parametrize(
    ("before", "seen", "older"),
    [
        ("02:00:00", "02:00:01", False),
        ("01:00:00", "01:00:01", False),
        ("02:00:01", "02:00:00", True),
        ("01:59:55", "01:59:55", False),
        ("01:59:45", "01:59:45", True),
        (None, "01:59:00", False),
        (None, "01:54:00", True),
    ],
)
def test_what_is_older_than_a_write(before: str | None, seen: str, *, older: bool) -> None:
    """What was there before it, and not what another clock is wrong about."""
    day = "2026-11-28T{}Z"
    answer = Answer(204, b"", {"Date": "Sat, 28 Nov 2026 02:00:00 GMT"}, done=True)
    assert Written(answer).is_older(day.format(seen), before and day.format(before)) is older


async def test_a_variable_that_holds_the_value_already_need_not_change(github: GitHub, opened: OpenStore) -> None:
    """Its time may stay what it was: then its value tells that it is as written."""
    store = await opened(kind="Variables")
    version = await store.write("A", VALUE)
    github.accounts.clock.now += timedelta(minutes=1)
    headers = {"Date": format_datetime(github.accounts.clock.now, usegmt=True)}
    github.answer("^PATCH ", 204, b"", headers=headers)
    assert await store.write("A", VALUE) == version
    github.refuse("^GET .*/variables/A$", refusals.secondary_limit(7), times=None)
    github.before("^GET .*/variables/A$", lambda: None, times=2)
    assert (await _raised(store.write("A", VALUE))).unanswered


async def test_a_write_that_nobody_may_look_at_is_uncertain(github: GitHub, opened: OpenStore) -> None:
    """Unless its answer tells the time: then that stands for the version."""
    store = await opened()
    github.refuse("^GET .*/secrets/A$", refusals.not_accessible("integration", "secrets=read"))
    assert await store.write("A", VALUE) == github.accounts.repository("acme/app").shelf().get("A").updated_at
    github.answer("^PUT ", 201, b"{}")
    error = await _raised(store.write("A", VALUE))
    assert isinstance(error, AccessDenied)
    assert error.unanswered


# -- an earlier attempt that got no answer


async def test_a_key_that_is_replaced_hands_the_doubt_on(github: GitHub, opened: OpenStore) -> None:
    """Of two writes the first may have been made, whatever the second one is refused with."""
    store = await opened(gate=Persistent())
    await store.write("A", VALUE)
    github.before("^PUT ", github.accounts.repository("acme/app").shelf().rotate, times=None)
    github.answer("^PUT ", 502, b"", times=1)
    error = await _raised(store.write("A", VALUE))
    assert isinstance(error, InvalidSecret)
    assert error.unanswered
    assert not (await _raised(store.write("A", VALUE))).unanswered


async def test_a_full_repository_hands_the_doubt_on(github: GitHub, opened: OpenStore) -> None:
    """That there is no room says nothing of an attempt before."""
    store = await opened(gate=Persistent())
    for number in range(100):
        github.accounts.repository("acme/app").shelf().put(f"K{number}", "x")
    for lost in (False, True):
        if lost:
            github.answer("^PUT ", 502, b"", times=1)
        error = await _raised(store.write("NEW", VALUE))
        assert isinstance(error, QuotaReached)
        assert error.unanswered is lost


async def test_a_variable_that_is_created_hands_the_doubt_on(github: GitHub, opened: OpenStore) -> None:
    """Its update may have been made before it was found to be absent."""
    store = await opened(gate=Persistent(), kind="Variables")
    github.refuse("^POST ", refusals.invalid("no"))
    assert not (await _raised(store.write("A", VALUE))).unanswered
    github.answer("^PATCH ", 502, b"", times=1)
    assert (await _raised(store.write("A", VALUE))).unanswered


async def test_a_delete_hands_the_doubt_on(github: GitHub, opened: OpenStore) -> None:
    """To a refusal, and to a look that is refused; and what is gone after it is deleted."""
    store = await opened(gate=Persistent())
    await store.write("A", VALUE)
    for refused in (refusals.invalid("no"), refusals.not_found()):
        for lost in (False, True):
            github.refuse("^DELETE ", refused)
            github.refuse("^GET ", refusals.invalid("no"))
            if lost:
                github.answer("^DELETE ", 502, b"", times=1)
            assert (await _raised(store.delete("A"))).unanswered is lost
            github.heal()
    github.before("^DELETE ", lambda: github.accounts.repository("acme/app").shelf().remove("A"))
    await store.delete("A")


# -- listings


def _page(total: object, *names: str) -> bytes:
    shown = [
        {"name": name, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"} for name in names
    ]
    return json.dumps({"total_count": total, "secrets": shown}).encode()


@pytest.mark.parametrize(
    ("pages", "tries"),
    [
        ([_page(2, "A"), _page(2)], 3),
        ([_page(1, "A", "B")], 3),
        ([_page(0, "A")], 3),
        ([_page(1)], 3),
        ([_page(3, "A", "B"), _page(2, "A")], 3),
        ([_page(3, "A"), _page(2, "B")], 3),
        ([_page(2, "A"), _page(3, "B"), _page(2)], 3),
    ],
    ids=["fewer", "more", "none", "all gone", "twice", "total falls", "total rises"],
)
async def test_a_listing_is_as_much_as_github_counts(
    github: GitHub, opened: OpenStore, pages: list[bytes], tries: int
) -> None:
    """Whoever shows less, more, or another count from page to page shows nothing: a delete may hang on it."""
    store = await opened()
    for number, page in enumerate(pages, 1):
        github.answer(rf"page={number}$", 200, page)
    asked = github.count("secrets\\?")
    error = await _raised(without_faults(store.list("", recursive=True, metadata=False)))
    assert isinstance(error, MalformedAnswer)
    assert "counts more or less than it shows" in error.message
    assert github.count("secrets\\?") - asked == tries * len(pages)


# -- as a job


async def test_what_a_proxy_takes_is_uncertain_and_settled(world: World, section: Section, github: GitHub) -> None:
    """The next run looks, finds the old version, and writes: the ledger never has it for written meanwhile."""
    shelf = github.accounts.repository("acme/app").shelf()
    world.store("dst", f"githubSecrets: {json.dumps(section())}")
    world.job("- secret: {key: A}")
    await world.put("src", "A", {"value": "one"})
    assert (await world.sync()).ok
    await world.put("src", "A", {"value": "two"})
    github.answer("^PUT ", 200, b"<html>welcome")
    report = await world.sync()
    assert [outcome.code for outcome in report.failures] == ["uncertain"]
    assert shelf.values() == {"A": "one"}
    github.heal()
    report = await world.sync()
    assert report.ok, report
    assert shelf.values() == {"A": "two"}
