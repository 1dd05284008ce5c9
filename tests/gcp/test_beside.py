"""What stands beside values, whose secrets they are, which old versions go, and what we may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.google.secrets import READER
from support.google.statuses import denied

from secretsync_core.errors import InvalidSecret, SecretNotFound
from secretsync_core.model.access import Access, Act
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from support.google.discovery import Asked
    from support.google.server import Google

    from gcp.conftest import OpenStore
    from secretsync_core.testing.gates import CountingGate

TOPIC = "projects/acme-test/topics/t"


def states(google: Google, key: str) -> list[str]:
    """What became of each version."""
    return [version.state for version in google.secrets.of(key).versions]


# -- metadata


async def test_what_is_set_is_added_to_what_is_there(google: Google, open_gcp: OpenStore) -> None:
    """Labels, annotations and topics of other people stay, no version is made, and our own annotations are not told."""
    google.secrets.put("db", b"v", labels={"cost": "7"}, annotations={"by": "them"}, topics=[{"name": f"{TOPIC}1"}])
    store = await open_gcp(mark="job.1")
    await store.mark("db")
    version = (await store.read("db")).version
    wanted = {
        Slot(Kind.LABEL, "team"): "payments",
        Slot(Kind.ANNOTATION, "note"): "Any text: ü",
        Slot(Kind.TOPIC, f"{TOPIC}2"): "",
    }
    assert await store.set_metadata("db", wanted, version) == version
    (entry,) = [each async for each in store.describe(["db"])]
    assert entry.version == version
    assert entry.metadata == {"cost": "7", "team": "payments"}
    assert entry.notes == {
        Slot(Kind.ANNOTATION, "by"): "them",
        Slot(Kind.ANNOTATION, "note"): "Any text: ü",
        Slot(Kind.TOPIC, f"{TOPIC}1"): "",
        Slot(Kind.TOPIC, f"{TOPIC}2"): "",
    }
    assert await store.marks(["db"]) == {"db": "job.1"}
    with pytest.raises(SecretNotFound):
        await store.set_metadata("absent", wanted, None)


async def test_what_somebody_sets_meanwhile_stays(google: Google, open_gcp: OpenStore) -> None:
    """A change whose etag is another one by then is made again, by what is there now."""
    google.secrets.put("db", b"v")
    store = await open_gcp()

    def before(asked: Asked) -> None:
        if asked.method.endswith("patch"):
            google.before = lambda _: None
            secret = google.secrets.of("db")
            secret.fields, secret.etag = {"labels": {"cost": "7"}}, '"another"'

    google.before = before
    await store.set_metadata("db", {Slot(Kind.LABEL, "team"): "payments"}, None)
    assert google.secrets.of("db").fields["labels"] == {"cost": "7", "team": "payments"}


async def test_what_google_does_not_take_beside_a_value(google: Google, open_gcp: OpenStore) -> None:
    """It is the document's labels that are wrong, and no value."""
    google.secrets.put("db", b"v")
    store = await open_gcp()
    with pytest.raises(InvalidSecret) as caught:
        await store.set_metadata("db", {Slot(Kind.LABEL, "Team"): "payments"}, None)
    assert "labels, annotations, topics or expireTime" in caught.value.hint


# -- old versions


@pytest.mark.parametrize(("fate", "state"), [("destroy", "DESTROYED"), ("disable", "DISABLED")])
async def test_only_as_many_versions_stay_as_are_kept(
    google: Google, open_gcp: OpenStore, gate: CountingGate, fate: str, state: str
) -> None:
    """Each write removes the oldest of ours beyond that number, and never the current one."""
    store = await open_gcp(mark="job.1", oldVersions={"keep": 2, fate: True})
    for number in range(4):
        gate.counts.clear()
        await store.write("db", SecretValue(f"v{number}".encode()))
    assert gate.counts == {"write": 1, "stat": 2, "prune": 1, "metadata": 1}
    assert states(google, "db") == [state, state, "ENABLED", "ENABLED"]
    assert google.secrets.of("db").fields["annotations"]["secretsync.io-versions"] == "3 4"


async def test_old_versions_may_be_destroyed_later(google: Google, open_gcp: OpenStore) -> None:
    """Google disables them for so long; each is asked for once."""
    store = await open_gcp(mark="job.1", oldVersions={"keep": 1, "destroy": True}, destroyDelaySeconds=86_400)
    for number in range(3):
        await store.write("db", SecretValue(f"v{number}".encode()))
    assert states(google, "db") == ["DISABLED", "DISABLED", "ENABLED"]
    assert all(version.going for version in google.secrets.of("db").versions[:2])
    assert google.counts["versions.destroy"] == 2


