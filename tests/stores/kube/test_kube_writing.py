"""What becomes of a Secret that is written, marked or deleted: everything but its data stays."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from kube.making import OTHER, VALUE, change, put
from secretsync_core.errors import AccessDenied, Conflict, InvalidSecret, SecretFails, StoreError
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from support.kube_api import KubeApi

    from kube.conftest import KubeStores


async def test_what_is_created_is_as_the_document_says(kube: KubeApi, kube_store: KubeStores) -> None:
    """Type, labels and annotations of the document are on what is created, and the mark beside them."""
    store = await kube_store(
        namespace="team-a", labels={"team": "a", "example.com/x": ""}, annotations={"note": "any: text"}, mark="job.1"
    )
    await store.write("new", VALUE)
    made = kube.cluster.get("team-a", "new")
    assert made["type"] == "Opaque"
    assert made["metadata"]["labels"] == {"team": "a", "example.com/x": "", MARK_KEY: "job.1"}
    assert made["metadata"]["annotations"] == {"note": "any: text"}
    assert made["metadata"]["managedFields"][0]["manager"] == "secretsync"
    tls = await kube_store(namespace="team-a", type="kubernetes.io/tls")
    await tls.write("tls", SecretValue({"tls.crt": b"c", "tls.key": b"k"}))
    assert kube.cluster.get("team-a", "tls")["type"] == "kubernetes.io/tls"


async def test_what_is_updated_keeps_what_it_had(kube: KubeApi, kube_store: KubeStores) -> None:
    """A Secret of another type, with labels, annotations and an owner of its own, only gets other data."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}
    metadata = {"labels": {"theirs": "x"}, "annotations": {"theirs": "y"}, "ownerReferences": [owner]}
    before = put(kube, "a", {"old": b"1"}, metadata=metadata, type="example.com/kind")
    store = await kube_store(namespace="team-a", labels={"ours": "z"}, annotations={"ours": "z"}, mark="job.1")
    token = await store.write("a", VALUE)
    await store.write_if("a", OTHER, token)
    after = kube.cluster.get("team-a", "a")
    assert after["data"] == {"password": base64.b64encode(b"two").decode()}
    assert after["type"] == "example.com/kind"
    for name, value in metadata.items():
        assert after["metadata"][name] == value
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_the_same_data_again_is_no_write(kube: KubeApi, kube_store: KubeStores) -> None:
    """A PUT that changes nothing keeps the resourceVersion, and so the token stays."""
    store = await kube_store(namespace="team-a")
    token = await store.write("a", VALUE)
    assert await store.write("a", VALUE) == token
    assert await store.write("a", OTHER) != token


async def test_labels_alone_make_a_version(kube: KubeApi, kube_store: KubeStores) -> None:
    """Somebody who only changes a label makes a new token: the engine then compares values, and writes nothing."""
    store = await kube_store(namespace="team-a")
    token = await store.write("a", VALUE)
    kube.cluster.patch("team-a", "a", {"metadata": {"labels": {"x": "y"}}}, "application/merge-patch+json")
    assert (await store.read("a")).version != token


async def test_changed_between_look_and_write(kube: KubeApi, kube_store: KubeStores) -> None:
    """write_if does not write over what changed since we looked, nor over what changes just before its PUT."""
    store = await kube_store(namespace="team-a")
    token = await store.write("a", VALUE)
    kube.before("^PUT ", change(kube, "a"))
    with pytest.raises(Conflict, match="a in k8s changed meanwhile"):
        await store.write_if("a", OTHER, token)
    assert "theirs" in kube.cluster.get("team-a", "a")["data"]
    with pytest.raises(Conflict):
        await store.write_if("a", OTHER, token)
    kube.before("^PUT ", lambda: kube.cluster.delete("team-a", "a", {}))
    with pytest.raises(Conflict):
        await store.write_if("a", OTHER, (await store.read("a")).version)
    assert kube.cluster.list("team-a").items == []


async def test_recreated_since(kube: KubeApi, kube_store: KubeStores) -> None:
    """A Secret that was deleted and created anew is another one, whatever it holds."""
    store = await kube_store(namespace="team-a")
    token = await store.write("a", VALUE)
    kube.cluster.delete("team-a", "a", {})
    put(kube, "a", {"password": b"one"})
    with pytest.raises(Conflict):
        await store.write_if("a", OTHER, token)


async def test_created_by_somebody_else_at_once(kube: KubeApi, kube_store: KubeStores) -> None:
    """Creating what somebody creates in that moment is a Conflict; a write that compares with nothing goes on."""
    store = await kube_store(namespace="team-a")
    kube.before("^POST ", lambda: put(kube, "a", {"theirs": b"1"}))
    with pytest.raises(Conflict, match="exists already"):
        await store.write_if("a", VALUE, None)
    kube.before("^POST ", lambda: put(kube, "b", {"theirs": b"1"}))
    await store.write("b", VALUE)
    assert kube.cluster.get("team-a", "b")["data"].keys() == {"password"}


async def test_somebody_who_never_stops(kube: KubeApi, kube_store: KubeStores) -> None:
    """Where somebody writes before each of our writes, a write gives up after three rounds."""
    store = await kube_store(namespace="team-a")
    await store.write("a", VALUE)
    numbers = iter(range(100))
    kube.before(
        "^PUT ",
        lambda: kube.cluster.patch(
            "team-a", "a", {"metadata": {"labels": {"n": str(next(numbers))}}}, "application/merge-patch+json"
        ),
        times=None,
    )
    kube.requests.clear()
    with pytest.raises(Conflict):
        await store.write("a", OTHER)
    assert (kube.count("^GET "), kube.count("^PUT ")) == (3, 3)


