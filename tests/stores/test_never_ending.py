"""Servers that never end: every store gives them up in time and in memory, with an error that says what sets it."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from contextlib import asynccontextmanager, suppress
from itertools import count, product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import boto3  # noqa: F401  else it is imported while a request has a moment
import gitlab  # noqa: F401
import google.cloud.secretmanager_v1  # noqa: F401
import hvac  # noqa: F401
import kubernetes.client  # noqa: F401
import pytest
from support.faulty_http import FaultyHttp
from support.slow import one_in

from secretsync_core.endurance import DEPTH, FOLDERS, Endurance
from secretsync_core.errors import SecretSyncError, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Permissions
from secretsync_core.run import gate as gate_module
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.schema.documents import StoreDocument, Where
from secretsync_core.schema.providers import config_model
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores import registry
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.registry import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from support.faulty_http import Seen

SOON = 8.0
"""Seconds after which a store counts as one that did not give up; all of it takes a fraction of one."""

SHORT = Endurance(request=0.15, listing=3.0)
SMALL = Endurance(answer=64 * 1024, pages=20)

ENVIRON = {"TOKEN": "s.token", "ID": "AKIAIOSFODNN7EXAMPLE", "SECRET": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
KEYS = {"id": {"env": "ID"}, "secret": {"env": "SECRET"}}

SECTIONS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "vault": ("vault", lambda url: {"address": url, "kvVersion": 2, "auth": {"token": {"env": "TOKEN"}}}),
    "vault1": ("vault", lambda url: {"address": url, "kvVersion": 1, "auth": {"token": {"env": "TOKEN"}}}),
    "vault login": (
        "vault",
        lambda url: {
            "address": url,
            "kvVersion": 2,
            "auth": {"appRole": {"roleId": {"env": "ID"}, "secretId": {"env": "SECRET"}}},
        },
    ),
    "kubernetes": ("kubernetes", lambda url: {"server": url, "namespace": "a", "auth": {"token": {"env": "TOKEN"}}}),
    "gcpSecretManager": (
        "gcpSecretManager",
        lambda url: {"project": "acme-test", "endpointUrl": url, "auth": {"accessToken": {"env": "TOKEN"}}},
    ),
    "gcp login": (
        "gcpSecretManager",
        lambda url: {
            "project": "acme-test",
            "endpointUrl": url,
            "authEndpointUrl": url,
            "auth": {"accessToken": {"env": "TOKEN"}, "impersonate": {"serviceAccount": "a@b.example.com"}},
        },
    ),
    "awsSecretsManager": (
        "awsSecretsManager",
        lambda url: {"region": "eu-west-1", "endpointUrl": url, "auth": {"accessKey": KEYS}},
    ),
    "awsParameterStore": (
        "awsParameterStore",
        lambda url: {"region": "eu-west-1", "endpointUrl": url, "auth": {"accessKey": KEYS}},
    ),
    "githubSecrets": (
        "githubSecrets",
        lambda url: {"address": url, "repository": "a/b", "kind": "Variables", "auth": {"token": {"env": "TOKEN"}}},
    ),
    "gitlabVariables": (
        "gitlabVariables",
        lambda url: {"address": url, "project": "a/b", "auth": {"token": {"env": "TOKEN"}}},
    ),
    "http": (
        "http",
        lambda url: {
            "address": url,
            "auth": {"token": {"env": "TOKEN"}},
            "list": {
                "path": "/all",
                "query": {"at": "{{ cursor }}"},
                "items": "$.all[*]",
                "key": "$.name",
                "next": {"cursor": "$.next"},
            },
            "read": {"path": "/one/{{ key }}", "value": "$.value"},
            "write": {"path": "/one/{{ key }}", "body": {"value": "{{ value }}"}},
        },
    ),
    "aws login": (
        "awsSecretsManager",
        lambda url: {
            "region": "eu-west-1",
            "endpointUrl": url,
            "stsEndpointUrl": url,
            "auth": {"accessKey": KEYS, "assumeRole": {"roleArn": "arn:aws:iam::123456789012:role/x"}},
        },
    ),
}

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BOMB = gzip.compress(b'{"data":{"data":{"a":"' + b" " * 8_000_000, 9)
MOUNT = json.dumps({"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}}).encode()
CHUNK = b"1000\r\n" + b" " * 4096 + b"\r\n"

TIME, SIZE = "limits.request", "limits.answerMiB"

NEVER_ENDING: dict[str, tuple[bytes, bytes, float, str]] = {
    "no answer": (b"", b"", 0, TIME),
    "a status line that does not end": (b"HTTP/1.1 2", b"", 0, TIME),
    "headers of a byte now and then": (OK + b"X-A: ", b"x", 0.02, TIME),
    "a body of a byte now and then": (OK + b"Content-Length: 100000\r\n\r\n{", b" ", 0.02, TIME),
    "chunks now and then": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 0.02, TIME),
    "interim answers without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01, TIME),
    "headers without end": (OK, b"X-A: x\r\n" * 50, 0, ""),
    "a body without end": (OK + b"\r\n", b" " * 4096, 0, SIZE),
    "chunks without end": (OK + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK, 0, SIZE),
    "a body that is long": (OK + b"Content-Length: 99999999\r\n\r\n", b" " * 4096, 0, SIZE),
    "a refusal without end": (b"HTTP/1.1 400 Bad Request\r\n\r\n", b" " * 4096, 0, SIZE),
}


def _document(name: str, url: str, endurance: Endurance) -> StoreDocument:
    provider, section = SECTIONS[name]
    config = cast("Any", config_model(provider)).model_validate_json(json.dumps(section(url)))
    return StoreDocument("s", Permissions.READ_WRITE, provider, config, Where("stores.yaml", 1), {}, endurance)


@asynccontextmanager
async def _opened(name: str, url: str, endurance: Endurance, gate: Gate | None = None) -> AsyncIterator[Any]:
    gate = gate or Gate("s", concurrency=4, policy=RetryPolicy(attempts=1, lost_after=100), endurance=endurance)
    store: Any = await open_store(_document(name, url, endurance), StoreContext("s", gate, ENVIRON, 4))
    try:
        yield store
    finally:
        await store.aclose()


async def _read(name: str, url: str, endurance: Endurance = SMALL, gate: Gate | None = None) -> object:
    async with _opened(name, url, endurance, gate) as store:
        return await store.read("a")


async def _create(store: Any, value: SecretValue) -> object:
    """Write what was not there, by one request where the store can."""
    if hasattr(store, "write_if"):
        return await store.write_if("a", value, None)
    return await (store.create if hasattr(store, "create") else store.write)("a", value)


async def _listed(name: str, url: str) -> list[Any]:
    async with _opened(name, url, SMALL) as store:
        return [found async for found in store.list("", recursive=True, metadata=True)]


async def _error_of(work: Any) -> SecretSyncError:
    began = time.monotonic()
    with pytest.raises(SecretSyncError) as caught:
        await asyncio.wait_for(work, SOON)
    assert time.monotonic() - began < SOON
    return caught.value


@pytest.fixture
def threads_left() -> Callable[[], list[str]]:
    """Names of the threads that a test began and that hold up the end of the process, as none that waits for a server
    does; those of other tests in this process are none of it."""
    before = set(threading.enumerate())

    def left() -> list[str]:
        new = set(threading.enumerate()) - before
        return [thread.name for thread in new if thread.name.startswith("secretsync") and not thread.daemon]

    return left


@pytest.mark.parametrize(("store", "how"), one_in(5, product(SECTIONS, NEVER_ENDING)))
async def test_an_answer_that_never_ends_is_given_up(
    store: str, how: str, threads_left: Callable[[], list[str]]
) -> None:
    """Whatever of it does not end, a read fails in time, and says which limit of the SecretStore it was."""
    begin, piece, pause, limit = NEVER_ENDING[how]
    async with FaultyHttp() as server:
        server.go_on("", begin, piece, pause=pause)
        error = await _error_of(_read(store, server.address, SHORT if limit == TIME else SMALL))
    assert isinstance(error, StoreError)
    assert limit in error.hint
    assert threads_left() == []


@pytest.mark.parametrize("store", ["vault", "kubernetes", "awsSecretsManager", "awsParameterStore", "http"])
async def test_a_write_whose_answer_is_too_large_may_have_been_made(store: str) -> None:
    """The server may have carried it out before it answered, so only a look can tell. A read leaves nothing open."""
    begin, piece, pause, _ = NEVER_ENDING["a body without end"]
    value = SecretValue(b"1" if store.startswith(("aws", "http")) else {"x": b"1" if store == "kubernetes" else "1"})
    async with FaultyHttp() as server:
        server.answer("^GET .*/internal/ui/mounts/", 200, MOUNT)
        server.go_on("^POST " if store.startswith("aws") else "^GET .*/a$", begin, piece, pause=pause)
        assert not (await _error_of(_read(store, server.address))).unanswered
        server.go_on("^(POST|PUT) ", begin, piece, pause=pause)
        async with _opened(store, server.address, SMALL) as opened:
            error = await _error_of(_create(opened, value))
    assert (error.code, SIZE in error.hint, error.unanswered) == ("answer-too-large", True, True)


@pytest.mark.parametrize(
    "store",
    ["vault login", "kubernetes", "awsSecretsManager", "aws login", "gcpSecretManager", "gcp login", "gitlabVariables"],
)
async def test_a_thread_that_waits_for_a_server_is_cut(store: str) -> None:
    """Clients that block are not left to themselves: their connection is shut, and their thread ends."""
    before = set(threading.enumerate())
    async with FaultyHttp() as server:
        server.go_on("", OK + b"Content-Length: 100000\r\n\r\n{", b" ", pause=0.02)
        await _error_of(_read(store, server.address, SHORT))
        for _ in range(200):
            left = {thread for thread in threading.enumerate() if thread.is_alive()} - before
            if not left:
                break
            await asyncio.sleep(0.02)
    assert not left


@pytest.mark.parametrize(
    "store",
    ["awsSecretsManager", "awsParameterStore", "aws login", "kubernetes", "gcpSecretManager", "gitlabVariables"],
)
async def test_what_is_in_flight_ends_with_its_run(
    store: str, monkeypatch: pytest.MonkeyPatch, threads_left: Callable[[], list[str]]
) -> None:
    """Once a run is asked to stop, a client that blocks is cut at the deadline, whatever a request may take."""
    monkeypatch.setattr(gate_module, "GOODBYE_SECONDS", 0.1)
    gate = Gate("s", concurrency=4, policy=RetryPolicy(attempts=1, lost_after=100))
    async with FaultyHttp() as server:
        server.go_on("", OK + b"Content-Length: 100000\r\n\r\n{", b" ", pause=0.02)
        work = asyncio.create_task(_read(store, server.address, Endurance(), gate))
        while not server.requests:  # noqa: ASYNC110  the server sets no event
            await asyncio.sleep(0.01)
        gate.cut_off(0.1)
        error = await _error_of(work)
    assert "asked to stop" in error.message
    assert error.unanswered or isinstance(error, StoreUnavailable)
    assert threads_left() == []


@pytest.mark.parametrize(
    "store", ["vault", "vault1", "kubernetes", "gcpSecretManager", "githubSecrets", "gitlabVariables", "http"]
)
async def test_a_compressed_answer_is_as_large_as_what_it_holds(store: str) -> None:
    """A few kilobytes that become megabytes are given up at the limit, and not when all of it is there."""
    assert len(BOMB) < SMALL.answer
    async with FaultyHttp() as server:
        server.answer("", 200, BOMB, headers={"Content-Encoding": "gzip"})
        for work in (_read, _listed):
            assert SIZE in (await _error_of(work(store, server.address))).hint


@pytest.mark.parametrize("store", ["awsSecretsManager", "awsParameterStore"])
async def test_aws_does_not_decompress(store: str) -> None:
    """Nobody at AWS sends compressed answers: one is taken as it is, and is no answer."""
    async with FaultyHttp() as server:
        server.answer("", 200, BOMB, headers={"Content-Encoding": "gzip"})
        assert (await _error_of(_read(store, server.address))).code == "malformed-answer"


@pytest.mark.parametrize("verb", ["SCAN", "LIST"])
@pytest.mark.parametrize("piece", [b"a" * 4096, b'"a": null, ', b"[" * 100, b"1" * 4301 + b","])
async def test_a_listing_that_is_taken_apart_as_it_comes_has_bounds(verb: str, piece: bytes) -> None:
    """A name, entries that are none, brackets or digits without end: the process neither grows nor dies."""
    async with FaultyHttp() as server:
        if verb == "LIST":
            server.answer("^SCAN", 404, b'{"errors":["unsupported"],"warnings":["x"]}')
        server.go_on(f"^{verb}", OK + b'\r\n{"data":{"key_info":{"', piece)
        error = await _error_of(_listed("vault", server.address))
    assert isinstance(error, StoreError)


def _deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize("levels", [300, 900, 5000])
@pytest.mark.parametrize(
    "store",
    [
        "vault",
        "vault1",
        "kubernetes",
        "awsSecretsManager",
        "awsParameterStore",
        "gcpSecretManager",
        "githubSecrets",
        "gitlabVariables",
        "http",
    ],
)
async def test_what_stands_deep_in_itself_is_told_in_words(store: str, levels: int) -> None:
    """No store takes apart what it would call itself too often for, at any depth: a value is refused, and an answer."""
    about = {"version": 1, "created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": False}
    deep = _deep(levels)
    data = b'{"data":%s,"metadata":%s}' % (deep, json.dumps(about).encode()) if store == "vault" else deep
    async with FaultyHttp() as server:
        server.answer("", 200, b'{"data":%s,"SecretString":%s}' % (data, deep))
        error = await _error_of(_read(store, server.address))
    # What orjson itself does not take apart may be anything; what it does is a secret of the server's.
    value = store.startswith("vault") and levels < 1000
    assert error.code == ("invalid-secret" if value else "malformed-answer")
    if value:
        assert f"more than {DEPTH} deep" in error.message


def _uid(name: str) -> str:
    return f"00000000-0000-0000-0000-{int(name.encode().hex(), 16) % 10**12:012d}"


def _secrets(request: Seen, body: bytes, number: int, names: list[str]) -> bytes:
    """One page of a listing in the words of the service that was asked."""
    if b"/v1/projects/" in request.head:
        if b"/versions/" in request.head:
            name = request.head.split(b"/v1/")[1].split(b"/versions/")[0].decode()
            return json.dumps({"name": f"{name}/versions/1", "createTime": "2026-01-01T00:00:00Z", "state": 1}).encode()
        made = "2026-01-01T00:00:00Z"
        secrets = [{"name": f"projects/acme-test/secrets/{name}", "createTime": made, "etag": "1"} for name in names]
        return json.dumps({"secrets": secrets, "nextPageToken": f"t{number}"}).encode()
    if b"DescribeParameters" in request.head or b"GetParametersByPath" in request.head:
        found = [
            {"Name": f"/{name}", "Type": "SecureString", "Version": 1, "LastModifiedDate": 1.0, "Value": "x"}
            for name in names
        ]
        return json.dumps({"Parameters": found, "NextToken": f"t{number}"}).encode()
    if b"secretsmanager" in request.head.lower():
        found = [{"Name": name, "ARN": f"arn:x:{name}", "SecretVersionsToStages": {}} for name in names]
        return json.dumps({"SecretList": found, "NextToken": f"t{number}"}).encode()
    if b" /all" in request.head:
        return json.dumps({"all": [{"name": name} for name in names], "next": f"t{number}"}).encode()
    if b" /repos/" in request.head:
        shown = [{"name": name.upper(), "updated_at": "2026-01-01T00:00:00Z", "value": "x"} for name in names]
        return json.dumps({"id": 1, "full_name": "a/b", "total_count": 9999, "variables": shown}).encode()
    if b" /api/v4/" in request.head:
        if b"/variables" not in request.head:
            return json.dumps({"id": 1, "path_with_namespace": "a/b"}).encode()
        return json.dumps([{"key": n, "variable_type": "env_var", "environment_scope": "*"} for n in names]).encode()
    items = [
        {"metadata": {"name": name, "namespace": "a", "uid": _uid(name), "resourceVersion": "1"}} for name in names
    ]
    about = {"resourceVersion": "1", "continue": f"t{number}"}
    return json.dumps({"kind": "PartialObjectMetadataList", "metadata": about, "items": items}).encode()


@pytest.mark.parametrize(
    ("store", "names"),
    # A page that is empty is the last one at GitHub and GitLab.
    [
        *product(
            ("kubernetes", "awsSecretsManager", "awsParameterStore", "gcpSecretManager", "http"), ([], ["a", "b"])
        ),
        ("githubSecrets", ["a", "b"]),
        ("gitlabVariables", ["a", "b"]),
    ],
)
async def test_pages_that_bring_nothing_new_end(store: str, names: list[str]) -> None:
    """Ever new tokens, with empty pages or with the same secrets again and again, end after so many pages."""
    numbers = count()
    async with FaultyHttp() as server:
        server.answer_by("", lambda request, body: _secrets(request, body, next(numbers), names))
        error = await _error_of(_listed(store, server.address))
        assert "limits.pages" in error.hint
        assert server.count() <= SMALL.pages + 5


@pytest.mark.parametrize(
    "store",
    [
        "kubernetes",
        "awsSecretsManager",
        "awsParameterStore",
        "gcpSecretManager",
        "githubSecrets",
        "gitlabVariables",
        "http",
    ],
)
async def test_a_look_that_lists_ends_when_a_listing_does(store: str) -> None:
    """Pages that show something new each time, without end: also where keys are looked at, and nobody lists."""
    numbers = count()
    endurance = Endurance(listing=0.002)  # less than a page takes
    keys = [f"{'K' if store == 'githubSecrets' else 'k'}{number}" for number in range(200)]
    async with FaultyHttp() as server:
        server.answer_by("", lambda request, body: _secrets(request, body, n := next(numbers), [f"n{n:07d}"]))
        async with _opened(store, server.address, endurance) as opened:
            error = await _error_of(_all(opened.stat(keys)))
    assert "limits.listing" in error.hint


@pytest.mark.parametrize("wide", [1, 3])
async def test_folders_within_folders_end(wide: int) -> None:
    """Each folder shows new ones and no secret: the walk ends, by their number or by their depth."""
    keys = json.dumps({"data": {"keys": [f"f{number}/" for number in range(wide)]}}).encode()
    async with FaultyHttp() as server:
        server.answer("", 404, b'{"errors":["unsupported"],"warnings":["x"]}')
        server.answer("^LIST .*/metadata/", 200, keys)
        error = await _error_of(_listed("vault", server.address))
        assert "limits.pages" in error.hint
        assert server.count() < 2 * SMALL.pages + 20


async def test_folders_that_are_deep_without_end_are_no_folders() -> None:
    """Also where each of them has a secret, which is something new every time."""
    keys = b'{"data":{"keys":["a","f/"]}}'
    async with FaultyHttp() as server:
        server.answer("", 404, b'{"errors":[]}')
        server.answer("^(LIST|GET) .*/k?v?", 200, keys)
        server.answer("^LIST .*detailed", 404, b'{"errors":["unsupported"],"warnings":["x"]}')
        server.answer("^SCAN", 404, b'{"errors":["unsupported"],"warnings":["x"]}')
        error = await _error_of(_listed("vault1", server.address))
        assert f"{FOLDERS} deep" in error.message
        assert server.count("^LIST") < 2 * FOLDERS + 20


class _Hangs:
    """A third party's store that does not use its gate, and never comes back."""

    def __init__(self, facts: Any) -> None:
        self.facts = facts

    async def aclose(self) -> None:
        """Nothing to give back."""

    async def read(self, key: str, version: str | None = None) -> Any:
        await asyncio.Event().wait()

    async def stat(self, keys: Any) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield


