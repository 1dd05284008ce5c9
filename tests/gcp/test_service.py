"""What the store asks of Secret Manager, what it makes of the answers, and what others do to the same secrets."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

import google_crc32c
import pytest
from support.google.statuses import Refused

from gcp.gates import Repeating
from secretsync_core.errors import Conflict, InvalidSecret, MalformedAnswer, SecretNotFound, StoreError
from secretsync_core.secret import SecretValue
from secretsync_core.stores.gcp_secret_manager.metadata import MARK

if TYPE_CHECKING:
    from support.google.discovery import Asked
    from support.google.server import Google

    from gcp.conftest import OpenStore
    from secretsync_core.testing.gates import CountingGate

ONE, TWO, THREE = (SecretValue(text) for text in (b"one", b"two", b"three"))
KMS = "projects/acme-test/locations/europe-west3/keyRings/ring/cryptoKeys/key"


async def shown(found: Any) -> dict[str, tuple[str | None, bool]]:
    """Version and death of each entry, by key."""
    return {each.key: (each.version, each.deleted) async for each in found}


# -- what is created


async def test_what_is_created_has_all_that_the_document_asks_for(google: Google, open_gcp: OpenStore) -> None:
    """Labels, annotations, topics, replicas with their keys, a time to live and the mark are there from the start."""
    store = await open_gcp(
        mark="job.1",
        labels={"team": "payments"},
        annotations={"owner": "Ada, Payments"},
        topics=["projects/acme-test/topics/secrets"],
        replication={"userManaged": [{"location": "europe-west3", "kmsKeyName": KMS}]},
        ttlSeconds=86400,
        destroyDelaySeconds=86400,
    )
    await store.write("db", ONE)
    fields = google.secrets.of("db").fields
    assert fields["labels"] == {"team": "payments"}
    assert fields["annotations"] == {"owner": "Ada, Payments", "secretsync.io-owner": "job.1"}
    assert fields["topics"] == [{"name": "projects/acme-test/topics/secrets"}]
    replica = {"location": "europe-west3", "customerManagedEncryption": {"kmsKeyName": KMS}}
    assert fields["replication"] == {"userManaged": {"replicas": [replica]}}
    assert fields["versionDestroyTtl"] == "86400s"
    assert fields["expireTime"]


async def test_one_may_have_a_key_of_ones_own_wherever_google_keeps_values(google: Google, open_gcp: OpenStore) -> None:
    """Replication that Google chooses may name a key as well; without anything said it is by Google's own."""
    everywhere = KMS.replace("europe-west3", "global")
    own = await open_gcp(prefix="own-", replication={"automatic": {"kmsKeyName": everywhere}})
    plain = await open_gcp(prefix="plain-")
    for store in (own, plain):
        await store.write("db", ONE)
    key = {"customerManagedEncryption": {"kmsKeyName": everywhere}}
    assert google.secrets.of("own-db").fields["replication"] == {"automatic": key}
    assert google.secrets.of("plain-db").fields["replication"] == {"automatic": {}}


async def test_values_are_sent_with_their_checksum(google: Google, open_gcp: OpenStore) -> None:
    """So that Google refuses what was changed on the way: then nothing is written."""
    sent: list[Asked] = []
    google.before = sent.append
    store = await open_gcp()
    await store.write("db", ONE)
    added = [asked.body["payload"] for asked in sent if asked.method.endswith("addVersion")]
    assert {int(payload["dataCrc32c"]) for payload in added} == {google_crc32c.value(b"one")}

    def spoiled(asked: Asked) -> None:
        if asked.method.endswith("addVersion"):
            asked.body["payload"]["data"] = base64.b64encode(b"two").decode()

    google.before = spoiled
    with pytest.raises(StoreError):
        await store.write("db", THREE)
    assert google.secrets.values() == {"db": b"one"}


