"""What is sent to a service, and what is made of its answers: no key, var or answer leads anywhere else."""

from __future__ import annotations

import asyncio
import json
import logging
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from support.faulty_http import FaultyHttp
from support.gaps import without_faults
from support.rest.described import BY_ID, FULL
from support.rest.inhouse import TOKEN

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    MalformedAnswer,
    RateLimited,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.key_rules import whole
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.rest.names import KEY_LIMITS, MISNOMERS

if TYPE_CHECKING:
    from pathlib import Path

    from support.gate import CountingGate
    from support.rest.inhouse import InHouse

    from rest.conftest import OpenStore

VALUE = SecretValue(b"the-value-of-it")


async def _listed(store: Any) -> list[Entry | Gap]:
    return await without_faults(store.list("", recursive=True, metadata=False))


async def _seen(store: Any, *keys: str) -> list[Entry | Gap]:
    return await without_faults(store.stat(keys))


ODD = [
    "..", ".", "a/../b", "../x", "a/..", "..a", "a//b", "/a", "a/", "a\\..\\b", "%2e%2e", "a%2f..", "a?x=1", "a#b",
    "a;b", "a\r\nX-Evil: 1", "a\0b", "\uff0e\uff0e", "a\uff0f\u2025\uff0fb", "\ud800", "a\u200bb", "a\u2028b", "",
]  # fmt: skip


@pytest.mark.parametrize("key", ODD)
async def test_no_key_leads_to_another_path(opened: OpenStore, inhouse: InHouse, key: str) -> None:
    """What a server could take for another path is not asked for at all, also by a pattern that takes it."""
    for keys in ({}, {"pattern": "(?s:.*)"}):
        store = await opened(keys=keys)
        for work in (store.read(key), store.write(key, VALUE), store.delete(key), store.write_if(key, VALUE, None)):
            with pytest.raises(InvalidSecret):
                await work
        assert not any(isinstance(found, Entry) for found in await _seen(store, key))
    assert inhouse.count() == 0


@pytest.mark.parametrize("one", ["..", "a/../../x", "%2e%2e", "a?b", "a b\n", "", "x" * 2000, None, 1.5, ["a"], {}])
async def test_no_id_of_an_answer_leads_to_another_path(opened: OpenStore, inhouse: InHouse, one: Any) -> None:
    """An id that cannot stand in a path is no answer, and nothing is changed by it."""
    store = await opened(BY_ID)
    entry = {"name": "a", "etag": "1", "id": one}
    inhouse.answer("^GET .*page=1", 200, json.dumps({"secrets": [entry]}).encode())
    inhouse.answer("^GET .*page=2", 200, b'{"secrets": []}')
    for work in (_listed(store), store.delete("a"), store.write("a", VALUE)):
        with pytest.raises(MalformedAnswer):
            await work
    assert inhouse.count("^(PATCH|DELETE|POST|PUT)") == 0


def test_no_letter_that_some_server_may_take_for_a_dot_or_a_slash_stands_in_a_key() -> None:
    """Whatever Unicode's compatibility forms make one of, or a space beyond ASCII: in no key, by any pattern."""
    odd = [
        char
        for char in map(chr, (*range(0xD800), *range(0xE000, 0x11000)))
        if (char != " " and unicodedata.category(char).startswith("Z"))
        or set(unicodedata.normalize("NFKC", char)) & set("/\\%;?#")
        or unicodedata.normalize("NFKC", char).startswith(".")
    ]
    assert len(odd) > 40
    for char in odd:
        assert not whole(str(KEY_LIMITS.key_pattern), f"{char}")
        assert char == "." or whole(MISNOMERS, f"a{char}b") or char == "/"


