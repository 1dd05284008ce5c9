"""What is Key Vault's own: cases of names, deleted secrets, disabled ones, what is carried, and its refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.azure import refusals
from support.azure.entra import Identity
from support.azure.vault import Held, Version
from support.gaps import without_faults
from support.gate import Persistent

from azure_key_vault.errors import raised
from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    MalformedAnswer,
    RateLimited,
    SecretFails,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.metadata import Kind, Slot
from secretsync_core.secret import SecretValue
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from support.azure.service import KeyVault
    from support.gate import CountingGate

    from azure_key_vault.conftest import OpenStore

VALUE = SecretValue(b"canary-4711")


async def listed(store: Any, **options: bool) -> dict[str, Entry]:
    """What a listing shows, by key; fails where there are gaps."""
    told = {"recursive": True, "metadata": False, **options}
    found = await without_faults(store.list("", **told))
    assert not [each for each in found if isinstance(each, Gap)]
    return {each.key: each for each in found if isinstance(each, Entry)}


async def seen(store: Any, *keys: str) -> dict[str, Entry]:
    """What a look shows, by key."""
    return {each.key: each for each in await without_faults(store.stat(keys)) if isinstance(each, Entry)}


# -- names


async def test_names_are_the_same_in_any_case(azure: KeyVault, opened: OpenStore) -> None:
    """What Azure shows with capitals is the key in lower case, by a listing, a look and a read, and never a second."""
    azure.vault.set("DB-Password", {"value": "theirs"})
    store = await opened()
    assert set(await listed(store)) == set(await seen(store, "db-password")) == {"db-password"}
    assert (await store.read("db-password")).value.reveal() == b"theirs"
    await store.write("db-password", VALUE)
    assert azure.vault.values() == {"DB-Password": "canary-4711"}
    error = await raised(store.write("DB-Password", VALUE))
    assert isinstance(error, InvalidSecret)
    assert "case: Lower" in error.message


async def test_an_identifier_is_no_key(opened: OpenStore) -> None:
    """Who pastes what the portal shows is told what to write."""
    store = await opened()
    error = await raised(store.read("https://acme.vault.azure.net/secrets/db-password/0123"))
    assert "write the name, db-password" in error.message


# -- versions


async def test_a_version_is_read_by_its_id_or_its_time(azure: KeyVault, opened: OpenStore) -> None:
    """And of two versions of one second only by the id: a time would be a guess."""
    store = await opened()
    first = await store.write("a", SecretValue(b"1"))
    second = await store.write("a", SecretValue(b"2"))
    old = azure.vault.live["a"].versions[0]
    assert (await store.read("a", old.id)).value.reveal() == b"1"
    assert (await store.read("a", first)).value.reveal() == b"1"
    assert (await store.read("a", second)).version == second != first
    for absent in ("0" * 32, "2001-01-01T00:00:00Z", "newest"):
        assert isinstance(await raised(store.read("a", absent)), SecretNotFound)
    azure.vault.live["a"].current.created = old.created
    assert "2 versions of that second" in (await raised(store.read("a", first))).message


async def test_within_a_second_it_waits(azure: KeyVault, opened: OpenStore) -> None:
    """Times are whole seconds: neither is a version read that another may follow, nor is one written that would look
    like the one before."""
    store = await opened()
    azure.vault.set("a", {"value": "1"})
    azure.vault.now -= 1
    for call in (store.read("a"), store.write("a", VALUE)):
        assert isinstance(await raised(call), SecretFails)
    assert len(azure.vault.live["a"].versions) == 1
    azure.vault.now += 1
    await store.write("a", VALUE)


async def test_of_two_versions_of_a_second_the_current_one_counts(azure: KeyVault, opened: OpenStore) -> None:
    """What stands beside it is carried, whichever the listing shows first."""
    store = await opened()
    azure.vault.ticks = False
    for number in range(4):
        azure.vault.set("a", {"value": str(number), "tags": {"number": str(number)}})
    azure.vault.now += 1
    assert (await store.read("a")).value.reveal() == b"3"
    await store.write("a", VALUE)
    assert azure.vault.live["a"].current.tags == {"number": "3"}


# -- what is deleted


async def test_a_deleted_name_is_recovered_and_written(azure: KeyVault, opened: OpenStore) -> None:
    """Azure gives a deleted name to nobody: it is recovered first, and has nothing of what it had but its versions."""
    store = await opened(mark="job.1")
    await store.write("a", SecretValue(b"old"))
    azure.vault.live["a"].current.tags["note"] = "old"
    await store.delete("a")
    assert (await listed(store))["a"].deleted
    version = await store.write("a", VALUE)
    assert azure.vault.values() == {"a": "canary-4711"}
    assert azure.vault.live["a"].current.tags == {"secretsync.io-owner": "job.1"}
    assert (await seen(store, "a"))["a"] == Entry("a", version)


async def test_a_recovery_takes_a_while(azure: KeyVault, opened: OpenStore) -> None:
    """And so does a deletion: until the vault is done it is asked again, as after any failure."""
    gate = Persistent()
    store = await opened(gate=gate)
    await store.write("a", SecretValue(b"old"))
    azure.vault.deletes_after, azure.vault.recovers_after = 3, 3
    await store.delete("a")
    await store.write("a", VALUE)
    assert azure.vault.values() == {"a": "canary-4711"}
    await store.delete("a")
    version = (await listed(store)).get("a")
    while version is None:
        version = (await seen(store, "a")).get("a")
    assert version.version is not None
    assert await store.undelete("a", version.version) == version.version
    assert azure.vault.values() == {"a": "canary-4711"}


async def test_what_was_written_right_before_a_delete_comes_back(azure: KeyVault, opened: OpenStore) -> None:
    """The answer to a delete says which version it was; one that nobody had seen is recovered, once that can be."""
    store = await opened(gate=Persistent())
    version = await store.write("a", VALUE)
    azure.vault.deletes_after = 2
    azure.before("^DELETE", lambda: azure.vault.set("a", {"value": "theirs"}))
    assert isinstance(await raised(store.delete_if("a", version)), Conflict)
    await seen(store, "a")
    assert azure.vault.values() == {"a": "theirs"}
    azure.refuse("recover", refusals.by_role())
    error = await raised(store.delete_if("a", version))
    assert "deleted with that value" in error.message
    assert "az keyvault secret recover --name a" in error.hint


@pytest.mark.parametrize("theirs", [False, True])
async def test_a_delete_whose_answer_is_lost(azure: KeyVault, opened: OpenStore, *, theirs: bool) -> None:
    """Which version it was is looked at all the same: ours stays deleted, theirs is recovered."""
    store = await opened(gate=Persistent())
    version = await store.write("a", VALUE)
    if theirs:
        azure.vault.set("a", {"value": "theirs"})
    azure.before("^DELETE", lambda: azure.vault.delete("a"))
    azure.answer("^DELETE", 502, b"", times=1)
    if theirs:
        assert isinstance(await raised(store.delete_if("a", version)), Conflict)
        await seen(store, "a")
    else:
        await store.delete_if("a", version)
    assert azure.vault.values() == ({"a": "theirs"} if theirs else {})


async def test_a_recovery_whose_answer_is_lost(azure: KeyVault, opened: OpenStore) -> None:
    """It was carried out all the same, and is seen to be."""
    store = await opened(gate=Persistent())
    version = await store.write("a", VALUE)
    await store.delete("a")
    azure.before("^POST", lambda: (azure.vault.recover("a"), azure.vault.versions("a")))
    azure.answer("^POST", 502, b"", times=1)
    assert await store.undelete("a", version) == version


async def test_somebody_else_is_at_it(azure: KeyVault, opened: OpenStore) -> None:
    """A conflict of another kind than a deleted name is one to be looked at again."""
    store = await opened()
    azure.refuse("^PUT", refusals.RefusedError(409, "Conflict", "There was a conflict."))
    assert isinstance(await raised(store.write("a", VALUE)), Conflict)


async def test_what_was_recovered_for_a_write_that_fails_is_deleted_again(azure: KeyVault, opened: OpenStore) -> None:
    """Nobody finds an old value there that had been deleted."""
    store = await opened()
    await store.write("a", SecretValue(b"old"))
    await store.delete("a")
    writes: list[int] = []
    azure.before("^PUT", lambda: writes.append(1), times=None)
    azure.before("^POST", lambda: azure.refuse("^PUT", refusals.bad("tags")))
    assert isinstance(await raised(store.write("a", VALUE)), InvalidSecret)
    assert azure.vault.values() == {}
    assert "a" in azure.vault.gone


async def test_what_is_deleted_while_it_is_written(azure: KeyVault, opened: OpenStore) -> None:
    """Between the look and the write: it is recovered, and written all the same."""
    store = await opened()
    await store.write("a", SecretValue(b"old"))
    azure.before("^PUT", lambda: azure.vault.delete("a"))
    await store.write("a", VALUE)
    assert azure.vault.values() == {"a": "canary-4711"}


async def test_nothing_is_ever_purged(azure: KeyVault, opened: OpenStore) -> None:
    """A delete is the one request that a vault can take back."""
    store = await opened()
    await store.write("a", VALUE)
    await store.delete("a")
    assert azure.made("DELETE") == ["/secrets/a"]
    assert "a" in azure.vault.gone


async def test_a_deleted_secret_that_was_disabled(azure: KeyVault, opened: OpenStore) -> None:
    """The vault does not show it by itself, so a listing tells; it comes back as it was."""
    store = await opened()
    azure.vault.set("a", {"value": "1", "attributes": {"enabled": False}})
    azure.vault.delete("a")
    found = (await seen(store, "a"))["a"]
    assert found.deleted
    assert await store.undelete("a", found.version) == found.version
    assert not azure.vault.live["a"].current.enabled


async def test_without_a_look_at_deleted_ones(azure: KeyVault, opened: OpenStore) -> None:
    """Who may not see what is deleted still sees what is there."""
    azure.vault.set("a", {"value": "1"})
    azure.vault.set("b", {"value": "1"})
    azure.vault.delete("b")
    azure.refuse("deletedsecrets", refusals.by_role())
    store = await opened()
    assert set(await listed(store)) == {"a"}
    assert set(await seen(store, "a", "b")) == {"a"}


# -- what stands beside a value


async def test_a_write_changes_the_value_alone(azure: KeyVault, opened: OpenStore) -> None:
    """Azure gives a new version nothing of the one before: tags, type, times, and that it is disabled, are carried."""
    beside = {"tags": {"team": "x"}, "contentType": "text/plain"}
    attributes = {"enabled": False, "nbf": 1_700_000_000, "exp": 1_900_000_000}
    azure.vault.set("a", {"value": "1", "attributes": attributes, **beside})
    store = await opened(tags={"asked": "for"}, enabled=True)
    await store.write("a", VALUE)
    current = azure.vault.live["a"].current
    assert (current.value, current.tags, current.content_type) == ("canary-4711", {"team": "x"}, "text/plain")
    assert (current.enabled, current.nbf, current.exp) == (False, 1_700_000_000, 1_900_000_000)


async def test_what_is_created_has_what_is_asked_for(azure: KeyVault, opened: OpenStore) -> None:
    """Tags, content type, times and enabled, in the request that creates it; a look tells the same."""
    asked: dict[str, Any] = {"contentType": "text/plain", "notBefore": "2026-01-01T00:00:00Z"}
    asked["expires"] = "2027-01-01T01:00:00+01:00"
    store = await opened(mark="job.1", tags={"team": "x"}, enabled=True, **asked)
    await store.write("a", VALUE)
    assert azure.made("PATCH") == []
    [described] = [each async for each in store.describe(["a"])]
    assert described.metadata == {"team": "x"}
    assert described.notes == {
        Slot(Kind.CONTENT_TYPE): "text/plain",
        Slot(Kind.ENABLED): "true",
        Slot(Kind.NOT_BEFORE): "2026-01-01T00:00:00Z",
        Slot(Kind.EXPIRES): "2027-01-01T00:00:00Z",
    }
    assert {**described.notes, Slot(Kind.TAG, "team"): "x"} == store.facts.metadata.asked
    assert await store.marks(["a"]) == {"a": "job.1"}


async def test_metadata_is_set_on_the_version_that_was_seen(azure: KeyVault, opened: OpenStore) -> None:
    """Other tags stay, no version is made, and a version that is another one by now is a conflict."""
    store = await opened()
    version = await store.write("a", VALUE)
    azure.vault.live["a"].current.tags["other"] = "kept"
    wanted = {Slot(Kind.TAG, "team"): "x", Slot(Kind.EXPIRES): "2030-01-01T00:00:00Z", Slot(Kind.ENABLED): "false"}
    assert await store.set_metadata("a", wanted, version) == version
    current = azure.vault.live["a"].current
    assert current.tags == {"other": "kept", "team": "x"}
    assert (current.enabled, current.exp, len(azure.vault.live["a"].versions)) == (False, 1893456000, 1)
    await store.write("a", SecretValue(b"2"))
    assert isinstance(await raised(store.set_metadata("a", wanted, version)), Conflict)


async def test_more_tags_than_there_may_be(azure: KeyVault, opened: OpenStore) -> None:
    """Fifteen, the mark among them: the sixteenth is refused before anything is sent."""
    store = await opened(mark="job.1")
    azure.vault.set("a", {"value": "1", "tags": {f"t{number}": "" for number in range(15)}})
    for call in (store.mark("a"), store.set_metadata("a", {Slot(Kind.TAG, "x"): ""}, None)):
        assert "16 tags, and the store takes 15" in (await raised(call)).message
    assert azure.made("PATCH") == []
    with pytest.raises(ValueError, match="14"):
        await opened(tags={f"t{number}": "" for number in range(15)})


@pytest.mark.parametrize("name", ["secretsync.io-owner", "SecretSync.io-x", "a\nb"])
async def test_tags_that_cannot_be_asked_for(opened: OpenStore, name: str) -> None:
    """Our own, and what is not printable."""
    with pytest.raises(ValueError, match="the name of a tag"):
        await opened(tags={name: "x"})


async def test_a_disabled_secret_says_so(azure: KeyVault, opened: OpenStore) -> None:
    """It is seen, and cannot be read; nobody is sent to look for rights."""
    azure.vault.set("a", {"value": "canary-4711", "attributes": {"enabled": False}})
    store = await opened()
    assert set(await seen(store, "a")) == {"a"}
    error = await raised(store.read("a"))
    assert not isinstance(error, AccessDenied | SecretNotFound)
    assert "a is disabled" in error.message
    assert "enable it" in error.hint


async def test_of_two_versions_of_a_second_the_disabled_one_may_be_the_current(
    azure: KeyVault, opened: OpenStore
) -> None:
    """Whose secret it is goes by that one, and not by whichever the listing shows first."""
    store = await opened(mark="job.1")
    azure.vault.ticks = False
    azure.vault.set("a", {"value": "1", "tags": {"secretsync.io-owner": "job.1"}})
    azure.vault.set("a", {"value": "2", "attributes": {"enabled": False}, "tags": {"secretsync.io-owner": "job.2"}})
    azure.vault.now += 1
    first, second = azure.vault.live["a"].versions
    first.id, second.id = "0" * 32, "f" * 32
    assert await store.marks(["a"]) == {"a": "job.2"}
    first.enabled, first.id, second.id = False, "f" * 32, "0" * 32
    assert await store.marks(["a"]) == {}
    second.tags = dict(first.tags)
    assert await store.marks(["a"]) == {"a": "job.1"}


async def test_what_belongs_to_a_certificate_is_not_written(azure: KeyVault, opened: OpenStore) -> None:
    """It can be read, as the certificate and its key."""
    azure.vault.live["cert"] = Held("cert", [Version("0" * 32, "PEM", 5, 5)], managed=True)
    store = await opened()
    assert (await store.read("cert")).value.reveal() == b"PEM"
    assert "belongs to a certificate" in (await raised(store.write("cert", VALUE))).message
    assert azure.made("PUT") == []


# -- requests


async def test_many_keys_are_looked_at_by_pages(azure: KeyVault, opened: OpenStore, gate: CountingGate) -> None:
    """No value is read, and a page is 25 secrets; it goes on at the vault's own address with its port."""
    store = await opened()
    for number in range(60):
        azure.vault.set(f"k{number}", {"value": "1"})
    assert len(await listed(store)) == 60
    assert gate.counts == {"list": 4}
    assert len(await seen(store, *(f"k{number}" for number in range(30)))) == 30
    assert gate.counts == {"list": 8}
    assert len(await seen(store, "k1", "k2")) == 2
    assert gate.counts == {"list": 8, "stat": 2}
    assert not [path for path in azure.made("GET") if path.startswith("/secrets/") and not path.endswith("versions")]


