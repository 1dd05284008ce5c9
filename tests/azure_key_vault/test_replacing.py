"""Writes to a deleted name: what is recovered for them is deleted again if they fail, and nothing else ever is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from support.azure import refusals
from support.azure.entra import ALL, Identity
from support.azure.vault import Held, Version
from support.gate import CountingGate, Persistent

from azure_key_vault.conftest import SECRET
from azure_key_vault.errors import raised
from secretsync_core.errors import Conflict, InvalidSecret, SecretFails, StoreUnavailable
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.azure.service import KeyVault

    from azure_key_vault.conftest import OpenStore

VALUE = SecretValue(b"canary-4711")


@pytest.fixture
def gone(azure: KeyVault) -> KeyVault:
    """The vault, in which ``a`` is deleted; it was somebody's."""
    azure.vault.set("a", {"value": "old", "tags": {"secretsync.io-owner": "others"}})
    azure.vault.delete("a")
    return azure


def refuse_writes(azure: KeyVault, refused: refusals.RefusedError) -> None:
    """Refuse every write that comes after the recovery."""
    azure.before("^POST", lambda: azure.refuse("^PUT", refused))


@pytest.mark.parametrize(
    "refused",
    [
        refusals.bad("tags"),
        refusals.by_role(),
        refusals.failing(),
        refusals.throttled(),
        refusals.RefusedError(502, "Bad", "gateway"),
    ],
    ids=["bad", "denied", "failing", "throttled", "unavailable"],
)
async def test_a_write_that_fails_leaves_it_deleted(
    gone: KeyVault, opened: OpenStore, refused: refusals.RefusedError
) -> None:
    """However it fails: nobody finds an old value there that had been deleted, and the error is the write's."""
    store = await opened()
    refuse_writes(gone, refused)
    error = await raised(store.write("a", VALUE))
    assert gone.vault.values() == {}
    assert set(gone.vault.gone) == {"a"}
    assert "old value" not in error.message


async def test_a_recovery_that_takes_long_is_taken_back(gone: KeyVault, opened: OpenStore) -> None:
    """Also where the write was never sent; and then nobody has to look whether it was made."""
    store = await opened()
    gone.vault.recovers_after = 3
    error = await raised(store.write("a", VALUE))
    assert isinstance(error, SecretFails)
    assert not error.unanswered
    assert (gone.vault.values(), set(gone.vault.gone)) == ({}, {"a"})


async def test_a_recovery_that_does_not_end_is_told(gone: KeyVault, opened: OpenStore) -> None:
    """What nobody can delete yet may be live soon."""
    store = await opened()
    gone.vault.recovers_after = 1000
    error = await raised(store.write("a", VALUE))
    assert "may be live with its old value" in error.message
    assert "az keyvault secret delete --name a" in error.hint


async def test_what_cannot_be_deleted_again_is_told(gone: KeyVault, opened: OpenStore) -> None:
    """Without the right to delete the old value is live, which the error says, beside what to do about the write."""
    gone.entra.identities[:] = [Identity(secret=SECRET, rights=ALL - {"delete"})]
    store = await opened()
    refuse_writes(gone, refusals.by_policy("set"))
    error = await raised(store.write("a", VALUE))
    assert gone.vault.values() == {"a": "old"}
    assert "is live with its old value" in error.message
    assert "az keyvault secret delete --name a" in error.hint
    assert "the secret permission set" in error.hint
    assert str(error) == error.message
    assert "canary" not in f"{error!r} {error.hint}"


async def test_a_write_that_is_cancelled_leaves_it_deleted(gone: KeyVault, opened: OpenStore) -> None:
    """A run that is stopped in between leaves no old value behind either."""

    class Cancelling(CountingGate):
        async def __call__(self, kind: str, attempt: Callable[[], Awaitable[Any]]) -> Any:
            if kind == "write" and "a" in gone.vault.live:
                raise asyncio.CancelledError
            return await super().__call__(kind, attempt)

    store = await opened(gate=Cancelling())
    with pytest.raises(asyncio.CancelledError):
        await store.write("a", VALUE)
    assert (gone.vault.values(), set(gone.vault.gone)) == ({}, {"a"})


