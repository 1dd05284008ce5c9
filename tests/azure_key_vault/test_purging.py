"""Deletes for good, where the document says so: what is the job's in every version, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from run.world import counted
from support.azure import refusals

from secretsync_core.errors import Conflict, StoreError
from secretsync_core.model.change import Failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from run.world import World
    from support.azure.service import KeyVault

    from azure_key_vault.conftest import OpenStore, Section

ALL = "- {name: all, query: {recursive: true}}"
GOING = {"deletionPolicy": "Delete", "maxDelete": "100%"}


@pytest.fixture
def purging(world: World, section: Section, azure: KeyVault) -> Callable[..., Awaitable[None]]:
    """``await purging(azure)`` copies ``db`` and ``stays`` to a vault that can be purged, and takes ``db`` away."""

    async def copied(*, adopt: str = "false", mark: str = "", **spec: Any) -> None:
        azure.vault.purge_protected = False
        azure.entra.identities[0].rights |= {"purge"}
        world.store("dst", f"azureKeyVault: {json.dumps(section(purgeOnDelete=True))}")
        world.job(ALL, ownership=f"{{adopt: {adopt}{mark}}}", **GOING, **spec)
        await world.seed("src", {"db": {"password": "1"}, "stays": {"password": "1"}})
        assert (await world.sync()).ok
        await world.put("src", "db", {"password": "2"})
        assert (await world.sync()).ok
        await world.remove("src", "db")

    return copied


async def refused(world: World, azure: KeyVault, code: str, *texts: str) -> None:
    """The plan says why ``db`` cannot be purged, the sync says the same, and it is there as it was."""
    planned = await world.plan()
    told = {change.key: (change.action, change.failure) for change in planned.changes}["db"]
    report = await world.sync()
    (failed,) = report.failures
    assert failed.code == code
    assert told == ("refuse", Failure(failed.code, failed.message, failed.hint))
    assert all(text in f"{failed.message} {failed.hint}" for text in texts), failed
    assert azure.vault.values().keys() == {"db", "stays"}
    assert azure.made("DELETE") == []


async def test_what_is_ours_is_purged(world: World, purging: Any, azure: KeyVault) -> None:
    """It is gone with all its versions, nothing else is, and an undo says that it cannot be brought back."""
    await purging()
    azure.vault.set("theirs", {"value": "v"})
    azure.vault.delete("theirs")
    report = await world.sync()
    assert counted(report) == {"deleted": 1, "unchanged": 1}
    assert (set(azure.vault.values()), set(azure.vault.gone)) == ({"stays"}, {"theirs"})
    assert azure.made("DELETE") == ["/secrets/db", "/deletedsecrets/db"]
    assert counted(await world.sync()) == {"unchanged": 1}
    undone = await world.undo(report.run)
    assert not undone.ok
    assert azure.vault.values().keys() == {"stays"}


async def test_a_version_of_somebody_else_keeps_it(world: World, purging: Any, azure: KeyVault) -> None:
    """The job took over the version that was there. An older one is not its own, and a purge would take that too."""
    azure.vault.set("db", {"value": "their first"})
    azure.vault.set("db", {"value": "theirs"})
    await purging(adopt="true")
    await refused(world, azure, "not-ours", "there is 1 version of it in dst without this job's mark", "by hand")


async def test_without_marks_nothing_is_purged(world: World, purging: Any, azure: KeyVault) -> None:
    """Where the job sets no marks nothing shows whose a version is."""
    await purging(mark=", mark: false")
    await refused(world, azure, "not-ours", "this job sets no marks in dst")


async def test_purge_protection_is_told_before_anything_is_deleted(world: World, purging: Any, azure: KeyVault) -> None:
    """A vault that nobody can purge is no place for such a document: the plan says so."""
    await purging()
    azure.vault.purge_protected = True
    await refused(world, azure, "store", "dst has purge protection", "leave purgeOnDelete out")


async def test_without_the_right_it_is_deleted_and_the_error_says_so(
    world: World, purging: Any, azure: KeyVault
) -> None:
    """What could not be purged can be recovered, and is told once; a later run has nothing to do."""
    await purging()
    azure.roles = False
    azure.entra.identities[0].rights -= {"purge"}
    (failed,) = (await world.sync()).failures
    assert "db is deleted in dst, and is not purged" in failed.message
    assert "the secret permission purge" in failed.hint
    assert "az keyvault secret purge --name db" in failed.hint
    assert set(azure.vault.gone) == {"db"}
    assert (await world.sync()).ok


async def test_by_default_nothing_is_purged(world: World, section: Section, purging: Any, azure: KeyVault) -> None:
    """A document that does not ask for it leaves what is deleted to the vault."""
    await purging()
    world.store("dst", f"azureKeyVault: {json.dumps(section())}")
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 1}
    assert set(azure.vault.gone) == {"db"}


def rewritten(azure: KeyVault) -> None:
    """Somebody recovers the secret, writes it and deletes it."""
    azure.vault.recover("db")
    azure.vault.set("db", {"value": "theirs"})
    azure.vault.delete("db")


async def test_what_somebody_else_deleted_since_is_not_purged(world: World, purging: Any, azure: KeyVault) -> None:
    """Between the deletion and the purge it was recovered, written and deleted again: that is theirs."""
    await purging()
    azure.before("^GET /deletedsecrets/db", lambda: rewritten(azure))
    (failed,) = (await world.sync()).failures
    assert "is not purged: db in dst changed meanwhile" in failed.message
    assert azure.vault.gone["db"].current.value == "theirs"


async def test_what_this_job_wrote_elsewhere_meanwhile_is_not_purged(
    world: World, purging: Any, azure: KeyVault
) -> None:
    """Recovered, written with this job's mark and deleted again, as by another run of it: not what was deleted here."""
    await purging()
    tags = dict(azure.vault.live["db"].current.tags)

    def ours_again() -> None:
        azure.vault.recover("db")
        azure.vault.set("db", {"value": "newer", "tags": tags})
        azure.vault.delete("db")

    azure.before("^GET /deletedsecrets/db", ours_again)
    (failed,) = (await world.sync()).failures
    assert "is not purged: db in dst changed meanwhile" in failed.message
    assert azure.vault.gone["db"].current.value == "newer"