async def test_versions_that_are_not_ours_stay(google: Google, open_gcp: OpenStore) -> None:
    """Neither what others wrote in our secret, nor what an alias names, nor anything in a secret of theirs goes."""
    store = await open_gcp(mark="job.1", oldVersions={"keep": 1, "destroy": True})
    await store.write("ours", SecretValue(b"1"))
    google.secrets.put("ours", b"theirs")
    google.secrets.of("ours").fields["versionAliases"] = {"stable": "1"}
    await store.write("ours", SecretValue(b"3"))
    await store.write("ours", SecretValue(b"4"))
    assert states(google, "ours") == ["ENABLED", "ENABLED", "DESTROYED", "ENABLED"]
    google.secrets.put("theirs", b"1", b"2", annotations={"secretsync.io-versions": "1 2"})
    google.secrets.put(
        "marked", b"1", b"2", annotations={"secretsync.io-owner": "job.2", "secretsync.io-versions": "1"}
    )
    for key in ("theirs", "marked"):
        await store.write(key, SecretValue(b"3"))
        assert states(google, key) == ["ENABLED"] * 3


async def test_versions_of_the_job_before_stay(google: Google, open_gcp: OpenStore) -> None:
    """A job that takes a secret over has not written what is there, whatever the other one has noted."""
    await (await open_gcp(mark="job.1", oldVersions={"keep": 3, "destroy": True})).write("db", SecretValue(b"1"))
    store = await open_gcp(mark="job.2", oldVersions={"keep": 1, "destroy": True})
    await store.mark("db")
    for value in (b"2", b"3"):
        await store.write("db", SecretValue(value))
    assert states(google, "db") == ["ENABLED", "DESTROYED", "ENABLED"]


async def test_without_a_mark_nothing_is_removed(google: Google, open_gcp: OpenStore, gate: CountingGate) -> None:
    """And a document that asks for nothing costs nothing."""
    for store in (await open_gcp(oldVersions={"keep": 1, "destroy": True}), await open_gcp(mark="job.1")):
        await store.write("db", SecretValue(b"1"))
        await store.write("db", SecretValue(b"2"))
    assert states(google, "db") == ["ENABLED"] * 4
    assert set(gate.counts) == {"write"}


async def test_a_write_counts_though_old_versions_stay(google: Google, open_gcp: OpenStore) -> None:
    """What keeps us from removing them is told once, with the role, and the next write removes them."""
    notes: list[str] = []
    store = await open_gcp(mark="job.1", oldVersions={"keep": 1, "destroy": True}, notes=notes)
    google.secrets.permitted = lambda permission, _: permission != "versions.destroy"
    for number in range(3):
        await store.write("db", SecretValue(f"v{number}".encode()))
    assert google.secrets.values() == {"db": b"v2"}
    assert len(notes) == 1
    assert "roles/secretmanager.secretVersionManager" in notes[0]
    google.secrets.permitted = lambda _permission, _secret: True
    await store.write("db", SecretValue(b"v3"))
    assert states(google, "db") == ["DESTROYED"] * 3 + ["ENABLED"]


# -- rights


async def test_what_we_may_not_do_is_told_before(google: Google, open_gcp: OpenStore) -> None:
    """Of secrets that are there; of those that are not, and of creating, nothing is known, so nothing is said."""
    google.secrets.put("db", b"v")
    store = await open_gcp()
    google.secrets.permitted = lambda permission, _: permission in READER
    acts = (Act.LIST, Act.LOOK, Act.READ, Act.UPDATE, Act.CREATE, Act.DELETE)
    missing = await store.check_access([Access(act, key) for act in acts for key in ("db", "absent", "no/key")])
    assert [(each.access.act, each.access.key) for each in missing] == [(Act.UPDATE, "db"), (Act.DELETE, "db")]
    assert missing[0].grant == "roles/secretmanager.secretVersionAdder (secretmanager.versions.add) on the secret db"


async def test_who_may_list_and_not_look_has_gaps(google: Google, open_gcp: OpenStore) -> None:
    """A secret that we may not look at is no absent one."""
    google.secrets.put("db", b"v")
    store = await open_gcp()
    google.secrets.permitted = lambda permission, _: permission == "secrets.list"
    for found in (store.list("", recursive=True, metadata=False), store.stat(["db"])):
        (gap,) = [each async for each in found]
        assert (gap.prefix, gap.code) == ("db", "access-denied")


async def test_who_may_not_list_looks_at_each(google: Google, open_gcp: OpenStore) -> None:
    """Many keys are asked for by pages first; without that right, one by one."""
    for number in range(30):
        google.secrets.put(f"k{number}", b"v")
    store = await open_gcp()

    def before(asked: Asked) -> None:
        if asked.method.endswith("secrets.list"):
            raise denied("secretmanager.secrets.list", "it")

    google.before = before
    assert len([each async for each in store.stat([f"k{number}" for number in range(30)])]) == 30