async def test_keys_and_texts_are_escaped(opened: OpenStore, inhouse: InHouse) -> None:
    """A key with a slash or letters beyond ASCII stays one segment; a value with quotes stays a text of the body."""
    store = await opened()
    await store.write('a/b "}\u00e9', SecretValue(b'"},"name":"other"'))
    assert inhouse.held() == {'a/b "}\u00e9': '"},"name":"other"'}
    assert inhouse.count("^GET /api/v1/teams/web/secrets/a%2Fb%20%22%7D%C3%A9$") == 1


@pytest.mark.parametrize("where", ["link", "linkHeader"])
@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:1/api/v1/x", "https://127.0.0.1/api/v1/x", "//evil.example/api/v1/x", "/other/secrets",
        "/api/v1/../../x", "/api/v1/%2e%2e/x", "/api/v1/..%2f..%2fx", "/api/v1/a%252f..%252fx", "../../../../x",
        "http://u:p@{here}/api/v1/x", "http://{here}@evil.example/api/v1/x", "http://{here}.evil.example/api/v1/x",
        "/api/v1x/secrets", "javascript:x", "/api/v1/x y", "\\\\evil.example\\x", "http://{here}/api/v1/x#f",
        "/api/v1/teams/web/secrets?" + "x" * 20_000, "//[::1]@", "http://[x]/", "http://{here}:x/api/v1/x",
    ],
)  # fmt: skip
async def test_no_link_leads_elsewhere(opened: OpenStore, inhouse: InHouse, where: str, link: str) -> None:
    """A next page is below the document's address, at its host and port, or the listing fails."""
    given = {"cursor": None, "link": "$.link"} if where == "link" else {"linkHeader": True}
    store = await opened(list={"next": {k: v for k, v in given.items() if v}, "query": None, "total": None})
    link = link.replace("{here}", inhouse.address.removeprefix("http://"))
    body = json.dumps({"secrets": [], "link": link if where == "link" else None}).encode()
    inhouse.answer("", 200, body, {"Link": f'<{link}>; rel="next"'} if where == "linkHeader" else {})
    if where == "linkHeader" and len(link) > 8000:
        return  # no client takes such a header
    with pytest.raises(MalformedAnswer, match=r"next page is not below|\$.link is a text, not"):
        await _listed(store)
    assert inhouse.count() == 1


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(opened: OpenStore, inhouse: InHouse, status: int) -> None:
    """Wherever it leads: the credential and the value go to nobody else. What became of a write nobody knows."""
    async with FaultyHttp() as other:
        store = await opened()
        inhouse.answer("", status, b"", {"Location": f"{other.address}/api/v1/x"})
        with pytest.raises(StoreError, match="redirect") as read:
            await store.read("a")
        with pytest.raises(StoreError, match="redirect") as wrote:
            await store._create("a", "x")
        assert (read.value.unanswered, wrote.value.unanswered) == (False, True)
        assert other.count() == 0