class _Swallows(_Hangs):
    """One that hangs, and takes its cancellation for an answer."""

    async def read(self, key: str, version: str | None = None) -> Any:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return Secret(SecretValue({"x": "1"}), "1")


class _NeverThrough(_Hangs):
    """One that goes on for ever with its listing, through its gate."""

    def __init__(self, facts: Any, gate: Gate) -> None:
        super().__init__(facts)
        self._gate = gate

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Any]:
        for number in count():
            await self._gate("list", lambda: asyncio.sleep(0.01))
            yield self.entry(f"k{number}")

    @staticmethod
    def entry(key: str) -> Any:
        """An entry."""
        from secretsync_core.model.inventory import Entry

        return Entry(key, "1")


@pytest.fixture
def facts() -> Any:
    """The facts of some store."""
    from secretsync_core.model.capabilities import Shape
    from secretsync_core.stores.memory import MemoryStore

    gate = Gate("s", concurrency=1)
    return MemoryStore(Shape.FIELDS, StoreContext("s", gate, {}, 1)).facts


async def _all(found: Any) -> list[Any]:
    return [each async for each in found]


async def test_a_store_that_hangs_beside_its_gate_is_given_up(facts: Any) -> None:
    """A third party's code is bounded from outside: each call of it ends."""
    from secretsync_core.stores.handle import hand_out

    tiny = Endurance(request=0.02, listing=5.0)
    gate = Gate("s", concurrency=1, endurance=tiny)
    store: Any = hand_out(_Hangs(facts), "s", Permissions.READ_WRITE, gate, tiny)
    for work in (store.read("a"), _all(store.stat(["a"])), _all(store.list("", recursive=True, metadata=False))):
        error = await _error_of(work)
        assert TIME in error.hint
        assert error.unanswered