async def test_one_login_and_one_challenge_do(azure: KeyVault, opened: OpenStore) -> None:
    """However many requests are made at once."""
    store = await opened()
    for number in range(30):
        azure.vault.set(f"k{number}", {"value": "1"})
    await listed(store)
    await seen(store, *(f"k{number}" for number in range(20)))
    assert azure.entra.logins == 1


# -- refusals


@pytest.mark.parametrize(
    ("refused", "hint"),
    [
        (refusals.by_role(), "the role Key Vault Secrets Officer"),
        (refusals.by_policy("set"), "the secret permission set"),
        (refusals.by_firewall(), "firewall must let our address in"),
    ],
    ids=["role", "policy", "firewall"],
)
async def test_who_must_do_what(azure: KeyVault, opened: OpenStore, refused: refusals.RefusedError, hint: str) -> None:
    """A 403 names the way out: a role, an access policy, or the network. It shows nothing of the answer."""
    store = await opened()
    azure.refuse("^PUT", refused)
    error = await raised(store.write("a", VALUE))
    assert isinstance(error, AccessDenied)
    assert hint in error.hint
    assert "appid" not in error.hint + error.message


async def test_what_a_reader_may_not(azure: KeyVault, opened: OpenStore) -> None:
    """Who may read alone is told the role for more; who may nothing the role for reading."""
    azure.entra.identities[:] = [Identity(secret="a client secret of tests", rights=frozenset({"get", "list"}))]
    azure.vault.set("a", {"value": "1"})
    store = await opened()
    await store.read("a")
    assert "Secrets Officer" in (await raised(store.delete("a"))).hint
    azure.entra.identities[0].rights = frozenset()
    assert "Secrets User" in (await raised(store.read("a"))).hint
    [gap] = [each async for each in store.stat(["a"])]
    assert isinstance(gap, Gap)