async def test_regional_secrets_are_apart(google: Google, open_gcp: OpenStore) -> None:
    """A store of a location writes, lists and reads regional secrets, which the global one does not see."""
    regional = await open_gcp(location="europe-west3", kmsKeyName=KMS)
    everywhere = await open_gcp()
    await regional.write("db", ONE)
    assert google.secrets.values("europe-west3") == {"db": b"one"}
    assert google.secrets.of("db", "europe-west3").fields["customerManagedEncryption"] == {"kmsKeyName": KMS}
    assert list(await shown(regional.list("", recursive=True, metadata=False))) == ["db"]
    assert await shown(everywhere.list("", recursive=True, metadata=False)) == {}
    with pytest.raises(SecretNotFound):
        await everywhere.read("db")
    assert not regional.facts.place.overlaps(everywhere.facts.place)


# -- versions


async def test_a_secret_that_is_made_anew_has_another_token(google: Google, open_gcp: OpenStore) -> None:
    """It counts from 1 again, so the token has the time too."""
    store = await open_gcp()
    first = await store.write("db", ONE)
    await store.delete("db")
    second = await store.write("db", ONE)
    assert first != second
    assert first.partition("@")[0] == second.partition("@")[0] == "1"


@pytest.mark.parametrize("state", ["DISABLED", "DESTROYED"])
@pytest.mark.parametrize("annotations", [{}, {MARK: "job.2"}], ids=["nobodys", "another job's"])
async def test_a_secret_that_cannot_be_read_is_somebodys(
    google: Google, open_gcp: OpenStore, state: str, annotations: dict[str, str]
) -> None:
    """It is there, at a version of its own, and is neither written over nor marked, whatever the write expects."""
    google.secrets.put("db", b"one", b"two", annotations=annotations)
    google.secrets.of("db").versions[-1].state = state
    before = [version.number for version in google.secrets.of("db").versions]
    store = await open_gcp(mark="job.1")
    for look in (store.stat, store.describe):
        (version, deleted) = (await shown(look(["db"])))["db"]
        assert not deleted
        assert version is not None
        assert version.startswith("2@")
        assert version.endswith("@D")
    assert version is not None
    assert await shown(store.list("", recursive=True, metadata=False)) == {"db": (version, True)}
    with pytest.raises(SecretNotFound, match="disabled or destroyed"):
        await store.read("db")
    assert (await store.read("db", "1")).value.reveal() == b"one"
    with pytest.raises(Conflict):
        await store.write_if("db", THREE, None)
    for refused in (store.check_write, store.write_if):
        with pytest.raises(StoreError, match="does not say that it is this job's") as caught:
            await refused("db", THREE, version)
        assert not isinstance(caught.value, Conflict)
        assert "adopt" in caught.value.hint
    with pytest.raises(Conflict):
        await store.delete_if("db", version.removesuffix("@D"))
    with pytest.raises(Conflict):
        await store.delete_if("db", version)
    assert [each.number for each in google.secrets.of("db").versions] == before
    assert google.secrets.of("db").fields["annotations"] == annotations


async def test_what_is_ours_and_cannot_be_read_is_written_again(google: Google, open_gcp: OpenStore) -> None:
    """Somebody has disabled what this job wrote: it stands at another version then, and a write puts it right."""
    store = await open_gcp(mark="job.1")
    seen = await store.write_if("db", ONE, None)
    google.secrets.of("db").versions[-1].state = "DISABLED"
    with pytest.raises(Conflict):
        await store.delete_if("db", seen)
    with pytest.raises(Conflict):
        await store.write_if("db", TWO, seen)
    (version, deleted) = (await shown(store.stat(["db"])))["db"]
    assert (version, deleted) == (f"{seen}@D", False)
    await store.check_write("db", TWO, version)
    await store.write_if("db", TWO, version)
    assert google.secrets.values() == {"db": b"two"}


async def test_a_secret_without_a_version_is_somebodys(google: Google, open_gcp: OpenStore) -> None:
    """As Terraform creates it, with a token of its own; a listing shows that there is nothing to be copied."""
    google.secrets.put("db", labels={"by": "terraform"})
    store = await open_gcp(mark="job.1")
    made = google.secrets.of("db").made
    for look in (store.stat(["db"]), store.describe(["db"])):
        ((version, deleted),) = (await shown(look)).values()
        assert not deleted
        assert version is not None
        assert (version[:2], datetime.fromisoformat(version[2:])) == ("0@", datetime.fromisoformat(made))
    assert await shown(store.list("", recursive=True, metadata=False)) == {"db": (version, True)}
    with pytest.raises(Conflict):
        await store.write_if("db", ONE, None)
    for refused in (store.check_write, store.write_if):
        with pytest.raises(StoreError, match="does not say that it is this job's"):
            await refused("db", ONE, version)
    with pytest.raises(Conflict):
        await store.delete_if("db", version)
    assert google.secrets.of("db").versions == []
    assert google.secrets.of("db").fields == {"labels": {"by": "terraform"}}
    await store.mark("db")  # which is what taking it over does
    await store.write_if("db", ONE, version)
    assert google.secrets.values() == {"db": b"one"}


