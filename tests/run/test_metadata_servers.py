"""Metadata beside values between a real OpenBao and Kubernetes, and within each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run.pair import UP
from run.world import actions, counted
from secretsync_core.errors import StoreUnavailable

if TYPE_CHECKING:
    from conftest import Mount
    from support.http import Api

    from run.pair import Pair
    from run.world import World
    from secretsync_core.demo.openbao import OpenBaoServer

COPY_UP = UP + "  metadata: {copy: [team, note]}\n"


def beside(pair: Pair, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Labels, without our mark, and annotations of a Secret."""
    metadata = pair.kube.cluster.get("team-a", name)["metadata"]
    labels = {key: text for key, text in metadata.get("labels", {}).items() if not key.startswith("secretsync.io/")}
    return labels, metadata.get("annotations", {})


def custom(pair: Pair, key: str, **given: str) -> None:
    """Set the custom metadata of a secret in OpenBao."""
    pair._api.call("POST", f"{pair._mount}/metadata/{key}", {"custom_metadata": given})


async def test_labels_and_annotations_of_the_store_reach_what_is_there(pair: Pair) -> None:
    """They are planned by name, set on what the job created, and stay beside the labels that others have put there."""
    pair.put("app/l", {"a": "1"})
    pair.k8s(labels="{app: one}")
    await pair.up()
    pair.patch("app-l", {"metadata": {"labels": {"theirs": "x"}}})
    assert counted(await pair.world.sync()) == {"unchanged": 1}
    pair.k8s(labels="{app: two}", annotations="{acme.com/reflect: 'true'}")
    planned = await pair.world.plan()
    assert [(change.action, change.metadata) for change in planned.changes] == [
        ("update", ("annotation acme.com/reflect", "label app"))
    ]
    assert counted(await pair.world.sync()) == {"updated": 1}
    assert beside(pair, "app-l") == ({"app": "two", "theirs": "x"}, {"acme.com/reflect": "true"})
    assert pair.secret("app-l") == {"a": b"1"}
    pair.kube.requests.clear()
    report = await pair.world.sync()
    assert (counted(report), report.requests["k8s"], report.drifted_count) == ({"unchanged": 1}, {"stat": 2}, 0)


async def test_a_value_that_changes_while_labels_are_set_is_not_taken_for_ours(pair: Pair) -> None:
    """Somebody writes the Secret between the look and the update: their value is seen, as drift, and put right."""
    pair.put("app/l", {"a": "1"})
    await pair.up()
    pair.k8s(labels="{app: one}")
    pair.kube.before("^PUT ", lambda: pair.patch("app-l", {"data": {"a": "MQ==", "b": "MQ=="}}))
    report = await pair.world.sync()
    assert (counted(report), report.ok) == ({"updated": 1}, True)
    assert pair.secret("app-l") == {"a": b"1"}
    assert beside(pair, "app-l")[0] == {"app": "one"}


async def test_custom_metadata_becomes_labels_or_annotations(pair: Pair) -> None:
    """Labels by default, refused where the text is no label's; annotations where the item says so; and back again."""
    pair.put("app/l", {"a": "1"})
    custom(pair, "app/l", team="blue", note="a sentence, with spaces")
    pair.world.job(COPY_UP, source="bao", dest="k8s")
    (change,) = (await pair.world.plan()).changes
    assert (change.action, change.reason) == ("refuse", "invalid-secret")
    assert change.detail.startswith("label note: it must be at most 63 letters")
    pair.world.job(COPY_UP.replace("note]}", "note], as: Annotations}"), source="bao", dest="k8s")
    assert counted(await pair.world.sync()) == {"created": 1}
    assert beside(pair, "app-l") == ({}, {"team": "blue", "note": "a sentence, with spaces"})
    assert counted(await pair.world.sync()) == {"unchanged": 1}
    custom(pair, "app/l", team="red", note="x")
    assert counted(await pair.world.sync()) == {"updated": 1}
    assert beside(pair, "app-l")[1] == {"team": "red", "note": "x"}
    pair.world.job(
        "- {name: b, query: {key: {exclude: ['^x']}}, keyTransform: [{prefix: back/}], metadata: {copy: ['*']}}",
        source="k8s",
        dest="bao",
    )
    assert counted(await pair.world.sync()) == {"created": 1}
    found = pair._api.call("GET", f"{pair._mount}/metadata/back/app-l")["data"]["custom_metadata"]
    assert found == {"team": "red", "note": "x"}


