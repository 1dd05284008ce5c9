"""SyncJobs to and from a key vault: what they copy, refuse in the plan, put right, delete and undo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from run.world import counted
from support.azure import refusals
from support.azure.entra import Identity
from support.azure.service import KeyVault

from azure_key_vault.conftest import SECRET
from secretsync_core.errors import DocumentError
from secretsync_core.stores import memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from run.world import World
    from support.azure.trust import Trust

    from azure_key_vault.conftest import Section

FLAT = 'keyTransform: [{case: Lower}, {replace: {characters: "/_.", with: "-"}}]'
ALL = f"- {{name: all, query: {{recursive: true}}, {FLAT}}}"


@pytest.fixture
def in_azure(world: World, section: Section) -> Callable[..., None]:
    """``in_azure("dst", tags={...})`` makes a store of the world one at ``azure``."""
    return lambda name, **given: world.store(name, f"azureKeyVault: {json.dumps(section(**given))}")


def reasons(report: Any) -> dict[str, str]:
    """What is said of each failure, by key."""
    return {outcome.change.key: outcome.code for outcome in report.failures}


async def test_fields_become_json_and_come_back(world: World, in_azure: Any, azure: KeyVault) -> None:
    """Fields are a JSON object there, and the same fields again in a store of fields."""
    in_azure("dst")
    world.job(ALL)
    await world.seed("src", {"app/DB_1": {"user": "u", "port": 5432}, "app/plain": {"value": "text"}})
    assert counted(await world.sync()) == {"created": 2}
    assert azure.vault.values() == {"app-db-1": '{"port":5432,"user":"u"}', "app-plain": "text"}
    in_azure("src")
    world.store("back")
    world.job("- {name: all, query: {recursive: true}}", dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"app-db-1": {"user": "u", "port": 5432}, "app-plain": {"value": "text"}}


async def test_a_sync_that_changes_nothing(world: World, in_azure: Any, azure: KeyVault) -> None:
    """It reads no value: two pages tell of thirty secrets, and one of those that are deleted."""
    in_azure("dst")
    world.job(ALL)
    await world.seed("src", {f"app/{number}": {"password": "p"} for number in range(30)})
    await world.sync()
    azure.requests.clear()
    report = await world.sync()
    assert counted(report) == {"unchanged": 30}
    assert report.requests["dst"] == {"list": 3}
    assert set(azure.made("GET")) == {"/secrets", "/deletedsecrets"}


async def test_changes_drift_and_deletes(world: World, in_azure: Any, azure: KeyVault) -> None:
    """What changed at the source is updated, what somebody else changed is put right, what is gone is deleted."""
    in_azure("dst")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await world.seed("src", {f"app/{number}": {"password": "p"} for number in range(4)})
    await world.sync()
    await world.put("src", "app/0", {"password": "new"})
    tags = azure.vault.live["app-1"].current.tags
    azure.vault.set("app-1", {"value": "theirs", "tags": tags})
    azure.vault.set("not-ours", {"value": "kept"})
    azure.vault.delete("app-2")
    await world.remove("src", "app/3")
    report = await world.sync()
    assert report.ok, report
    old = '{"password":"p"}'
    assert azure.vault.values() == {
        "app-0": '{"password":"new"}',
        "app-1": old,
        "app-2": old,
        "not-ours": "kept",
    }
    assert set(azure.vault.gone) == {"app-3"}
    assert counted(await world.sync()) == {"unchanged": 3}


async def test_what_is_not_ours_stays(world: World, in_azure: Any, azure: KeyVault) -> None:
    """A secret that stood there before, in whatever case, is refused in the plan and neither written nor deleted."""
    azure.vault.set("App-DB", {"value": "theirs"})
    in_azure("dst")
    world.job(ALL)
    await world.put("src", "app/db", {"password": "p"})
    report = await world.sync()
    assert not report.ok
    assert azure.vault.values() == {"App-DB": "theirs"}
    assert azure.made("PUT") == []


async def test_what_is_disabled_is_there_and_somebody_elses(world: World, in_azure: Any, azure: KeyVault) -> None:
    """A secret that cannot be read is no absent one: what is not proven to be ours is neither written nor deleted."""
    azure.vault.set("app-db", {"value": "theirs", "attributes": {"enabled": False}})
    in_azure("dst")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await world.seed("src", {"app/db": {"password": "p"}, "app/ours": {"password": "p"}})
    assert not (await world.sync()).ok
    azure.vault.set("app-ours", {"value": "theirs", "attributes": {"enabled": False}})
    assert not (await world.sync()).ok
    await world.remove("src", "app/db")
    await world.remove("src", "app/ours")
    await world.sync()
    assert azure.vault.values() == {"app-db": "theirs", "app-ours": "theirs"}
    assert azure.made("DELETE") == []


async def test_what_was_others_before_its_deletion_is_ours_only_once_it_is_written(
    world: World, in_azure: Any, azure: KeyVault
) -> None:
    """Recovering brings back the tags of before: what then is not written is not the job's, this time or the next."""
    azure.vault.set("app-db", {"value": "theirs", "tags": {"secretsync.io-owner": "others"}})
    azure.vault.delete("app-db")
    in_azure("dst")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await world.put("src", "app/db", {"password": "p"})
    azure.before("^POST", lambda: azure.refuse("^(PUT|DELETE)", refusals.by_policy("set")))
    report = await world.sync()
    assert "is live with its old value" in report.failures[0].message
    azure.heal()
    assert not (await world.sync()).ok
    await world.remove("src", "app/db")
    await world.sync()
    assert azure.vault.values() == {"app-db": "theirs"}
    azure.vault.delete("app-db")
    await world.put("src", "app/db", {"password": "p"})
    assert (await world.sync()).ok
    current = azure.vault.live["app-db"].current
    assert current.value == '{"password":"p"}'
    assert current.tags["secretsync.io-owner"] != "others"