async def test_an_empty_secret_that_is_filled_meanwhile_is_no_longer_empty(google: Google, open_gcp: OpenStore) -> None:
    """What somebody has put in it is seen before anything is added."""
    google.secrets.put("db", annotations={MARK: "job.1"})
    store = await open_gcp(mark="job.1")
    ((version, _),) = (await shown(store.stat(["db"]))).values()
    google.secrets.put("db", b"theirs")
    for expected in (version, None):
        with pytest.raises(Conflict):
            await store.write_if("db", ONE, expected)
    assert [each.data for each in google.secrets.of("db").versions] == [b"theirs"]


@pytest.mark.parametrize("expected", ["none", "seen"])
async def test_what_a_killed_run_has_begun_is_filled(google: Google, open_gcp: OpenStore, expected: str) -> None:
    """A secret with this job's mark and without a version counts as deleted: nobody has put anything in it."""
    google.secrets.put("db", annotations={MARK: "job.1"})
    store = await open_gcp(mark="job.1")
    ((version, deleted),) = (await shown(store.stat(["db"]))).values()
    assert deleted
    await store.write_if("db", ONE, version if expected == "seen" else None)
    assert google.secrets.values() == {"db": b"one"}


@pytest.mark.parametrize("theirs", ["", "labels", "old"])
async def test_a_creation_without_an_answer_is_known_again(google: Google, open_gcp: OpenStore, theirs: str) -> None:
    """Also without a mark: by what it was created with, and when. What somebody else made is not taken for it."""
    store = await open_gcp(gate=Repeating())

    def lose(asked: Asked, answer: dict[str, Any]) -> Any:
        google.after = lambda _, answer: answer
        if theirs == "labels":
            google.secrets.of("db").fields["labels"] = {"by": "terraform"}
        elif theirs == "old":
            google.secrets.of("db").made = "2026-01-01T00:00:00.000001Z"
        return b"<html>"

    google.after = lose
    if theirs:
        with pytest.raises(Conflict) as caught:
            await store.write_if("db", ONE, None)
        assert caught.value.unanswered
    else:
        await store.write_if("db", ONE, None)
    assert google.secrets.values() == ({} if theirs else {"db": b"one"})


async def test_what_is_just_like_ours_is_not_ours(google: Google, open_gcp: OpenStore) -> None:
    """An empty secret that somebody has made a moment ago, with nothing beside it either, where every answer came."""
    google.secrets.put("db")
    store = await open_gcp()
    with pytest.raises(Conflict):
        await store.write_if("db", ONE, None)
    assert google.secrets.of("db").versions == []


async def test_an_alias_that_is_behind_hides_nothing(google: Google, open_gcp: OpenStore) -> None:
    """`latest` may still show the version that somebody has disabled, or none: what follows by its number counts."""
    google.secrets.put("old", b"one", b"two")
    google.secrets.of("old").versions[0].state = "DISABLED"
    google.secrets.put("new", b"one")
    store = await open_gcp()
    google.secrets.latest = {"old": 1, "new": 0}
    assert {key: (version or "")[:2] for key, (version, _) in (await shown(store.stat(["old", "new"]))).items()} == {
        "old": "2@",
        "new": "1@",
    }
    assert (await store.read("old")).value.reveal() == b"two"
    assert (await store.read("new")).value.reveal() == b"one"
    listed = await shown(store.list("", recursive=True, metadata=False))
    assert [deleted for _, deleted in listed.values()] == [False, False]