@pytest.mark.parametrize(("seconds", "wait"), [(7, 8.0), (None, None)])
async def test_a_limit_says_how_long_to_wait(
    azure: KeyVault, opened: OpenStore, seconds: int | None, wait: float | None
) -> None:
    """The gate knows what to do with it; the SDK repeats nothing by itself."""
    store = await opened()
    await listed(store)
    azure.requests.clear()
    azure.refuse("^GET", refusals.throttled(seconds))
    error = await raised(store.read("a"))
    assert isinstance(error, RateLimited)
    assert error.retry_after == wait
    assert len(azure.requests) == 1


async def test_a_refusal_never_shows_the_value(azure: KeyVault, opened: OpenStore) -> None:
    """Whatever the vault says of what it was sent."""
    store = await opened()
    azure.refuse("^PUT", refusals.bad("Property value has invalid value: canary-4711"))
    error = await raised(store.write("a", VALUE))
    assert isinstance(error, InvalidSecret)
    assert "canary" not in f"{error!r} {error.hint} {error.__cause__!r} {error.__context__!r}"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b"<html>", StoreError),
        (404, b'{"error": {"code": "NotFound", "message": "no such page"}}', StoreError),
        (403, b"<html>", AccessDenied),
        (301, b"", StoreError),
        (500, b"<html>", StoreUnavailable),
        (503, b"", StoreUnavailable),
    ],
)
async def test_what_is_not_key_vault_proves_nothing(
    azure: KeyVault, opened: OpenStore, status: int, body: bytes, kind: type[StoreError]
) -> None:
    """A proxy's 404 is no absent secret, and its 403 no matter of roles."""
    store = await opened()
    await listed(store)
    azure.answer("^(GET|DELETE|PUT)", status, body, headers={"Location": "https://127.0.0.1:1/"})
    for call in (store.read("a"), store.delete("a"), store.write("a", VALUE)):
        error = await raised(call)
        assert isinstance(error, kind)
        assert not isinstance(error, SecretNotFound)
        assert "Key Vault Secrets" not in error.hint


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206, 300, 303, 304])
async def test_only_a_200_is_done(azure: KeyVault, opened: OpenStore, status: int) -> None:
    """Any other success says nothing, whatever it holds: what was asked may have been done, and only a look tells."""
    store = await opened()
    version = await store.write("a", VALUE)
    body = b"" if status in (204, 304) else bundle(azure)
    azure.answer("^(PUT|DELETE|PATCH|POST)", status, body, headers={"Location": f"{azure.address}/secrets/a"})
    tag = {Slot(Kind.TAG, "x"): "y"}
    for call in (store.write("a", VALUE), store.delete("a"), store.set_metadata("a", tag, version)):
        error = await raised(call)
        assert isinstance(error, MalformedAnswer)
        assert error.unanswered
    azure.vault.delete("a")
    assert isinstance(await raised(store.undelete("a", version)), MalformedAnswer)