async def test_a_name_that_leads_to_the_machines_own_credentials_is_not_asked(
    opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS may say that any name is where a cloud gives a machine its credentials: nobody connects there."""
    asked = []

    async def told(_: object, host: str, port: int = 0, family: object = None) -> list[dict[str, Any]]:
        asked.append(host)
        return [{"hostname": host, "host": "169.254.169.254", "port": port, "family": 2, "proto": 0, "flags": 0}]

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", told)
    store = await opened(address="http://secrets.example.com/api/v1")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await store.read("a")
    assert asked == ["secrets.example.com"]


async def test_errors_show_nothing_of_an_answer(
    opened: OpenStore, inhouse: InHouse, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that answers every request with the value and the credential: neither is told, nor logged."""
    caplog.set_level(logging.DEBUG)
    for base in (FULL, BY_ID):
        for status in (200, 201, 202, 204, 302, 400, 401, 403, 404, 409, 412, 418, 422, 429, 500, 502, 503):
            store = await opened(base)
            told = {"the-value-of-it": TOKEN, "secrets": [{"called": TOKEN, "etag": "the-value-of-it"}]}
            echo = {
                "Retry-After": "1",
                "ETag": "the-value-of-it",
                "Location": TOKEN,
                "X-Echo": TOKEN,
                "Link": f"<{TOKEN}>",
            }
            inhouse.answer("", status, json.dumps(told).encode(), echo)
            works = [store.write("a", VALUE), store.delete("a"), _seen(store, "a"), store.create("a", VALUE)]
            works += [store.read("a"), store.write_if("a", VALUE, "1")] if base is FULL else []
            for work in works:
                try:
                    await work
                except StoreError as error:
                    text = f"{error.message} {error.hint} {error!r} {error.__cause__} {error.__context__}"
                    assert "the-value-of-it" not in text
                    assert TOKEN not in text
            inhouse.heal()
    assert "the-value-of-it" not in caplog.text
    assert TOKEN not in caplog.text


async def test_errors_send_people_the_right_way(opened: OpenStore, inhouse: InHouse) -> None:
    """Each by its status: what to grant, which field of the document to look at, how long to wait."""
    store = await opened()
    for status, kind, told in (
        (401, CredentialsRefused, "the value in the document"),
        (403, AccessDenied, "read is GET /teams/{{ team }}/secrets/{{ key }}/value"),
        (418, StoreError, "name it in read.expect or absent"),
        (429, RateLimited, "lower limits.rate and limits.concurrency"),
        (202, MalformedAnswer, "nothing is concluded"),
    ):
        inhouse.answer("", status, b"{}", {"Retry-After": "7"})
        with pytest.raises(kind) as refused:
            await store.read("a")
        assert told in refused.value.hint, status
        inhouse.heal()
    inhouse.answer("", 422)
    with pytest.raises(InvalidSecret, match="refuses to write a"):
        await store._create("a", "x")


async def test_a_credential_is_read_again_when_it_is_refused(
    opened: OpenStore, inhouse: InHouse, tmp_path: Path, gate: CountingGate
) -> None:
    """A file that has another token by now is taken up; one that has the same is an error that names it."""
    file = tmp_path / "token"
    file.write_text("old-token\n")
    store = await opened(auth={"token": {"file": str(file)}})
    inhouse.put("a", "1")
    with pytest.raises(CredentialsRefused) as refused:
        await store.read("a")
    assert str(file) in refused.value.hint
    file.write_text(TOKEN)
    assert (await store.read("a")).value.reveal() == b"1"


async def test_a_credential_cannot_break_a_header(opened: OpenStore, inhouse: InHouse) -> None:
    """One with a line break or a space is told when the store is opened, and not shown."""
    for bad in ("a\r\nX-Evil: 1", "a b", "\u00e9"):
        with pytest.raises(StoreError) as refused:
            await opened(auth={"token": {"env": "T"}}, environ={"T": bad})
        assert bad not in refused.value.message


async def test_a_version_cannot_break_a_header(opened: OpenStore, inhouse: InHouse) -> None:
    """A version is printable ASCII: what an answer has in its place is no answer, and is not sent back."""
    store = await opened()
    odd: list[Any] = ["a\r\nX-Evil: 1", "\u00e9", "", "x" * 300, None, True, 1.5, []]
    for bad in odd:
        inhouse.answer("^GET", 200, json.dumps({"name": "a", "etag": bad}).encode())
        with pytest.raises(MalformedAnswer):
            await _seen(store, "a")
        inhouse.heal()
    assert inhouse.count("^PUT") == 0


async def test_an_answer_about_another_key_is_none(opened: OpenStore, inhouse: InHouse) -> None:
    """A service, or a cache before it, that answers for another key has its value taken for nobody's."""
    store = await opened()
    inhouse.answer("^GET", 200, b'{"name": "b", "etag": "1", "value": "of b"}')
    with pytest.raises(MalformedAnswer, match="not the key that was asked for"):
        await store.read("a")


async def test_a_listing_counts_what_it_shows(opened: OpenStore, inhouse: InHouse) -> None:
    """One page less than the service says that there are is no listing; nor is one that goes round in circles."""
    store = await opened()
    for number in range(120):
        inhouse.put(f"k{number}", "1")
    assert len(await _listed(store)) == 120
    inhouse.answer("cursor=c50", 200, json.dumps({"secrets": [], "total": 120, "next": None}).encode())
    with pytest.raises(MalformedAnswer, match="counts more or less"):
        await _listed(store)
    inhouse.heal()
    inhouse.answer("cursor=c50", 200, json.dumps({"secrets": [], "total": 120, "next": "c50"}).encode())
    with pytest.raises(MalformedAnswer, match="the same one"):
        await _listed(store)


async def test_a_listing_that_changes_meanwhile_is_made_again(opened: OpenStore, inhouse: InHouse) -> None:
    """Somebody writes between two pages: what was counted before is no reason to fail."""
    store = await opened()
    for number in range(60):
        inhouse.put(f"k{number}", "1")
    inhouse.before("cursor=c50", lambda: inhouse.put("late", "1"))
    assert len(await _listed(store)) == 61


async def test_pages_that_move_while_they_are_listed_lose_nothing(opened: OpenStore, inhouse: InHouse) -> None:
    """Somebody deletes an entry of the first page before the second is asked for: what moved is seen all the same."""
    store = await opened(BY_ID)
    for number in range(60):
        inhouse.put(f"k{number}", "1")
    inhouse.before("page=2", lambda: inhouse.remove("k0"))
    assert {found.key for found in await _listed(store) if isinstance(found, Entry)} >= {f"k{n}" for n in range(1, 60)}


async def test_entries_of_others_are_left_out(opened: OpenStore, inhouse: InHouse) -> None:
    """``where`` takes what its path finds alone, and just so: not one of several, not another type, not nothing."""
    store = await opened(BY_ID, list={"where": {"$.target[*]": "prod"}, "query": None, "next": None})
    targets: list[Any] = [["prod"], ["prod", "dev"], "prod", [], None, ["dev"], [["prod"]]]
    entries = [{"name": f"k{n}", "etag": "1", "id": f"i{n}", "target": each} for n, each in enumerate(targets)]
    inhouse.answer("^GET", 200, json.dumps({"secrets": [*entries, {"name": "k9", "etag": "1", "id": "i9"}]}).encode())
    assert await _listed(store) == [Entry("k0", "1@i0")]


async def test_an_object_can_be_listed_by_its_names(opened: OpenStore, inhouse: InHouse) -> None:
    """``$~`` is the name under which an entry stands."""
    store = await opened(
        list={"items": "$.secrets[*]", "key": "$~", "version": None, "total": None}, look=None, read=None,
        update={"headers": None}, delete={"headers": None},
    )  # fmt: skip
    inhouse.answer("^GET", 200, b'{"secrets": {"A": {"raw": "x"}, "B": "y", "..": 1}}')
    found = await _listed(store)
    assert found[:2] == [Entry("A"), Entry("B")]
    assert isinstance(found[2], Gap)


async def test_a_create_that_the_service_does_not_refuse_is_sent_once(opened: OpenStore, inhouse: InHouse) -> None:
    """Its answer may be lost, and it may have created: nothing is created twice. One that it refuses is sent again."""
    from secretsync_core.run.gate import Gate, RetryPolicy

    for exists, times in ((None, 1), ([409], 3)):
        inhouse.forget()
        gate = Gate("svc", concurrency=1, policy=RetryPolicy(3, 0.001, 0.002, lost_after=100))
        store = await opened(BY_ID, gate=gate, create={"exists": exists})
        inhouse.answer("^POST", 502)
        with pytest.raises(StoreError) as lost:
            await store.write("a", VALUE)
        assert lost.value.unanswered
        assert inhouse.count("^POST") == times


async def test_good_statuses_that_say_that_nothing_was_done(opened: OpenStore, inhouse: InHouse) -> None:
    """``failed`` finds what only a refusal has."""
    store = await opened(create={"failed": "$.failed[*]", "version": None})
    inhouse.answer("^POST", 201, b'{"created": null, "failed": [{"error": "the-value-of-it"}]}')
    with pytest.raises(InvalidSecret, match=r"create\.failed is there"):
        await store.create("a", VALUE)
    inhouse.heal()
    inhouse.answer("^POST", 201, b'{"failed": []}', does=True)
    assert await store.create("a", VALUE)


async def test_looks_without_a_listing_are_made_side_by_side(opened: OpenStore, inhouse: InHouse) -> None:
    """As many at a time as the store may have requests; each is told once."""
    store = await opened(list=None)
    for number in range(0, 40, 2):
        inhouse.put(f"k{number}", "1")
    found = await _seen(store, *(f"k{number}" for number in range(40)))
    assert sorted(each.key for each in found if isinstance(each, Entry)) == sorted(f"k{n}" for n in range(0, 40, 2))
    assert inhouse.count() == 40


async def test_many_writes_share_a_look(opened: OpenStore, inhouse: InHouse) -> None:
    """Where a version takes a listing after each write, writes at once do not list as often as they are many."""
    store = await opened(BY_ID)
    await asyncio.gather(*(store.write(f"k{n}", VALUE) for n in range(40)))
    assert inhouse.count("^GET .*page=1") < 20


async def test_two_of_one_name_are_two_though_nothing_tells_them_apart(opened: OpenStore, inhouse: InHouse) -> None:
    """Where a service shows names alone, one that stands twice on a page is there twice."""
    none = {"version": None, "id": None, "query": None, "next": None}
    store = await opened(BY_ID, list=none, update=None, create=None, delete=None)
    inhouse.add("a", "1")
    inhouse.add("a", "2")
    (gap,) = await _listed(store)
    assert isinstance(gap, Gap)


async def test_an_absent_key_is_believed_where_the_place_is_shown(opened: OpenStore, inhouse: InHouse) -> None:
    """A 404 for one key says nothing where the service does not let us list: neither a look nor a read is told it."""
    store = await opened()
    assert await _seen(store, "a") == []
    with pytest.raises(SecretNotFound):
        await store.read("a")
    inhouse.answer(r"secrets(\?|$)", 403)
    for work in (_seen(store, "a"), store.read("a")):
        with pytest.raises(AccessDenied):
            await work


async def test_what_was_made_anew_is_neither_updated_nor_deleted_by_its_version(
    opened: OpenStore, inhouse: InHouse
) -> None:
    """A version names the secret that it is of: one of another id is a conflict, before anything is sent."""
    change = {"headers": {"If-Match": "{{ version }}"}}
    store = await opened(BY_ID, update=change, delete=change)
    first = await store.create("a", VALUE)
    assert await store.write_if("a", SecretValue(b"2"), first) != first
    inhouse.remove("a")
    anew = inhouse.add("a", "theirs")
    await _listed(store)
    stale = f"{anew.etag}@sec_0"
    for work in (store.write_if("a", VALUE, stale), store.delete_if("a", stale)):
        with pytest.raises(Conflict):
            await work
    assert inhouse.held() == {"a": "theirs"}
    await store.delete_if("a", f"{anew.etag}@{anew.id}")
    assert inhouse.held() == {}


async def test_what_is_there_twice_is_a_conflict(opened: OpenStore, inhouse: InHouse) -> None:
    """Nothing is written over one of two, and none of them is deleted."""
    store = await opened(BY_ID)
    inhouse.add("a", "1")
    inhouse.add("a", "2")
    (gap,) = await _listed(store)
    assert isinstance(gap, Gap)
    assert "more than once" in gap.message
    for work in (store.write("a", VALUE), store.delete("a")):
        with pytest.raises(Conflict):
            await work