async def test_versions_are_pinned_by_number_and_alias(google: Google, open_gcp: OpenStore) -> None:
    """An alias leads to the version that it names, and one that is not there to an error that says so."""
    google.secrets.put("db", b"one", b"two", versionAliases={"stable": "1"})
    store = await open_gcp()
    for pin in ("1", "stable"):
        secret = await store.read("db", pin)
        assert secret.value.reveal() == b"one"
        assert secret.version.startswith("1@")
    with pytest.raises(SecretNotFound, match="version canary of db is not in gcp"):
        await store.read("db", "canary")


# -- writes of others


async def test_a_write_between_look_and_write_wins(google: Google, open_gcp: OpenStore) -> None:
    """What somebody adds right before us is the current value again, ours is destroyed, and the write is a Conflict."""
    store = await open_gcp()
    seen = await store.write("db", ONE)

    def before(asked: Asked) -> None:
        if asked.method.endswith("addVersion"):
            google.before = lambda _: None
            google.secrets.put("db", b"theirs")

    google.before = before
    with pytest.raises(Conflict):
        await store.write_if("db", TWO, seen)
    assert google.secrets.values() == {"db": b"theirs"}
    states = [(version.data, version.state) for version in google.secrets.of("db").versions]
    assert states == [(b"one", "ENABLED"), (b"theirs", "ENABLED"), (b"", "DESTROYED"), (b"theirs", "ENABLED")]


async def test_who_may_not_give_way_says_whose_version_is_which(google: Google, open_gcp: OpenStore) -> None:
    """Without the right to read, ours stays the current one, and the error names both versions and neither value."""
    store = await open_gcp()
    seen = await store.write("db", ONE)
    google.secrets.permitted = lambda permission, _: permission != "versions.access"

    def before(asked: Asked) -> None:
        if asked.method.endswith("addVersion"):
            google.before = lambda _: None
            google.secrets.put("db", b"theirs")

    google.before = before
    with pytest.raises(StoreError, match="version 2 of db was written in gcp right before version 3, which is ours"):
        await store.write_if("db", TWO, seen)
    assert google.secrets.values() == {"db": b"two"}


async def test_a_look_that_is_behind_stops_no_write(google: Google, open_gcp: OpenStore) -> None:
    """`latest` may show an older version for a while; the one that is expected is looked at by its number then."""
    store = await open_gcp()
    await store.write("db", ONE)
    seen = await store.write("db", TWO)
    real = google.secrets.of("db").versions

    def after(asked: Asked, answer: dict[str, Any]) -> dict[str, Any]:
        if asked.method.endswith("versions.get") and asked.path["versionsId"] == "latest":
            name = answer["name"].rpartition("/")[0]
            return {**answer, "name": f"{name}/1", "createTime": real[0].made, "etag": real[0].etag}
        return answer

    google.after = after
    await store.write_if("db", THREE, seen)
    assert google.secrets.values() == {"db": b"three"}


async def test_a_delete_is_of_what_was_seen(google: Google, open_gcp: OpenStore) -> None:
    """Neither another version nor a secret that was changed since, or made anew, is deleted."""
    store = await open_gcp()
    seen = await store.write("db", ONE)
    google.secrets.put("db", b"theirs")
    with pytest.raises(Conflict):
        await store.delete_if("db", seen)
    seen = await store.write("db", TWO)

    def before(asked: Asked) -> None:
        if asked.method == "projects.secrets.delete":
            google.secrets.of("db").etag = '"another"'

    google.before = before
    with pytest.raises(Conflict):
        await store.delete_if("db", seen)
    google.before = lambda _: None
    await store.delete_if("db", seen)
    assert google.secrets.values() == {}


# -- what it costs


async def test_requests(google: Google, open_gcp: OpenStore, gate: CountingGate) -> None:
    """A page, and a look for each secret that is wanted; a value is one more; an update is three, a new one two."""
    for number in range(30):
        google.secrets.put(f"k{number:02}", b"v")
    store = await open_gcp()
    await shown(store.list("", recursive=True, metadata=True))
    assert gate.counts == {"list": 1, "stat": 30}
    gate.counts.clear()
    await shown(store.describe([f"k{number:02}" for number in range(30)]))
    assert gate.counts == {"list": 1, "stat": 30}
    gate.counts.clear()
    secret = await store.read("k00")
    await store.write_if("k00", ONE, secret.version)
    assert gate.counts == {"read": 1, "stat": 2, "write": 1}
    gate.counts.clear()
    await store.write_if("new", ONE, None)
    assert gate.counts == {"write": 2}


