"""What a cluster would refuse is in the plan: fields of a type, immutable Secrets, and namespaces that take nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.kube_api import Rule

from run.pair import UP
from run.world import actions, counted
from secretsync_core.errors import AccessDenied
from secretsync_core.model.change import Reason
from secretsync_core.run.health import check_stores, places

if TYPE_CHECKING:
    from run.pair import Pair

TYPES = {
    "kubernetes.io/tls": ({"tls.crt": "c"}, "tls.key", {"tls.crt": "c", "tls.key": "k", "ca.crt": ""}),
    "kubernetes.io/dockerconfigjson": (
        {".dockerconfigjson": "canary"},
        ".dockerconfigjson",
        {".dockerconfigjson": '{"auths": {}}'},
    ),
    "kubernetes.io/dockercfg": ({"x": "y"}, ".dockercfg", {".dockercfg": "{}"}),
    "kubernetes.io/ssh-auth": (
        {"ssh-privatekey": ""},
        "ssh-privatekey",
        {"ssh-privatekey": "k"},
    ),
    "kubernetes.io/basic-auth": ({"user": "x"}, "username", {"password": "p"}),
}


async def refusals(pair: Pair) -> dict[str, str]:
    """What a plan from OpenBao refuses, and why."""
    planned = await pair.world.plan()
    refused = {change.key: change for change in planned.changes if change.action == "refuse"}
    assert all(change.reason in (Reason.CANNOT_HOLD, Reason.WOULD_FAIL) for change in refused.values())
    return {key: change.detail for key, change in refused.items()}


@pytest.mark.parametrize("kind", TYPES)
async def test_what_a_type_needs(pair: Pair, kind: str) -> None:
    """A Secret of a type that lacks a field is refused in the plan, in the words of the sync; what fits is taken."""
    lacking, field, right = TYPES[kind]
    pair.k8s(type=kind)
    pair.put("app/lacking", lacking)
    pair.put("app/right", right)
    pair.world.job(UP, source="bao", dest="k8s")
    refused = await refusals(pair)
    assert list(refused) == ["app-lacking"]
    assert field in refused["app-lacking"]
    assert "canary" not in refused["app-lacking"]
    report = await pair.world.sync()
    assert counted(report) == {"created": 1, "failed": 1}
    assert refused["app-lacking"].endswith(report.failures[0].message)


async def test_what_the_type_of_a_secret_that_is_there_needs(pair: Pair) -> None:
    """A Secret keeps its type, and so what it needs: the store's own type does not count for it, nor the reverse."""
    pair.create("app-tls", {"tls.crt": b"c", "tls.key": b"k"}, type="kubernetes.io/tls")
    pair.put("app/tls", {"tls.crt": "new"})
    pair.world.job(UP, source="bao", dest="k8s", writePolicy="Replace")
    assert "tls.key" in (await refusals(pair))["app-tls"]
    pair.k8s(type="kubernetes.io/tls")
    pair.create("app-free", {"x": b"0"})
    pair.put("app/free", {"x": "1"})
    pair.put("app/tls", {"tls.crt": "new", "tls.key": "k"})
    assert counted(await pair.up(writePolicy="Replace")) == {"updated": 2}
    assert pair.secret("app-free") == {"x": b"1"}


async def test_an_immutable_secret(pair: Pair) -> None:
    """An immutable Secret with other data is refused in the plan; with the same data it is as it should be."""
    for name in ("same", "other"):
        pair.put(f"app/{name}", {"x": "1"})
    pair.create("app-same", {"x": b"1"}, immutable=True)
    pair.create("app-other", {"x": b"0"}, immutable=True)
    pair.world.job(UP, source="bao", dest="k8s", writePolicy="Replace")
    assert {key: "immutable" in why for key, why in (await refusals(pair)).items()} == {"app-other": True}
    report = await pair.world.sync()
    assert counted(report) == {"unchanged": 1, "failed": 1}
    assert "delete it there" in report.failures[0].hint
    assert pair.kube.count("PUT ") == 0


