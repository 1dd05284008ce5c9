"""What a credential may do in a cluster is asked for, and only what the API server says for sure is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.kube_api import Rule
from support.kube_reviews import REVIEWS, RULES

from secretsync_core.errors import StoreUnavailable
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.stores.http import CredentialsRefused

if TYPE_CHECKING:
    from support.kube_api import KubeApi

    from kube.conftest import KubeStores

READ = {"get", "list"}


async def test_each_missing_verb_is_told_with_what_to_grant(kube: KubeApi, kube_store: KubeStores) -> None:
    """A service account that may only get and list lacks what a destination needs; nothing is written or read."""
    store = await kube_store(namespace="team-a", auth={"token": {"value": kube.token(Rule(READ, "team-a"))}})
    kube.requests.clear()
    wanted = [Access(act, "" if act is Act.LIST else "a") for act in Act]
    assert await store.check_access(wanted) == [
        Missing(Access(Act.CREATE, "a"), "create on secrets in the namespace team-a"),
        Missing(Access(Act.UPDATE, "a"), "update on secrets in the namespace team-a"),
        Missing(Access(Act.DELETE, "a"), "delete on secrets in the namespace team-a"),
    ]
    assert kube.count(f"^POST {REVIEWS}$") == 5
    assert len(kube.requests) == 6


async def test_every_secret_is_judged_by_its_own_name(kube: KubeApi, kube_store: KubeStores) -> None:
    """Where a Role names Secrets, the rules of the namespace tell which; if not all are told, the first counts."""
    rules = (Rule(READ, "team-a"), Rule({"update"}, "team-a", names=frozenset({"b", "c"})))
    store = await kube_store(namespace="team-a", auth={"token": {"value": kube.token(*rules)}})
    wanted = [Access(Act.UPDATE, name) for name in "abcd"] + [Access(Act.CREATE, name) for name in "xy"]
    kube.requests.clear()
    found = await store.check_access(wanted)
    assert [each.access.key for each in found] == ["a", "d", "x", "y"]
    assert len(kube.requests) == 4
    incomplete = {"kind": "SelfSubjectRulesReview", "status": {"incomplete": True, "resourceRules": []}}
    kube.answer(RULES, 201, json.dumps(incomplete).encode())
    assert [each.access.key for each in await store.check_access(wanted)] == ["a", "x", "y"]


async def test_each_namespace_has_rights_of_its_own(kube: KubeApi, kube_store: KubeStores) -> None:
    """In a store of all namespaces a folder is a namespace, and the top takes a ClusterRole."""
    store = await kube_store(auth={"token": {"value": kube.token(Rule(READ | {"create"}, "team-a"))}})
    wanted = [Access(Act.LIST, ""), Access(Act.LIST, "team-a/"), Access(Act.CREATE, "team-b/x")]
    wanted += [Access(Act.CREATE, "team-a/x"), Access(Act.CREATE, "team-b/y"), Access(Act.LOOK, "team-b/")]
    assert await store.check_access(wanted) == [
        Missing(Access(Act.LIST, ""), "list on secrets in all namespaces (by a ClusterRole)"),
        Missing(Access(Act.CREATE, "team-b/x"), "create on secrets in the namespace team-b"),
        Missing(Access(Act.CREATE, "team-b/y"), "create on secrets in the namespace team-b"),
    ]
    kube.requests.clear()
    await store.check_access([Access(Act.UPDATE, f"n{number}/x") for number in range(100)])
    assert len(kube.requests) == 10


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {"kind": "Status", "reason": "Forbidden", "details": {"kind": "selfsubjectaccessreviews"}}),
        (404, {"kind": "Status", "reason": "NotFound"}),
        (405, {"kind": "Status", "reason": "MethodNotAllowed"}),
        (200, {"hello": "from a proxy"}),
        (
            201,
            {"kind": "SelfSubjectAccessReview", "status": {"allowed": False, "evaluationError": "webhook is down"}},
        ),
    ],
)
async def test_what_is_not_told_is_not_missing(
    kube: KubeApi, kube_store: KubeStores, status: int, body: dict[str, object]
) -> None:
    """A server that may not be asked, does not know the question, or is not sure itself, takes nothing away."""
    store = await kube_store(namespace="team-a")
    kube.answer(REVIEWS, status, json.dumps(body).encode())
    assert await store.check_access([Access(Act.CREATE, "a")]) == []


async def test_a_server_that_cannot_be_asked(kube: KubeApi, kube_store: KubeStores) -> None:
    """One that fails, or does not know us, is an error: nothing missing would say that all is well."""
    store = await kube_store(namespace="team-a")
    kube.answer(REVIEWS, 503)
    with pytest.raises(StoreUnavailable):
        await store.check_access([Access(Act.CREATE, "a")])
    kube.heal()
    kube.revoke(kube.admin)
    with pytest.raises(CredentialsRefused):
        await store.check_access([Access(Act.CREATE, "a")])