# -- what is not ours


async def test_what_somebody_else_recovers_is_theirs(gone: KeyVault, opened: OpenStore) -> None:
    """Before we could: it is neither written nor deleted, and is looked at anew."""
    store = await opened()
    gone.before("^POST", lambda: (gone.vault.recover("a"), gone.vault.versions("a")))
    assert isinstance(await raised(store.write("a", VALUE)), Conflict)
    assert gone.vault.values() == {"a": "old"}
    assert gone.made("DELETE") == []


async def test_what_somebody_else_may_have_recovered_is_not_deleted(gone: KeyVault, opened: OpenStore) -> None:
    """Where our recovery got no answer nobody knows whose it was: it is left, and the error says that it is live."""
    store = await opened(gate=Persistent())
    gone.before("^POST", lambda: (gone.vault.recover("a"), gone.vault.versions("a")))
    gone.answer("^POST", 502, b"", times=1)
    refuse_writes(gone, refusals.bad("tags"))
    error = await raised(store.write("a", VALUE))
    assert isinstance(error, InvalidSecret)
    assert gone.vault.values() == {"a": "old"}
    assert gone.made("DELETE") == []
    assert "is live with its old value" in error.message


async def test_a_recovery_without_an_answer_may_have_been_made(gone: KeyVault, opened: OpenStore) -> None:
    """The error says so, unless the vault shows that it was not."""
    store = await opened()
    gone.answer("^POST", 502, b"", times=1)
    assert "live" not in (await raised(store.write("a", VALUE))).message
    gone.before("^POST", lambda: (gone.vault.recover("a"), gone.vault.versions("a")))
    gone.answer("^POST", 502, b"", times=1)
    assert "may be live with its old value" in (await raised(store.write("a", VALUE))).message
    assert gone.made("DELETE") == []


async def test_what_somebody_writes_to_the_recovered_secret_is_theirs(gone: KeyVault, opened: OpenStore) -> None:
    """Between our recovery and our write: it is not written over, and not deleted."""
    store = await opened()
    gone.before("^POST", lambda: gone.before("versions", lambda: gone.vault.set("a", {"value": "theirs"})))
    assert isinstance(await raised(store.write("a", VALUE)), Conflict)
    assert gone.vault.values() == {"a": "theirs"}
    assert gone.made("DELETE") == []


@pytest.mark.parametrize("how", ["written", "tagged", "disabled"])
async def test_what_changes_as_our_write_fails_is_theirs(gone: KeyVault, opened: OpenStore, how: str) -> None:
    """A version of theirs, or what they set on ours, that is seen only when the recovery is to be taken back."""
    store = await opened()

    def change() -> None:
        if how == "written":
            gone.vault.set("a", {"value": "theirs"})
        elif how == "tagged":
            gone.vault.live["a"].current.tags = {"mine": "now"}
        else:
            gone.vault.live["a"].current.enabled = False

    gone.before("^POST", lambda: gone.before("^PUT", change))
    refuse_writes(gone, refusals.bad("tags"))
    error = await raised(store.write("a", VALUE))
    assert gone.vault.values() == {"a": "theirs" if how == "written" else "old"}
    assert gone.made("DELETE") == []
    assert ("is live with its old value" in error.message) == (how != "written")


async def test_what_is_written_in_the_moment_of_taking_back_comes_back(gone: KeyVault, opened: OpenStore) -> None:
    """The answer to the deletion tells that it was another version."""
    store = await opened()
    refuse_writes(gone, refusals.bad("tags"))
    gone.before("^DELETE", lambda: gone.vault.set("a", {"value": "theirs"}))
    error = await raised(store.write("a", VALUE))
    assert isinstance(error, InvalidSecret)
    assert "old value" not in error.message
    gone.vault.versions("a")
    assert gone.vault.values() == {"a": "theirs"}


async def test_our_own_write_whose_answer_is_lost_stays(gone: KeyVault, opened: OpenStore) -> None:
    """It was made: what stands there is no old value, and whoever asked is told to look."""
    store = await opened()

    def written() -> None:
        gone.before("^PUT", lambda: gone.vault.set("a", {"value": "canary-4711"}))
        gone.answer("^PUT", 502, b"", times=1)

    gone.before("^POST", written)
    error = await raised(store.write("a", VALUE))
    assert isinstance(error, StoreUnavailable)
    assert error.unanswered
    assert gone.vault.values() == {"a": "canary-4711"}