async def test_immutable(kube: KubeApi, kube_store: KubeStores) -> None:
    """An immutable Secret is refused by name, with what to do, and is not even sent; the same data is no change."""
    put(kube, "a", {"password": b"one"}, immutable=True)
    store = await kube_store(namespace="team-a", mark="job.1")
    with pytest.raises(InvalidSecret, match="k8s refuses a: that Secret is immutable") as raised:
        await store.write("a", OTHER)
    assert "delete it" in raised.value.hint
    assert kube.count("^PUT ") == 0
    await store.write("a", VALUE)
    await store.mark("a")
    assert await store.marks(["a"]) == {"a": "job.1"}
    kube.before("^PUT ", lambda: kube.cluster.patch("team-a", "b", {"immutable": True}, "application/merge-patch+json"))
    await store.write("b", VALUE)
    with pytest.raises(InvalidSecret, match="immutable"):
        await store.write("b", OTHER)  # made immutable in between: found out in the second round


async def test_delete_what_was_just_seen(kube: KubeApi, kube_store: KubeStores) -> None:
    """A delete names uid and resourceVersion of a fresh look, so that what changes in that moment stays."""
    store = await kube_store(namespace="team-a")
    for name in ("a", "b"):
        await store.write(name, VALUE)
    kube.before("^DELETE ", change(kube, "a"))
    with pytest.raises(Conflict):
        await store.delete("a")
    assert kube.cluster.get("team-a", "a")["data"].keys() == {"password", "theirs"}
    kube.before("^DELETE ", lambda: kube.cluster.delete("team-a", "b", {}))
    await store.delete("b")
    await store.delete("a")
    assert kube.cluster.list("team-a").items == []


async def test_finalizers(kube: KubeApi, kube_store: KubeStores) -> None:
    """A Secret that a finalizer keeps is deleted once the finalizer goes, and not before.

    A server that answers a deletion with what was deleted is believed as well, once a look shows that it is gone.
    """
    put(kube, "a", {"x": b"1"}, metadata={"finalizers": ["example.com/wait"]})
    store = await kube_store(namespace="team-a")
    with pytest.raises(SecretFails, match="stays until its finalizers are done") as caught:
        await store.delete("a")
    assert caught.value.unanswered
    assert kube.cluster.get("team-a", "a")["metadata"]["deletionTimestamp"]

    def let_go() -> None:
        kube.cluster.patch("team-a", "a", {"metadata": {"finalizers": None}}, "application/merge-patch+json")

    def make_anew() -> None:
        let_go()
        put(kube, "a", {"x": b"theirs"})

    for end in (let_go, make_anew):
        if end is make_anew:
            put(kube, "a", {"x": b"1"}, metadata={"finalizers": ["example.com/wait"]})
        kube.before("^DELETE ", lambda end=end: kube.before("^GET .*/secrets/a", end))  # type: ignore[misc]
        await store.delete("a")
    assert (await store.read("a")).value.reveal()["x"] == b"theirs"


async def test_a_deletion_of_which_nobody_may_see_the_end(kube: KubeApi, kube_store: KubeStores) -> None:
    """A look that is refused leaves open whether a Secret with finalizers went."""
    put(kube, "a", {"x": b"1"}, metadata={"finalizers": ["example.com/wait"]})
    store = await kube_store(namespace="team-a")
    kube.before("^DELETE ", lambda: kube.answer("^GET .*/secrets/a", 403))
    with pytest.raises(AccessDenied) as caught:
        await store.delete("a")
    assert caught.value.unanswered


async def test_marking_under_us(kube: KubeApi, kube_store: KubeStores) -> None:
    """A mark is put on beside what somebody else writes in that moment."""
    store = await kube_store(namespace="team-a", mark="job.1")
    put(kube, "a", {"x": b"1"}, metadata={"labels": {"theirs": "y"}})
    kube.before("^PUT ", change(kube, "a"))
    await store.mark("a")
    after = kube.cluster.get("team-a", "a")
    assert after["metadata"]["labels"] == {"theirs": "y", MARK_KEY: "job.1"}
    assert after["data"].keys() == {"x", "theirs"}


async def test_unknown_fields_survive(kube: KubeApi, kube_store: KubeStores) -> None:
    """What a newer API server has in a Secret is sent back as it came, for we know nothing of its meaning."""
    store = await kube_store(namespace="team-a")
    await store.write("a", VALUE)
    whole = kube.cluster.get("team-a", "a")
    kube.answer("^GET .*/secrets/a", 200, json.dumps({**whole, "brandNew": {"x": 1}}).encode(), times=1)
    kube.answer("^PUT ", 200, json.dumps(whole).encode(), times=1)
    await store.write("a", OTHER)
    assert json.loads(kube.requests[-1].body)["brandNew"] == {"x": 1}


async def test_old_versions_are_refused(kube: KubeApi, kube_store: KubeStores) -> None:
    """There are none, and asking for one is an error and not the current one."""
    store = await kube_store(namespace="team-a")
    with pytest.raises(StoreError, match="keeps no old versions"):
        await store.read("a", version="1000")
