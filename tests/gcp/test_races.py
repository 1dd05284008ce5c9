"""What others do to a secret while it is written, deleted or pruned: nothing of theirs is lost, or taken for ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.google.statuses import Refused, denied

from gcp.gates import Repeating
from secretsync_core.errors import Conflict, StoreError
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from support.google.discovery import Asked
    from support.google.server import Google

    from gcp.conftest import OpenStore

    Attempt = tuple[tuple[bytes, ...], str]

ONE, TWO, THREE = (SecretValue(text) for text in (b"one", b"two", b"three"))
GOOD, LOST, DOWN = "good", "lost", "down"


def stage(google: Google, *attempts: Attempt) -> None:
    """What somebody writes right before each attempt to add a version, and what becomes of the attempt.

    ``lost``: it is carried out, and its answer does not come; ``down``: it is not. Whatever comes after that is good.
    """
    rest, fates = iter(attempts), [GOOD]

    def before(asked: Asked) -> None:
        if asked.method.endswith("addVersion"):
            theirs, fates[0] = next(rest, ((), GOOD))
            for value in theirs:
                google.secrets.put("db", value)
            if fates[0] == DOWN:
                raise Refused("UNAVAILABLE", "down")

    def after(asked: Asked, answer: dict[str, Any]) -> Any:
        return b"<html>" if asked.method.endswith("addVersion") and fates[0] == LOST else answer

    google.before, google.after = before, after


def versions(google: Google) -> list[tuple[bytes, str]]:
    """Each version's value and state."""
    return [(each.data, each.state) for each in google.secrets.of("db").versions]


# -- writes


@pytest.mark.parametrize("fate", [LOST, DOWN])
async def test_an_attempt_without_an_answer_is_no_writer(google: Google, open_gcp: OpenStore, fate: str) -> None:
    """What stands between the version that was seen and ours is our own, and the write is made."""
    store = await open_gcp(gate=Repeating())
    seen = await store.write("db", ONE)
    stage(google, ((), fate))
    await store.write_if("db", TWO, seen)
    assert google.secrets.values() == {"db": b"two"}


@pytest.mark.parametrize(
    "attempts",
    [
        [((b"theirs",), GOOD)],
        [((b"theirs",), LOST)],
        [((b"theirs",), LOST), ((), LOST)],
        [((), LOST), ((b"theirs",), GOOD)],
        [((b"theirs",), LOST), ((), DOWN)],
        [((), LOST), ((b"theirs",), DOWN)],
        [((b"older", b"theirs"), LOST)],
        [((b"older",), LOST), ((b"theirs",), LOST)],
        [((b"theirs",), GOOD), ((), LOST)],
        [((b"theirs",), GOOD), ((), DOWN)],
        [((b"older",), GOOD), ((b"theirs",), GOOD)],
        [((b"older",), GOOD), ((b"old",), LOST), ((b"theirs",), LOST)],
    ],
)
async def test_the_last_word_of_others_is_the_current_value_again(
    google: Google, open_gcp: OpenStore, attempts: list[Attempt]
) -> None:
    """However many attempts of ours got no answer before theirs, after it, or while theirs was put back."""
    store = await open_gcp(gate=Repeating())
    seen = await store.write("db", ONE)
    stage(google, *attempts)
    with pytest.raises(Conflict):
        await store.write_if("db", TWO, seen)
    assert google.secrets.values() == {"db": b"theirs"}
    assert all(state == "ENABLED" for data, state in versions(google) if data not in (b"", b"two"))


@pytest.mark.parametrize("attempt", [((b"two",), GOOD), ((b"older", b"two"), GOOD), ((b"older", b"two"), LOST)])
async def test_who_writes_the_same_value_loses_nothing(google: Google, open_gcp: OpenStore, attempt: Attempt) -> None:
    """Nothing older is put back, and the newest version is not destroyed."""
    store = await open_gcp(gate=Repeating())
    seen = await store.write("db", ONE)
    stage(google, attempt)
    with pytest.raises(Conflict):
        await store.write_if("db", TWO, seen)
    assert google.secrets.values() == {"db": b"two"}
    assert {state for _, state in versions(google)} == {"ENABLED"}


