"""How Secrets are looked at: without their values, page by page, at the least cost."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from support.kube_api import Rule

from kube.making import VALUE, put
from secretsync_core.errors import StoreUnavailable
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.kubernetes import listing

if TYPE_CHECKING:
    from support.kube_api import KubeApi
    from support.serving import Seen

    from kube.conftest import KubeStores

LIST = r"^GET /api/v1/(namespaces/[^/]+/)?secrets\?"
LOOK = "^GET /api/v1/namespaces/[^/]+/secrets/"


async def listed(store: Any, prefix: str = "", *, metadata: bool = False) -> list[Entry]:
    return [entry async for entry in store.list(prefix, recursive=True, metadata=metadata)]


async def seen(store: Any, keys: list[str]) -> list[str]:
    return sorted([entry.key async for entry in store.stat(keys) if isinstance(entry, Entry)])


def fill(kube: KubeApi, count: int, namespace: str = "team-a") -> list[str]:
    names = [f"s-{number:05}" for number in range(count)]
    with ThreadPoolExecutor(8) as threads:  # a real server takes them side by side
        list(threads.map(lambda name: put(kube, name, {"x": b"1"}, namespace), names))
    return names


async def test_pages(kube: KubeApi, kube_store: KubeStores) -> None:
    """1,200 Secrets come in three pages, without their values, each once."""
    names = fill(kube, 1200)
    kube.cluster.create("team-b", {"metadata": {"name": "other"}})
    store = await kube_store(namespace="team-a")
    kube.requests.clear()
    assert [entry.key for entry in await listed(store)] == names
    assert kube.count(LIST) == 3
    assert all("limit=500" in request.path for request in kube.requests)
    assert all("PartialObjectMetadataList" in request.headers["accept"] for request in kube.requests)


async def test_change_detection_costs_little(kube: KubeApi, kube_store: KubeStores) -> None:
    """A look at N Secrets costs N/500 requests and a few, in one namespace and over all of them."""
    names = fill(kube, 1500)
    fill(kube, 700, "team-b")
    store, everywhere = await kube_store(namespace="team-a"), await kube_store()
    kube.requests.clear()
    assert await seen(store, names) == names
    assert len(kube.requests) <= 1500 / 500 + 5
    assert len(kube.requests) == 3
    kube.requests.clear()
    keys = [f"team-a/{name}" for name in names] + [f"team-b/{name}" for name in names[:700]]
    assert await seen(everywhere, keys) == sorted(keys)
    assert len(kube.requests) == 5


async def test_few_among_many(kube: KubeApi, kube_store: KubeStores) -> None:
    """Few Secrets are looked at one by one; some among very many too, once the first page tells how many there are."""
    names = fill(kube, 4000)
    store = await kube_store(namespace="team-a")
    kube.requests.clear()
    assert await seen(store, ["s-00001", "s-03999", "absent"]) == ["s-00001", "s-03999"]
    assert (kube.count(LIST), kube.count(LOOK)) == (0, 3)
    kube.requests.clear()
    assert await seen(store, [*names[:4], *names[-3:]]) == sorted([*names[:4], *names[-3:]])
    assert (kube.count(LIST), kube.count(LOOK)) == (1, 3)
    kube.requests.clear()
    assert await seen(store, names[:6]) == names[:6]
    assert (kube.count(LIST), kube.count(LOOK)) == (1, 0)  # all there on the first page


async def test_namespaces_one_by_one(kube: KubeApi, kube_store: KubeStores) -> None:
    """Keys of one namespace are looked for there alone; so they are where all namespaces may not be listed."""
    names = fill(kube, 20)
    fill(kube, 20, "team-b")
    keys = [f"{namespace}/{name}" for namespace in ("team-a", "team-b") for name in names]
    everywhere = await kube_store()
    kube.requests.clear()
    assert await seen(everywhere, keys[:20]) == keys[:20]
    assert [request.path.partition("?")[0] for request in kube.requests] == ["/api/v1/namespaces/team-a/secrets"]
    rights = [Rule({"get", "list"}, namespace) for namespace in ("team-a", "team-b")]
    narrow = await kube_store(auth={"token": {"value": kube.token(*rights)}})
    for asked in (3, 2):  # what is denied once is not asked again
        kube.requests.clear()
        assert await seen(narrow, keys) == keys
        assert len(kube.requests) == asked


async def test_without_the_verb_list(kube: KubeApi, kube_store: KubeStores) -> None:
    """Who may get Secrets and not list them has them looked at one by one; what is denied there is a Gap."""
    names = fill(kube, 20)
    store = await kube_store(namespace="team-a", auth={"token": {"value": kube.token(Rule({"get"}, "team-a"))}})
    assert await seen(store, names) == names
    blind = await kube_store(namespace="team-a", auth={"token": {"value": kube.token(Rule({"list"}, "team-a"))}})
    gaps = [gap async for gap in blind.stat(names[:3])]
    assert sorted(gap.prefix for gap in gaps if isinstance(gap, Gap)) == names[:3]
    assert await seen(blind, names) == names


async def test_keys_that_are_none(kube: KubeApi, kube_store: KubeStores) -> None:
    """A key that no Secret can have is a Gap of its own, and does not keep the others from being seen."""
    fill(kube, 1)
    store = await kube_store(namespace="team-a")
    kube.requests.clear()
    found = [each async for each in store.stat(["s-00000", "Not/A Name"])]
    assert [each.prefix for each in found if isinstance(each, Gap)] == ["Not/A Name"]
    assert [each.key for each in found if isinstance(each, Entry)] == ["s-00000"]
    assert kube.count() == 1


async def test_the_server_forgets_a_listing(kube: KubeApi, kube_store: KubeStores) -> None:
    """A continue token that has expired begins the listing anew: nothing comes twice, and nothing stale."""
    names = fill(kube, 1100)
    store = await kube_store(namespace="team-a")

    def forget() -> None:
        kube.cluster.compact()
        kube.cluster.delete("team-a", names[0], {})

    kube.before("continue=", forget)
    assert [entry.key for entry in await listed(store)] == names[1:]
    assert kube.count(LIST) == 5
    kube.before("continue=", kube.cluster.compact)
    kube.requests.clear()
    assert await seen(store, names) == names[1:]
    assert kube.count(LIST) == 5


async def test_the_server_forgets_every_time(kube: KubeApi, kube_store: KubeStores) -> None:
    """A listing that expires again and again is given up as an outage, not as a shorter listing."""
    fill(kube, 600)
    store = await kube_store(namespace="team-a")
    kube.before("continue=", kube.cluster.compact, times=None)
    for look in (listed(store), seen(store, [f"s-{n:05}" for n in range(600)])):
        with pytest.raises(StoreUnavailable, match="dropped a listing"):
            await look
    assert kube.count(LIST) == 2 * 2 * listing.RESTARTS


async def test_changes_while_listing(kube: KubeApi, kube_store: KubeStores) -> None:
    """Later pages show the moment of the first one, so that nothing is missed or doubled."""
    names = fill(kube, 1000)
    store = await kube_store(namespace="team-a")

    def meanwhile() -> None:
        kube.cluster.delete("team-a", names[10], {})
        put(kube, "a-new-one", {"x": b"1"})

    kube.before("continue=", meanwhile)
    assert [entry.key for entry in await listed(store)] == names


async def test_a_server_of_old(kube: KubeApi, kube_store: KubeStores) -> None:
    """A server that has no metadata without values is asked for whole lists by the same request."""
    names = fill(kube, 600)
    kube.partial = False
    store = await kube_store(namespace="team-a")
    assert [entry.key for entry in await listed(store)] == names
    assert await seen(store, names[:2]) == names[:2]
    token = await store.write("new", VALUE)
    assert (await store.read("new")).version == token
    await store.delete("new")


async def test_values_stay_where_they_are(kube: KubeApi, kube_store: KubeStores) -> None:
    """No answer to a list, a look, a write or a delete carries a value."""
    answers: list[bytes] = []
    original = kube.handle

    def heard(seen: Seen, common_name: str | None) -> tuple[int, dict[str, str], bytes]:
        answer = original(seen, common_name)
        answers.append(answer[2])
        return answer

    kube.handle = heard  # type: ignore[method-assign]
    put(kube, "a", {"x": b"canary-canary"})
    store = await kube_store(namespace="team-a")
    await listed(store, metadata=True)
    await seen(store, ["a"])
    await seen(store, [f"a{n}" for n in range(9)])
    await store.write_if("b", VALUE, None)
    await store.delete("b")
    assert len(answers) >= 6
    for answer in answers:
        assert not re.search(rb'"data"|"stringData"', answer)


async def test_labels_are_metadata(kube: KubeApi, kube_store: KubeStores) -> None:
    """A listing shows labels where they are asked for, and folders are namespaces."""
    put(kube, "a", {}, metadata={"labels": {"team": "x"}})
    put(kube, "b", {}, "team-b")
    store = await kube_store()
    assert {entry.key: entry.metadata for entry in await listed(store, metadata=True)} == {
        "team-a/a": {"team": "x"},
        "team-b/b": {},
    }
    assert [entry.metadata for entry in await listed(store)] == [None, None]
    assert [entry.key for entry in await listed(store, "team-b/")] == ["team-b/b"]
    for nothing in ("team-b/b/", "team_b/", "Team/"):
        kube.requests.clear()
        assert await listed(store, nothing) == []
        assert kube.requests == []


async def test_marks_are_asked_for_by_label(kube: KubeApi, kube_store: KubeStores) -> None:
    """Only Secrets with a mark are listed to find marks."""
    names = fill(kube, 600)
    store = await kube_store(namespace="team-a", mark="job.1")
    await store.write("ours", VALUE)
    kube.requests.clear()
    assert await store.marks([*names, "ours"]) == {"ours": "job.1"}
    assert [request.path.partition("?")[2] for request in kube.requests] == [
        "limit=500&labelSelector=secretsync.io%2Fowner"
    ]
    assert await store.marks(["ours", names[0], "absent"]) == {"ours": "job.1"}


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "SecretList", "metadata": {}, "items": "none"},
        {"kind": "SecretList", "items": []},
        {"kind": "Secret", "metadata": {}, "items": []},
        {"kind": "SecretList", "metadata": {"continue": 7}, "items": []},
        {"kind": "SecretList", "metadata": {"continue": False}, "items": []},
        {"kind": "SecretList", "metadata": {"remainingItemCount": True}, "items": []},
        {"kind": "SecretList", "metadata": {}},
        {"kind": "SecretList", "metadata": {}, "items": [{"metadata": {"name": "a"}}]},
        {"kind": "SecretList", "metadata": {}, "items": ["a"]},
        [],
    ],
)
async def test_an_answer_that_is_no_listing(kube: KubeApi, kube_store: KubeStores, body: Any) -> None:
    """Whatever else comes with a 200 is an outage, and never an empty store."""
    store = await kube_store(namespace="team-a")
    kube.answer(LIST, 200, json.dumps(body).encode())
    with pytest.raises(StoreUnavailable, match="not the Kubernetes API"):
        await listed(store)


async def test_what_is_no_base64(kube: KubeApi, kube_store: KubeStores) -> None:
    """Data that is not base64 is an outage: no API server says so."""
    made = put(kube, "a", {})
    store = await kube_store(namespace="team-a")
    data: Any
    for data in ({"x": "no base64!"}, {"x": 7}, ["x"]):
        kube.answer(LOOK, 200, json.dumps({**made, "data": data}).encode())
        with pytest.raises(StoreUnavailable, match="not the Kubernetes API"):
            await store.read("a")