async def test_what_a_listing_omits_is_looked_at(google: Google, open_gcp: OpenStore) -> None:
    """A listing may be behind, so nothing counts as absent because of it."""
    for number in range(30):
        google.secrets.put(f"k{number:02}", b"v")
    store = await open_gcp()

    def after(asked: Asked, answer: dict[str, Any]) -> dict[str, Any]:
        if asked.method == "projects.secrets.list":
            answer["secrets"] = [each for each in answer["secrets"] if not each["name"].endswith("k07")]
        return answer

    google.after = after
    keys = [f"k{number:02}" for number in range(31)]
    assert sorted(await shown(store.stat(keys))) == keys[:30]
    assert len(await store.marks(keys)) == 0


# -- answers that do not fit


@pytest.mark.parametrize(
    ("method", "change", "told"),
    [
        ("access", {"payload": {"data": base64.b64encode(b"two").decode(), "dataCrc32c": "1"}}, "its checksum is not"),
        ("access", {"payload": {"data": base64.b64encode(b"two").decode()}}, "dataCrc32c is missing"),
        ("access", {"payload": {"data": 7}}, "cannot be read"),
        ("access", {"name": "projects/123456789012/secrets/other/versions/1"}, "another secret"),
        ("access", {"name": "projects/123456789012/locations/europe-west3/secrets/db/versions/1"}, "another location"),
        ("access", {"name": "projects/99/secrets/db/versions/1"}, "another project"),
        ("access", {"name": "projects/123456789012/secrets/db/versions/latest"}, "not the name of a version"),
        ("get", {"state": 0}, "state is missing"),
        ("get", {"state": 7}, "state is missing or unknown"),
        ("get", {"createTime": None}, "createTime is missing"),
        ("get", {"createTime": "yesterday"}, "cannot be read"),
    ],
)
async def test_an_answer_that_does_not_fit_is_no_fact(
    google: Google, open_gcp: OpenStore, method: str, change: dict[str, Any], told: str
) -> None:
    """Nothing is concluded from it, and nothing of it is shown."""
    google.secrets.put("db", b"one")
    store = await open_gcp()
    await store.read("db")  # so that the number of the project is known
    store = store if method == "access" else await open_gcp()
    google.after = lambda asked, answer: {**answer, **change} if asked.method.endswith(f".{method}") else answer
    with pytest.raises(MalformedAnswer, match=told) as caught:
        await store.read("db")
    assert "two" not in str(caught.value)


async def test_a_delete_that_a_proxy_answers_is_none(google: Google, open_gcp: OpenStore) -> None:
    """A page of HTML with status 200 says nothing of the secret."""
    google.secrets.put("db", b"one")
    store = await open_gcp()
    google.after = lambda _, __: b"<html>welcome</html>"
    with pytest.raises(MalformedAnswer):
        await store.delete("db")


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"status": "ok"}', b'{"totalSize": 3}', b'{"secrets": {}}'])
async def test_a_listing_that_is_none_is_not_an_empty_one(google: Google, open_gcp: OpenStore, body: bytes) -> None:
    """An empty project answers with an empty object; anything else without secrets says nothing."""
    store = await open_gcp()
    google.after = lambda _, __: body
    with pytest.raises(MalformedAnswer):
        await shown(store.list("", recursive=True, metadata=False))
    google.after = lambda _, __: {}
    assert await shown(store.list("", recursive=True, metadata=False)) == {}


# -- what the service does not take


async def test_what_a_creation_lacks_is_told(google: Google, open_gcp: OpenStore) -> None:
    """Where Google takes a document's settings for wrong, the error names them, and is not about the value."""
    store = await open_gcp()

    def before(asked: Asked) -> None:
        if asked.method == "projects.secrets.create":
            raise Refused("INVALID_ARGUMENT", "The KMS key projects/x does not exist.")

    google.before = before
    with pytest.raises(InvalidSecret, match="refuses to create db") as caught:
        await store.write("db", ONE)
    assert "KMS key" in caught.value.hint