async def test_who_never_stops_writing_is_told_of(google: Google, open_gcp: OpenStore) -> None:
    """Ours is not destroyed as if theirs had been put back, and the error names the last of theirs."""
    store = await open_gcp()
    seen = await store.write("db", ONE)
    stage(google, *(((f"theirs {number}".encode(),), GOOD) for number in range(9)))
    with pytest.raises(
        StoreError, match="version 8 of db was written in gcp right before version 9, which is ours"
    ) as caught:
        await store.write_if("db", TWO, seen)
    assert not isinstance(caught.value, Conflict)
    assert all(state == "ENABLED" for _, state in versions(google))


async def test_what_nobody_may_read_of_others_is_in_doubt(google: Google, open_gcp: OpenStore) -> None:
    """It may be an attempt of ours, or theirs: the error says so."""
    store = await open_gcp(gate=Repeating())
    seen = await store.write("db", ONE)
    google.secrets.permitted = lambda permission, _: permission != "versions.access"
    stage(google, ((), LOST))
    with pytest.raises(Conflict) as caught:
        await store.write_if("db", TWO, seen)
    assert caught.value.unanswered


# -- secrets that are deleted and made anew


@pytest.mark.parametrize("theirs", [(), (b"a",), (b"a", b"b"), (b"a", b"b", b"c")])
@pytest.mark.parametrize("before", [1, 2])
async def test_a_secret_that_is_made_anew_in_between_is_not_ours(
    google: Google, open_gcp: OpenStore, theirs: tuple[bytes, ...], before: int
) -> None:
    """Whatever number our version gets in it: theirs is the current one again, and ours is destroyed."""
    store = await open_gcp(mark="job.1")
    for _ in range(before):
        seen = await store.write("db", ONE)

    def remake(asked: Asked) -> None:
        if asked.method.endswith("addVersion"):
            google.before = lambda _: None
            google.secrets.remove("db")
            google.secrets.put("db", *theirs)

    google.before = remake
    with pytest.raises(Conflict):
        await store.write_if("db", TWO, seen)
    assert google.secrets.values() == ({"db": theirs[-1]} if theirs else {})
    assert b"two" not in [data for data, _ in versions(google)]
    assert [each for each in versions(google) if each[1] != "ENABLED"] == [(b"", "DESTROYED")]


async def test_an_empty_secret_that_is_made_anew_is_not_ours(google: Google, open_gcp: OpenStore) -> None:
    """Also where ours had no version either."""
    google.secrets.put("db", annotations={"secretsync.io-owner": "job.1"})
    store = await open_gcp(mark="job.1")

    def remake(asked: Asked) -> None:
        if asked.method.endswith("addVersion"):
            google.secrets.remove("db")
            google.secrets.put("db")

    google.before = remake
    with pytest.raises(Conflict):
        await store.write_if("db", TWO, None)
    assert versions(google) == [(b"", "DESTROYED")]


async def test_a_write_that_nobody_can_look_at_is_in_doubt(google: Google, open_gcp: OpenStore) -> None:
    """It is made, and only a look can tell in which secret."""
    store = await open_gcp()
    seen = await store.write("db", ONE)

    def before(asked: Asked) -> None:
        if asked.method.endswith("versions.get") and len(google.secrets.of("db").versions) > 1:
            raise denied("secretmanager.versions.get", "it")

    google.before = before
    with pytest.raises(StoreError) as caught:
        await store.write_if("db", TWO, seen)
    assert caught.value.unanswered


# -- deletes


async def test_a_delete_does_not_trust_the_alias(google: Google, open_gcp: OpenStore) -> None:
    """`latest` may show what was seen for hours, although somebody has written since: their version stays."""
    store = await open_gcp()
    seen = await store.write("db", ONE)
    google.secrets.latest = {"db": 1}
    google.secrets.put("db", b"theirs")
    with pytest.raises(Conflict):
        await store.delete_if("db", seen)
    assert google.secrets.values() == {"db": b"theirs"}