async def test_what_comes_back_is_recovered(world: World, in_azure: Any, azure: KeyVault) -> None:
    """A secret that the job deleted and whose source is there again is no conflict, run after run."""
    in_azure("dst")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await world.seed("src", {"app/a": {"password": "1"}, "app/b": {"password": "1"}})
    await world.sync()
    await world.remove("src", "app/a")
    await world.sync()
    assert set(azure.vault.values()) == {"app-b"}
    await world.put("src", "app/a", {"password": "2"})
    assert counted(await world.sync()) == {"created": 1, "unchanged": 1}
    assert azure.vault.values()["app-a"] == '{"password":"2"}'
    assert counted(await world.sync()) == {"unchanged": 2}


async def test_undo_puts_back_what_was_there(world: World, in_azure: Any, azure: KeyVault) -> None:
    """The version before is found by its time; what the run created is deleted, what it deleted is recovered."""
    in_azure("dst")
    world.job(ALL, deletionPolicy="Delete", maxDelete="100%")
    await world.seed("src", {"app/0": {"password": "old"}, "app/2": {"password": "kept"}})
    await world.sync()
    await world.put("src", "app/0", {"password": "new"})
    await world.put("src", "app/1", {"password": "p"})
    await world.remove("src", "app/2")
    report = await world.sync()
    assert report.ok
    assert set(azure.vault.values()) == {"app-0", "app-1"}
    undone = await world.undo(report.run)
    assert undone.ok, undone
    assert azure.vault.values() == {"app-0": '{"password":"old"}', "app-2": '{"password":"kept"}'}


async def test_what_would_be_refused_is_refused_in_the_plan(world: World, in_azure: Any, azure: KeyVault) -> None:
    """Names, sizes, bytes and empty values: before anything is written."""
    in_azure("dst")
    world.files("src")
    world.job("- {name: all, query: {recursive: true}}")
    bad = {"a/b": b"v", "under_score": b"v", "Upper": b"v", "large": b"x" * 25_601, "empty": b"", "bytes": b"\xff"}
    await world.seed("src", {**bad, "good": b"v", "full": b"x" * 25_600})
    report = await world.sync()
    assert set(reasons(report)) == set(bad)
    assert set(azure.vault.values()) == {"good", "full"}
    assert set(azure.made("PUT")) == {"/secrets/good", "/secrets/full"}


async def test_metadata_is_reconciled(world: World, in_azure: Any, azure: KeyVault) -> None:
    """What a document asks for is set on what the job created before, without a new version."""
    in_azure("dst")
    world.job(ALL)
    await world.put("src", "db", {"password": "p"})
    await world.sync()
    in_azure("dst", tags={"team": "payments"}, contentType="application/json", expires="2030-01-01T00:00:00Z")
    assert counted(await world.sync()) == {"updated": 1}
    held = azure.vault.live["db"]
    assert (held.current.tags["team"], held.current.content_type, held.current.exp) == (
        "payments",
        "application/json",
        1893456000,
    )
    assert len(held.versions) == 1
    assert counted(await world.sync()) == {"unchanged": 1}
    held.current.enabled = False
    assert counted(await world.sync()) == {"unchanged": 1}
    in_azure("dst", enabled=True)
    assert counted(await world.sync()) == {"updated": 1}
    assert held.current.enabled


async def test_tags_are_copied_and_marks_are_not(world: World, in_azure: Any, azure: KeyVault) -> None:
    """A tag of a source becomes custom metadata, and back; whose secret it is concerns that vault alone."""
    azure.vault.set("db", {"value": "p", "tags": {"team": "x", "secretsync.io-owner": "somebody"}})
    in_azure("src")
    world.job("- {name: all, query: {recursive: true}, metadata: {copy: ['*']}}")
    assert (await world.sync()).ok
    handle = await world.handle("dst")
    described = [each async for each in handle.describe(["db"])]
    assert {name for name in described[0].metadata if not name.startswith("secretsync.io/")} == {"team"}