async def test_a_newer_version_is_neither_deleted_nor_purged(opened: OpenStore, azure: KeyVault) -> None:
    """Of a secret that was written since the look, by whoever has this job's mark, nothing goes."""
    azure.vault.purge_protected = False
    azure.entra.identities[0].rights |= {"purge"}
    tags = {"secretsync.io-owner": "ours"}
    azure.vault.set("db", {"value": "1", "tags": tags})
    store = await opened(mark="ours", purgeOnDelete=True)
    (seen,) = [each async for each in store.stat(["db"])]
    azure.vault.set("db", {"value": "2", "tags": tags})
    with pytest.raises(Conflict):
        await store.delete_if("db", seen.version)
    assert set(azure.vault.values()) == {"db"}
    assert not azure.made("DELETE")


async def test_what_somebody_else_recovered_since_is_told(world: World, purging: Any, azure: KeyVault) -> None:
    """Right before the purge it was recovered: it is live, and the error says that it changed."""
    await purging()
    azure.before("^DELETE /deletedsecrets/db", lambda: azure.vault.recover("db"))
    (failed,) = (await world.sync()).failures
    assert "changed meanwhile" in failed.message
    assert "db" in azure.vault.values()


async def test_what_somebody_else_purged_since_is_gone(world: World, purging: Any, azure: KeyVault) -> None:
    """Somebody was faster: it is as it was to be."""
    await purging()
    azure.before("^DELETE /deletedsecrets/db", lambda: azure.vault.gone.pop("db"))
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 1}


async def test_a_deletion_that_takes_its_time_is_waited_for(opened: OpenStore, azure: KeyVault) -> None:
    """Where the vault is still deleting it, the error is one that is tried again."""
    azure.vault.purge_protected = False
    azure.entra.identities[0].rights |= {"purge"}
    azure.vault.set("db", {"value": "v", "tags": {"secretsync.io-owner": "ours"}})
    azure.vault.deletes_after = 5
    store = await opened(mark="ours", purgeOnDelete=True)
    with pytest.raises(StoreError, match="is not purged: kv is still deleting db"):
        await store.delete("db")
    azure.refuse("^DELETE /secrets", refusals.not_found("db"))
    await store.delete("db")  # absent by now