async def test_what_the_store_asks_for_wins_over_what_is_copied(pair: Pair) -> None:
    """Of one name: the labels and annotations of the SecretStore's document are on every Secret."""
    pair.put("app/l", {"a": "1"})
    custom(pair, "app/l", team="copied", note="copied")
    pair.k8s(labels="{team: store}")
    pair.world.job(COPY_UP, source="bao", dest="k8s")
    assert counted(await pair.world.sync()) == {"created": 1}
    assert beside(pair, "app-l") == ({"team": "store", "note": "copied"}, {})
    pair.k8s(labels="{team: store}", annotations="{note: store}")
    pair.world.job(COPY_UP.replace("note]}", "note], as: Annotations}"), source="bao", dest="k8s")
    assert counted(await pair.world.sync()) == {"updated": 1}
    assert beside(pair, "app-l")[1] == {"team": "copied", "note": "store"}
    assert counted(await pair.world.sync()) == {"unchanged": 1}


async def test_kubectls_copy_of_a_secret_is_never_copied(pair: Pair) -> None:
    """Its annotation holds the values: no pattern takes it, and a document that names it is refused."""
    pair.create(
        "l", {"a": b"1"}, metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "MQ=="}}
    )
    pair.world.job("- {name: b, query: {}, metadata: {copy: ['*', '*/*']}}", source="k8s", dest="bao")
    assert counted(await pair.world.sync()) == {"created": 1}
    assert pair._api.call("GET", f"{pair._mount}/metadata/l")["data"]["custom_metadata"] is None


@pytest.fixture
def baos(world: World, openbao: OpenBaoServer, api: Api, mount: Mount) -> list[str]:
    """Two mounts, as ``src`` and ``dst``."""
    mounts = [mount(openbao), mount(openbao)]
    for name, at in zip(("src", "dst"), mounts, strict=True):
        world.store(name, f"vault: {{address: '{api.address}', mount: {at}, auth: {{token: {{value: {api.token}}}}}}}")
    return mounts


@pytest.mark.parametrize("count", [2, 70])
async def test_custom_metadata_from_openbao_to_openbao(world: World, api: Api, baos: list[str], count: int) -> None:
    """It is copied by PATCH, past what others have set there, and a run that changes nothing costs what it costs."""
    src, dst = baos
    for number in range(count):
        api.put(src, f"k{number:02}", {"a": "1"})
    world.job("- {name: all, query: {recursive: true}}")
    assert (await world.sync()).ok
    plain = (await world.sync()).requests
    api.call("POST", f"{src}/metadata/k01", {"custom_metadata": {"owner": "team-a", "secretsync.io/owner": "x.1"}})
    api.call("POST", f"{dst}/metadata/k01", {"custom_metadata": {"theirs": "1"}})
    world.job("- {name: all, query: {recursive: true}, metadata: {copy: ['*', '*/*']}}")
    assert counted(await world.sync()) == {"updated": 1, "unchanged": count - 1}
    found: dict[str, Any] = api.call("GET", f"{dst}/metadata/k01")["data"]
    assert (found["custom_metadata"], found["current_version"]) == ({"owner": "team-a", "theirs": "1"}, 1)
    assert (await world.sync()).requests == plain