SETTINGS = "metadata: {settings: [contentType, enabled, expires, notBefore]}"
TIMED = {"attributes": {"nbf": 1767225600, "exp": 1893456000}, "contentType": "text/plain"}


async def test_settings_go_from_vault_to_vault(
    world: World, in_azure: Any, azure: KeyVault, azure_trust: Trust
) -> None:
    """Times, content type and whether it is enabled come with a copy, and follow what changes at the source."""
    with KeyVault(azure_trust.server) as other:
        other.entra.identities.append(Identity(secret=SECRET))
        azure.vault.set("db", {"value": "p", **TIMED})
        azure.vault.set("plain", {"value": "p"})
        in_azure("src")
        in_azure("dst", vaultUrl=other.address, authorityHost=other.entra.address)
        world.job(f"- {{name: all, query: {{recursive: true}}, {SETTINGS}}}")
        assert counted(await world.sync()) == {"created": 2}
        copy = other.vault.live["db"]
        assert (copy.current.nbf, copy.current.exp, copy.current.content_type) == (1767225600, 1893456000, "text/plain")
        plain = other.vault.live["plain"].current
        assert (plain.nbf, plain.exp, plain.content_type, plain.enabled) == (None, None, None, True)
        assert counted(await world.sync()) == {"unchanged": 2}
        azure.vault.update("db", "", {"attributes": {"exp": 1900000000, "enabled": False}})
        planned = await world.plan()
        assert {change.key: change.metadata for change in planned.changes if change.metadata} == {
            "db": ("enabled", "expires")
        }
        assert counted(await world.sync()) == {"updated": 1, "unchanged": 1}
        assert (copy.current.exp, copy.current.enabled, len(copy.versions)) == (1900000000, False, 1)
        assert counted(await world.sync()) == {"unchanged": 2}
        other.check()


async def test_settings_come_from_custom_metadata_and_go_back(world: World, in_azure: Any, azure: KeyVault) -> None:
    """A store without such settings has them as metadata of that name: there and back they are the same."""
    await world.seed("src", {"db": {"password": "p"}, "plain": {"password": "p"}})
    memory.set_metadata("src", "db", {"expires": "2030-01-01T01:00:00+01:00", "contentType": "text/plain"})
    in_azure("dst")
    world.job(f"- {{name: all, query: {{recursive: true}}, {SETTINGS}}}")
    assert (await world.sync()).ok
    current = azure.vault.live["db"].current
    assert (current.exp, current.content_type, current.nbf) == (1893456000, "text/plain", None)
    assert counted(await world.sync()) == {"unchanged": 2}
    in_azure("src")
    world.store("back")
    world.job(f"- {{name: all, query: {{recursive: true}}, {SETTINGS}}}", dest="back")
    assert (await world.sync()).ok
    handle = await world.handle("back")
    found = {each.key: dict(each.metadata) async for each in handle.describe(["db", "plain"])}
    for each in found.values():
        each.pop("secretsync.io/owner", None)
    assert found == {
        "db": {"expires": "2030-01-01T00:00:00Z", "contentType": "text/plain", "enabled": "true"},
        "plain": {"enabled": "true"},
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("expires", "2030-02-30T00:00:00Z"),
        ("expires", "2030-01-01"),
        ("notBefore", "1969-01-01T00:00:00Z"),
        ("enabled", "yes"),
        ("contentType", "x" * 256),
    ],
)
async def test_settings_that_are_none_are_refused_in_the_plan(
    world: World, in_azure: Any, azure: KeyVault, name: str, text: str
) -> None:
    """What custom metadata calls a time, and is none, is written nowhere and shown nowhere."""
    await world.seed("src", {"db": {"password": "p"}, "good": {"password": "p"}})
    memory.set_metadata("src", "db", {name: text})
    in_azure("dst")
    world.job(f"- {{name: all, query: {{recursive: true}}, {SETTINGS}}}")
    planned = await world.plan()
    assert {change.key: change.action for change in planned.changes} == {"db": "refuse", "good": "create"}
    assert all(text not in repr(change) for change in planned.changes)
    assert not (await world.sync()).ok
    assert set(azure.vault.values()) == {"good"}


async def test_a_job_never_reads_what_it_writes(world: World, in_azure: Any) -> None:
    """Two documents for one vault are one place, whatever they are called, and validation says so."""
    in_azure("src")
    in_azure("dst")
    world.job("- {name: all, query: {recursive: true}}")
    with pytest.raises(DocumentError) as caught:
        _ = world.documents
    assert "azureKeyVault https://127.0.0.1" in caught.value.problems[0].hint
