"""SyncJobs to and from Secret Manager: what they copy, refuse in the plan, put right, delete and undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from run.world import counted

from secretsync_core.errors import DocumentError
from secretsync_core.model.change import Action

if TYPE_CHECKING:
    from run.world import World
    from support.google.server import Google

    from gcp.conftest import InGcp

FLAT = "keyTransform: [{regexp: {source: /, target: '-'}}]"
ALL = f"- {{name: all, query: {{recursive: true}}, {FLAT}}}"


def reasons(report: Any) -> dict[str, str]:
    """What is said of each failure, by key."""
    return {outcome.change.key: outcome.code for outcome in report.failures}


async def test_fields_become_json_and_come_back(world: World, in_gcp: InGcp, google: Google) -> None:
    """Fields are a JSON object there, and the same fields again in a store of fields."""
    in_gcp("dst", prefix="copy-")
    world.job(ALL)
    await world.seed("src", {"app/db": {"user": "u", "port": 5432}, "app/plain": {"value": "text"}})
    assert counted(await world.sync()) == {"created": 2}
    assert google.secrets.values() == {"copy-app-db": b'{"port":5432,"user":"u"}', "copy-app-plain": b"text"}
    in_gcp("src", prefix="copy-")
    world.store("back")
    world.job("- {name: all, query: {recursive: true}}", dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"app-db": {"user": "u", "port": 5432}, "app-plain": {"value": "text"}}


async def test_a_sync_that_changes_nothing(world: World, in_gcp: InGcp) -> None:
    """It reads no value: a page tells which secrets there are, and each takes a look."""
    in_gcp("dst")
    world.job(ALL)
    await world.seed("src", {f"app/{number}": {"password": "p"} for number in range(30)})
    await world.sync()
    report = await world.sync()
    assert counted(report) == {"unchanged": 30}
    assert report.requests["dst"] == {"list": 1, "stat": 30}


async def test_changes_drift_and_deletes(world: World, in_gcp: InGcp, google: Google) -> None:
    """What changed at the source is updated, what somebody else changed is put right, what is gone is deleted."""
    in_gcp("dst")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await world.seed("src", {f"app/{number}": {"password": "p"} for number in range(4)})
    await world.sync()
    await world.put("src", "app/0", {"password": "new"})
    google.secrets.put("app-1", b"theirs")
    google.secrets.put("not-ours", b"kept")
    google.secrets.of("app-2").versions[-1].state = "DISABLED"
    await world.remove("src", "app/3")
    report = await world.sync()
    assert report.ok
    old = b'{"password":"p"}'
    assert google.secrets.values() == {
        "app-0": b'{"password":"new"}',
        "app-1": old,
        "app-2": old,
        "not-ours": b"kept",
    }
    assert counted(await world.sync()) == {"unchanged": 3}


@pytest.mark.parametrize("there", ["disabled", "empty"])
async def test_what_nobody_can_read_is_refused_as_somebodys(
    world: World, in_gcp: InGcp, google: Google, there: str
) -> None:
    """Plan and sync leave it as it is, without a mark, and the job never deletes it; once taken over it is written."""
    in_gcp("dst")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    google.secrets.put("app-db", *([b"theirs"] if there == "disabled" else []), labels={"by": "terraform"})
    secret = google.secrets.of("app-db")
    for version in secret.versions:
        version.state = "DISABLED"
    await world.put("src", "app/db", {"password": "p"})
    before = repr(secret)
    planned = await world.plan()
    assert [change.action for change in planned.changes] == [Action.REFUSE]
    for _ in range(2):
        report = await world.sync()
        assert not report.ok
        assert "does not say that it is this job's" in report.failures[0].message
    await world.remove("src", "app/db")
    await world.sync()
    assert repr(google.secrets.of("app-db")) == before
    await world.put("src", "app/db", {"password": "p"})
    assert [change.action for change in (await world.plan(adopt=["app-db"])).changes] == [Action.CREATE]
    assert repr(google.secrets.of("app-db")) == before, "a plan marks nothing"
    assert counted(await world.sync(adopt=["app-db"])) == {"created": 1}
    assert google.secrets.values() == {"app-db": b'{"password":"p"}'}
    assert secret.fields["labels"] == {"by": "terraform"}


async def test_what_somebody_disables_is_drift(world: World, in_gcp: InGcp, google: Google) -> None:
    """A check tells of it, a sync puts it right, and what is to be deleted is kept: it is not as the job left it."""
    in_gcp("dst")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await world.put("src", "app/db", {"password": "p"})
    await world.put("src", "app/gone", {"password": "p"})
    await world.sync()
    for key in ("app-db", "app-gone"):
        google.secrets.of(key).versions[-1].state = "DISABLED"
    assert set(reasons(await world.check()).values()) == {"removed-outside"}
    await world.remove("src", "app/gone")
    report = await world.sync()
    assert counted(report) == {"created": 1, "refused": 1}
    assert [outcome.code for outcome in report.failures] == ["changed-outside"]
    assert google.secrets.values() == {"app-db": b'{"password":"p"}'}
    assert len(google.secrets.of("app-gone").versions) == 1


async def test_undo_puts_back_what_was_there(world: World, in_gcp: InGcp, google: Google) -> None:
    """The version before is read by its number, and is a new version; what the run created is deleted."""
    in_gcp("dst")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await world.put("src", "app/0", {"password": "old"})
    await world.sync()
    await world.put("src", "app/0", {"password": "new"})
    await world.put("src", "app/1", {"password": "p"})
    report = await world.sync()
    assert report.ok
    undone = await world.undo(report.run)
    assert undone.ok
    assert google.secrets.values() == {"app-0": b'{"password":"old"}'}


async def test_what_would_be_refused_is_refused_in_the_plan(world: World, in_gcp: InGcp, google: Google) -> None:
    """Names, sizes and empty values: before anything is written, with the rule and the way out."""
    in_gcp("dst")
    world.files("src")
    world.job("- {name: all, query: {recursive: true}}")
    await world.seed("src", {"a/b": b"v", "dot.ted": b"v", "large": b"x" * 65_537, "empty": b"", "good": b"v"})
    report = await world.sync()
    assert set(reasons(report)) == {"a/b", "dot.ted", "large", "empty"}
    assert google.secrets.values() == {"good": b"v"}
    assert google.counts["create"] == google.counts["addVersion"] == 1


async def test_metadata_is_reconciled(world: World, in_gcp: InGcp, google: Google) -> None:
    """What a document asks for is set on what the job created before, without a new version."""
    in_gcp("dst")
    world.job(ALL)
    await world.put("src", "db", {"password": "p"})
    await world.sync()
    in_gcp("dst", labels={"team": "payments"}, annotations={"note": "n"}, topics=["projects/acme-test/topics/t"])
    assert counted(await world.sync()) == {"updated": 1}
    fields = google.secrets.of("db").fields
    assert fields["labels"] == {"team": "payments"}
    assert fields["topics"] == [{"name": "projects/acme-test/topics/t"}]
    assert len(google.secrets.of("db").versions) == 1
    assert counted(await world.sync()) == {"unchanged": 1}


async def test_the_time_of_deletion_is_reconciled(world: World, in_gcp: InGcp, google: Google) -> None:
    """Secrets have it from the start, those that are there get it, and another one takes its place: each once."""
    in_gcp("dst")
    world.job(ALL)
    await world.put("src", "old", {"password": "p"})
    await world.sync()
    in_gcp("dst", expireTime="2126-01-01T02:00:00+02:00")
    await world.put("src", "new", {"password": "p"})
    planned = await world.plan()
    assert {change.key: change.metadata for change in planned.changes}["old"] == ("time of deletion",)
    assert counted(await world.sync()) == {"created": 1, "updated": 1}
    assert {google.secrets.of(name).fields["expireTime"] for name in ("old", "new")} == {"2126-01-01T00:00:00Z"}
    assert counted(await world.sync()) == {"unchanged": 2}
    in_gcp("dst", expireTime="2127-01-01T00:00:00Z")
    assert counted(await world.sync()) == {"updated": 2}
    assert {google.secrets.of(name).fields["expireTime"] for name in ("old", "new")} == {"2127-01-01T00:00:00Z"}
    assert {len(google.secrets.of(name).versions) for name in ("old", "new")} == {1}


async def test_a_time_of_deletion_that_is_over_deletes_nothing(world: World, in_gcp: InGcp, google: Google) -> None:
    """Google might delete at once what has it: nothing is set, and the error says what to write."""
    in_gcp("dst")
    world.job(ALL)
    await world.put("src", "db", {"password": "p"})
    await world.sync()
    in_gcp("dst", expireTime="2026-01-01T00:00:00Z")
    before = google.counts.copy()
    (error,) = (await world.sync()).errors
    assert error.message == "the expireTime of dst is over"
    assert google.counts == before


async def test_a_job_never_reads_what_it_writes(world: World, in_gcp: InGcp) -> None:
    """Two documents for one project are one place, whatever they are called, and validation says so."""
    in_gcp("src")
    in_gcp("dst", prefix="copy-")
    world.job("- {name: all, query: {recursive: true}}")
    with pytest.raises(DocumentError) as caught:
        _ = world.documents
    assert "gcpSecretManager projects/acme-test" in caught.value.problems[0].hint