async def test_what_openbao_takes_is_what_we_think(world: World, api: Api, baos: list[str]) -> None:
    """The bounds of custom metadata are those of the server: what passes ours passes there, and the next is refused."""
    src, dst = baos
    api.put(src, "k", {"a": "1"})
    api.call(
        "POST", f"{src}/metadata/k", {"custom_metadata": {"n" * 128: "é" * 256, **{f"t{n}": "x" for n in range(63)}}}
    )
    world.job("- {name: all, query: {recursive: true}, metadata: {copy: ['*']}}")
    assert counted(await world.sync()) == {"created": 1}
    api.put(src, "l", {"a": "1"})
    api.put(dst, "l", {"a": "1"})
    api.call("POST", f"{dst}/metadata/l", {"custom_metadata": {f"u{n}": "x" for n in range(64)}})
    api.call("POST", f"{src}/metadata/l", {"custom_metadata": {"one": "more"}})
    assert actions(await world.plan(adopt=["l"]))["l"] == "refuse"


async def test_what_a_document_asks_for_in_kv2(world: World, api: Api, baos: list[str]) -> None:
    """customMetadata is set on what is created and on what is there; an engine of version 1 has none."""
    src, dst = baos
    vault = f"address: '{api.address}', mount: {dst}, auth: {{token: {{value: {api.token}}}}}"
    api.put(src, "a", {"x": "1"})
    world.job("- {name: all, query: {recursive: true}}")
    await world.sync()
    world.store("dst", f"vault: {{{vault}, customMetadata: {{team: blue}}}}")
    api.put(src, "b", {"x": "1"})
    assert counted(await world.sync()) == {"created": 1, "updated": 1}
    for key in ("a", "b"):
        assert api.call("GET", f"{dst}/metadata/{key}")["data"]["custom_metadata"] == {"team": "blue"}
    assert counted(await world.sync()) == {"unchanged": 2}


async def test_what_a_document_asks_for_in_kv2_wins_over_what_is_copied(
    world: World, api: Api, baos: list[str]
) -> None:
    """Of one name, on what is created and on what is there."""
    src, dst = baos
    vault = f"address: '{api.address}', mount: {dst}, auth: {{token: {{value: {api.token}}}}}"
    world.job("- {name: all, query: {}, metadata: {copy: ['*']}}")
    for key in ("a", "b"):
        api.put(src, key, {"x": "1"})
        api.call("POST", f"{src}/metadata/{key}", {"custom_metadata": {"team": "copied", "note": key}})
        assert (await world.sync()).ok
        world.store("dst", f"vault: {{{vault}, customMetadata: {{team: blue}}}}")
    assert counted(await world.sync()) == {"unchanged": 2}
    for key in ("a", "b"):
        found = api.call("GET", f"{dst}/metadata/{key}")["data"]["custom_metadata"]
        assert found == {"team": "blue", "note": key}


async def test_a_secret_that_is_taken_over_gets_labels_too(pair: Pair) -> None:
    """Its mark changes its version, and its labels once more: the ledger has the last one, and the next run is idle."""
    pair.put("app/l", {"a": "1"})
    pair.create("app-l", {"a": b"1"}, metadata={"labels": {"theirs": "x"}})
    pair.k8s(labels="{app: one}")
    assert counted(await pair.up()) == {"unchanged": 1}
    assert beside(pair, "app-l") == ({"theirs": "x"}, {})
    assert counted(await pair.world.sync(adopt=["app-l"])) == {"updated": 1}
    assert beside(pair, "app-l") == ({"theirs": "x", "app": "one"}, {})
    report = await pair.world.sync()
    assert (counted(report), report.drifted_count, report.requests["bao"].get("read")) == ({"unchanged": 1}, 0, None)


async def test_an_answer_that_is_lost_while_labels_are_set(pair: Pair) -> None:
    """The labels are there, and the value in its new version is the one that we left: it counts as made."""
    pair.put("app/l", {"a": "1"})
    await pair.up()
    pair.k8s(labels="{app: one}")
    faults = pair.world.fault("k8s")
    faults.fail("set_metadata", StoreUnavailable("no answer", store="k8s"), after=True, times=1)
    report = await pair.world.sync()
    assert (counted(report), report.ok) == ({"updated": 1}, True)
    assert counted(await pair.world.sync()) == {"unchanged": 1}
    assert pair.world.sound()