async def test_a_cancellation_that_a_store_swallows_is_taken_back(facts: Any) -> None:
    """A call that comes back although it was given up counts, and nothing of that is left for whoever is next."""
    from secretsync_core.stores.handle import hand_out

    tiny = Endurance(request=0.02, listing=5.0)
    store: Any = hand_out(_Swallows(facts), "s", Permissions.READ_WRITE, Gate("s", concurrency=1, endurance=tiny), tiny)
    assert (await store.read("a")).version == "1"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_listing_has_a_deadline_of_its_own(facts: Any) -> None:
    """A listing of which each request is answered in time, and which is never through."""
    from secretsync_core.stores.handle import hand_out

    tiny = Endurance(request=5.0, listing=0.2)
    gate = Gate("s", concurrency=1, endurance=tiny)
    store: Any = hand_out(_NeverThrough(facts, gate), "s", Permissions.READ_WRITE, gate, tiny)
    error = await _error_of(_all(store.list("", recursive=True, metadata=False)))
    assert "limits.listing" in error.hint


async def test_what_others_do_with_a_listing_is_not_its_time(facts: Any) -> None:
    """Whoever reads a listing slowly does not make it a slow one."""
    from secretsync_core.stores.handle import hand_out

    class Quick(_NeverThrough):
        async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Any]:
            for number in range(3):
                yield self.entry(f"k{number}")

    tiny = Endurance(request=0.01, listing=0.1)
    store: Any = hand_out(Quick(facts, Gate("s", concurrency=1)), "s", Permissions.READ_WRITE, None, tiny)
    seen = []
    async for each in store.list("", recursive=True, metadata=False):
        seen.append(each)
        await asyncio.sleep(0.1)
    assert len(seen) == 3


async def test_a_store_that_never_opens_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening ends too: a login that a client library makes by itself goes through no gate."""

    async def never(config: object, context: object) -> object:
        await asyncio.Event().wait()
        return None

    monkeypatch.setattr(registry, "_find", lambda *_: SimpleNamespace(open=never, config=None))
    document = _document("vault", "http://127.0.0.1:1", tiny := Endurance(request=0.02))
    gate = Gate("s", concurrency=1, endurance=tiny)
    assert TIME in (await _error_of(open_store(document, StoreContext("s", gate, {}, 1)))).hint