# -- answers that make no sense


def bundle(azure: KeyVault, **fields: object) -> bytes:
    """An answer about the secret a, with these fields."""
    attributes = {"enabled": True, "created": 5, "updated": 5}
    made = {"id": f"{azure.address}/secrets/a/{'0' * 32}", "value": "v", "attributes": attributes, **fields}
    return json.dumps({name: value for name, value in made.items() if value != "GONE"}).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "GONE"},
        {"id": "https://other.vault.azure.net/secrets/a/" + "0" * 32},
        {"id": 7},
        {"value": "GONE"},
        {"value": 7},
        {"value": None},
        {"attributes": None},
        {"attributes": {"enabled": True, "updated": 5}},
        {"attributes": {"enabled": True, "created": -1, "updated": 5}},
        {"attributes": {"enabled": True, "created": 10**15, "updated": 5}},
        {"attributes": {"enabled": "true", "created": 5, "updated": 5}},
        {"tags": {"a": 1}},
        {"contentType": 5},
        {"managed": "yes"},
    ],
    ids=str,
)
async def test_a_malformed_answer_decides_nothing(
    azure: KeyVault, opened: OpenStore, fields: dict[str, object]
) -> None:
    """One field of another type, missing, or about another secret."""
    store = await opened()
    azure.answer("^(GET|PUT)", 200, bundle(azure, **fields))
    assert isinstance(await raised(store.read("a")), MalformedAnswer)
    page = json.loads(bundle(azure, **fields)) | {"value": "GONE"}
    page.pop("value")
    azure.heal()
    if "value" not in fields:
        azure.answer("^GET /secrets", 200, json.dumps({"value": [page], "nextLink": None}).encode())
        assert isinstance(await raised(listed(store)), MalformedAnswer)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"no", b"{}", b'{"status": "ok"}', b'{"value": null}', b'{"value": {}}', b'{"value": [7]}'),
        *(b'{"value": [], "nextLink": 7}', b'{"value": [{}]}', b'{"value": [null]}'),
    ],
)
async def test_a_malformed_page_decides_nothing(azure: KeyVault, opened: OpenStore, body: bytes) -> None:
    """Above all not that a vault is empty."""
    store = await opened()
    azure.answer("^GET", 200, body)
    for call in (listed(store), seen(store, "a")):
        assert isinstance(await raised(call), MalformedAnswer)