async def test_our_own_write_may_have_been_made_before_it_is_deleted_again(gone: KeyVault, opened: OpenStore) -> None:
    """What got no answer stays open, whatever the next attempt meets."""
    store = await opened(gate=Persistent(2))

    def lost() -> None:
        gone.before("^PUT", lambda: gone.vault.delete("a"))
        gone.answer("^PUT", 502, b"", times=1)

    gone.before("^POST", lost)
    assert (await raised(store.write("a", VALUE))).unanswered


async def test_what_is_deleted_again_before_our_write(gone: KeyVault, opened: OpenStore) -> None:
    """By somebody else, who wants it gone: it is to be looked at anew, and nothing is live."""
    store = await opened()
    gone.before("^POST", lambda: gone.before("^PUT", lambda: gone.vault.delete("a")))
    error = await raised(store.write("a", VALUE))
    assert isinstance(error, Conflict)
    assert (gone.vault.values(), "live" in error.message) == ({}, False)


async def test_the_deleted_secret_of_a_certificate_stays_deleted(azure: KeyVault, opened: OpenStore) -> None:
    """Only the certificate brings it back."""
    azure.vault.gone["a"] = Held("a", [Version("0" * 32, "PEM", 5, 5)], managed=True)
    store = await opened()
    assert "belongs to a certificate" in (await raised(store.write("a", VALUE))).message
    assert (azure.made("POST"), set(azure.vault.gone)) == ([], {"a"})


async def test_what_was_purged_meanwhile_is_looked_at_anew(gone: KeyVault, opened: OpenStore) -> None:
    """Between our first try to write and our look at what is deleted."""
    store = await opened()
    gone.before("^GET /deletedsecrets/a", lambda: gone.vault.gone.clear())
    assert isinstance(await raised(store.write("a", VALUE)), Conflict)
    assert await store.write("a", VALUE)


# -- deletes


@pytest.mark.parametrize("theirs", [False, True])
async def test_a_slow_delete_whose_answer_is_lost(azure: KeyVault, opened: OpenStore, *, theirs: bool) -> None:
    """Until the vault shows what is deleted it is asked again: theirs comes back, ours does not."""
    store = await opened(gate=Persistent())
    version = await store.write("a", VALUE)
    if theirs:
        azure.vault.set("a", {"value": "theirs"})
    azure.vault.deletes_after = 4
    azure.before("^DELETE", lambda: azure.vault.delete("a"))
    azure.answer("^DELETE", 502, b"", times=1)
    if theirs:
        assert isinstance(await raised(store.delete_if("a", version)), Conflict)
        azure.vault.versions("a")
    else:
        await store.delete_if("a", version)
    assert azure.vault.values() == ({"a": "theirs"} if theirs else {})


async def test_a_delete_of_which_nobody_may_see_the_end(azure: KeyVault, opened: OpenStore) -> None:
    """It may have been carried out, whatever refuses us afterwards."""
    store = await opened(gate=Persistent())
    version = await store.write("a", VALUE)
    azure.before("^DELETE", lambda: azure.vault.delete("a"))
    azure.answer("^DELETE", 502, b"", times=1)
    azure.refuse("^GET /deletedsecrets", refusals.by_role())
    assert (await raised(store.delete_if("a", version))).unanswered


async def test_what_is_lost_is_told_although_nobody_can_look(azure: KeyVault, opened: OpenStore) -> None:
    """Somebody's value that was deleted and not recovered is told of, also where the vault is silent by then."""
    store = await opened()
    version = await store.write("a", VALUE)
    azure.before("^DELETE", lambda: azure.vault.set("a", {"value": "theirs"}))
    azure.before("recover", lambda: azure.refuse("^GET", refusals.failing()))
    azure.answer("recover", 502, b"")
    error = await raised(store.delete_if("a", version))
    assert "deleted with that value" in error.message
    assert error.unanswered