async def test_a_delete_does_not_wait_for_the_alias(google: Google, open_gcp: OpenStore) -> None:
    """Nor does an alias that is behind keep from being deleted what was seen and is the newest."""
    store = await open_gcp()
    await store.write("db", ONE)
    seen = await store.write("db", TWO)
    google.secrets.latest = {"db": 1}
    await store.delete_if("db", seen)
    assert google.secrets.by_name == {}


@pytest.mark.parametrize(
    "seen", ["", "x", "0@2026-01-01T00:00:00Z", "2@2026-01-01T00:00:00Z", "1@2026-01-01T00:00:00Z"]
)
async def test_a_delete_is_of_no_other_version(google: Google, open_gcp: OpenStore, seen: str) -> None:
    """One that is not there, of another time, or none at all, is not what was seen."""
    store = await open_gcp()
    await store.write("db", ONE)
    with pytest.raises(Conflict):
        await store.delete_if("db", seen)
    assert google.secrets.values() == {"db": b"one"}


# -- old versions


async def test_old_versions_of_a_secret_that_is_made_anew_stay(google: Google, open_gcp: OpenStore) -> None:
    """Their numbers are ours again, and they are somebody's."""
    store = await open_gcp(mark="job.1", oldVersions={"keep": 1, "destroy": True})
    await store.write("db", ONE)

    def after(asked: Asked, answer: dict[str, Any]) -> dict[str, Any]:
        if asked.method == "projects.secrets.get":
            google.after = lambda _, answer: answer
            google.secrets.remove("db")
            google.secrets.put("db", b"a", b"b", annotations={"secretsync.io-owner": "job.1"})
        return answer

    google.after = after
    await store.write("db", TWO)
    assert versions(google) == [(b"a", "ENABLED"), (b"b", "ENABLED")]


@pytest.mark.parametrize("told", [True, False])
async def test_a_version_that_changed_since_it_was_looked_at_is_not_destroyed(
    google: Google, open_gcp: OpenStore, told: bool
) -> None:
    """Its etag says that it is another one, or that somebody does something with it; without one nothing is proven."""
    store = await open_gcp(mark="job.1", oldVersions={"keep": 1, "destroy": True})
    await store.write("db", ONE)

    def before(asked: Asked) -> None:
        if asked.method.endswith("destroy"):
            google.secrets.of("db").versions[0].etag = '"another"'

    google.before = before
    if not told:
        google.after = lambda asked, answer: {**answer, "etag": ""} if asked.method.endswith("s.get") else answer
    await store.write("db", TWO)
    assert versions(google) == [(b"one", "ENABLED"), (b"two", "ENABLED")]


async def test_a_secret_that_goes_right_after_a_write_is_no_fault(google: Google, open_gcp: OpenStore) -> None:
    """There is nothing left to prune, and the write was made."""
    notes: list[str] = []
    store = await open_gcp(mark="job.1", oldVersions={"keep": 1, "destroy": True}, notes=notes)
    await store.write("db", ONE)

    def before(asked: Asked) -> None:
        if asked.method == "projects.secrets.get":
            google.secrets.remove("db")

    google.before = before
    assert (await store.write("db", TWO)).startswith("2@")
    assert notes == []
    assert google.counts["versions.destroy"] == google.counts["patch"] == 0


async def test_who_takes_a_secret_over_is_noted_nothing_for(google: Google, open_gcp: OpenStore) -> None:
    """Where another job's mark is on it by the time that versions are noted, its annotations stay as they are."""
    store = await open_gcp(mark="job.1", oldVersions={"keep": 1, "destroy": True})
    await store.write("db", ONE)

    def before(asked: Asked) -> None:
        if asked.method == "projects.secrets.patch":
            secret = google.secrets.of("db")
            secret.fields, secret.etag = {"annotations": {"secretsync.io-owner": "job.2"}}, '"another"'

    google.before = before
    await store.write("db", TWO)
    assert google.secrets.of("db").fields == {"annotations": {"secretsync.io-owner": "job.2"}}
    assert google.counts["patch"] == 1