async def test_another_secret_or_version_than_was_asked_for(azure: KeyVault, opened: OpenStore) -> None:
    """By name or by the id of a version."""
    store = await opened()
    azure.answer("^(GET|PUT|DELETE) /secrets/b", 200, bundle(azure))
    calls = (store.read("b"), store.delete("b"), store.write("b", VALUE))
    for call in calls:
        assert isinstance(await raised(call), MalformedAnswer)
    azure.answer("^GET /secrets/a", 200, bundle(azure))
    assert isinstance(await raised(store.read("a", "1" * 32)), MalformedAnswer)


@pytest.mark.parametrize(
    "link", ["https://evil.example/secrets?api-version=7.4", "http://127.0.0.1/x", "//evil", "/secrets"]
)
async def test_a_next_page_elsewhere_gets_no_token(azure: KeyVault, opened: OpenStore, link: str) -> None:
    """Pages go on at the vault, or not at all."""
    store = await opened()
    azure.answer("^GET", 200, json.dumps({"value": [], "nextLink": link}).encode())
    error = await raised(listed(store))
    assert isinstance(error, MalformedAnswer)
    assert "evil" not in error.message


async def test_pages_without_end(azure: KeyVault, opened: OpenStore) -> None:
    """One that names itself, and ever new ones that bring nothing."""
    store = await opened()
    link = f"{azure.address}/secrets?api-version=7.4&$skiptoken=x"
    azure.answer("^GET", 200, json.dumps({"value": [], "nextLink": link}).encode())
    assert "same page" in (await raised(listed(store))).message


# -- tokens


async def test_a_token_that_is_refused_is_got_anew(azure: KeyVault, opened: OpenStore) -> None:
    """Once: a vault that takes none says that it is the tenant or the cloud."""
    azure.vault.set("a", {"value": "1"})
    store = await opened()
    await store.read("a")
    azure.entra.revoke()
    await store.read("a")
    azure.answer("^GET", 401, b"", headers={})
    assert isinstance(await raised(store.read("a")), CredentialsRefused)


async def test_no_token_for_another_service(azure: KeyVault, opened: OpenStore) -> None:
    """A challenge that names another domain than the vault's is not answered."""
    store = await opened()
    azure.entra.revoke()
    azure.domain = "graph.example.com"
    error = await raised(store.read("a"))
    assert isinstance(error, MalformedAnswer)
    assert azure.entra.logins == 0