async def test_namespaces_that_take_nothing(pair: Pair) -> None:
    """Namespaces that are absent or on their way out are in the plan, each for one request; the others go on."""
    pair.world.store("k8s", f"kubernetes: {{server: '{pair.kube.address}', auth: {pair.kube_auth}}}")
    pair.kube.cluster.terminate("team-b")
    for key in ("app/team-a/x", "app/team-b/x", "app/team-b/y", "app/nowhere/x", "app/nowhere/y"):
        pair.put(key, {"k": key})
    pair.world.job(UP.replace('source: "/", target: "-"', 'source: "^app/", target: ""'), source="bao", dest="k8s")
    planned = await pair.world.plan()
    assert {key: action for key, action in actions(planned).items() if action != "refuse"} == {"team-a/x": "create"}
    refused = await refusals(pair)
    assert all("has no namespace nowhere" in refused[key] for key in ("nowhere/x", "nowhere/y"))
    assert all("it is being deleted" in refused[key] for key in ("team-b/x", "team-b/y"))
    pair.kube.requests.clear()
    await pair.world.plan()
    assert pair.kube.count("GET /api/v1/namespaces/(team-a|team-b|nowhere)$") == 3
    pair.kube.requests.clear()
    assert counted(await pair.world.sync()) == {"created": 1, "failed": 4}
    assert pair.kube.count("GET /api/v1/namespaces/(team-a|team-b|nowhere)$") == 0  # the writes themselves tell


async def test_a_source_namespace_that_is_being_deleted_deletes_nothing(pair: Pair) -> None:
    """What is gone because its namespace goes was not deleted by anybody: it is an error, and copies stay."""
    pair.create("app-a", {"x": b"1"})
    delete: dict[str, Any] = {"deletionPolicy": "Delete", "maxDelete": "100%"}
    assert counted(await pair.down(**delete)) == {"created": 1}
    pair.kube.cluster.terminate("team-a")
    pair.kube.cluster.delete("team-a", "app-a", {})
    report = await pair.down(**delete)
    assert "it is being deleted" in report.errors[0].message
    assert pair.get("back/a") == {"x": "1"}


async def test_rights_that_a_destination_lacks(pair: Pair) -> None:
    """A service account that may only get and list is told in plan and health what to grant, and writes nothing."""
    for name in ("a", "b", "c"):
        pair.put(f"app/{name}", {"x": "1"})
    pair.create("app-c", {"x": b"1"})
    pair.k8s(auth=f"{{token: {{value: {pair.kube.token(Rule({'get', 'list'}, 'team-a'))}}}}}")
    pair.world.job(UP, source="bao", dest="k8s")
    planned = await pair.world.plan()
    refused = {change.key: change.detail for change in planned.changes if change.reason is Reason.NOT_PERMITTED}
    assert refused == dict.fromkeys(("app-a", "app-b"), "grant create on secrets in the namespace team-a in k8s")
    documents = pair.world.documents
    (job,) = documents.jobs.values()
    found = await check_stores(documents, {"k8s": places([job])["k8s"]}, environ={}, seconds=30)
    (error,) = [each.error for each in found]
    assert isinstance(error, AccessDenied)
    assert "create on secrets in the namespace team-a" in f"{error.message} {error.hint}"
    assert pair.kube.count("(POST|PUT|DELETE) /api/v1/") == 0


async def test_a_plan_that_changes_nothing_asks_for_no_rights(pair: Pair) -> None:
    """Where nothing is to be written, no review is asked for."""
    pair.put("app/a", {"x": "1"})
    await pair.up()
    pair.kube.requests.clear()
    await pair.world.plan()
    assert pair.kube.count("POST ") == 0
    assert pair.kube.count("/api/v1/namespaces/team-a$") == 0
