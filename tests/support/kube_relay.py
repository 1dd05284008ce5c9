"""A real kube-apiserver in place of the fake one, so that the same tests hold for both.

Requests go through a server of the test's own, which counts them and brings about what is to go wrong, as the fake
does, and answers the rest with what the real server says. Whoever a token is for is impersonated there, with the rules
that the token is given bound to a group of its own by RBAC. Each test begins with the namespaces of a new cluster.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import pytest
from urllib3 import HTTPHeaderDict

from support.kube_api import KubeApi, Rule
from support.kube_cluster import Cluster, Listed, Object
from support.kube_rules import namespace_name
from support.kube_server import JSON, server
from support.kube_status import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

    from support.serving import Seen

RBAC = "/apis/rbac.authorization.k8s.io/v1"
_OF_EVERY_CLUSTER = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
_WITHIN = (
    ("/api/v1", "secrets"),
    ("/api/v1", "resourcequotas"),
    ("/api/v1", "serviceaccounts"),
    (RBAC, "rolebindings"),
    (RBAC, "roles"),
)  # what tests leave in namespaces
_PASSED_ON = frozenset({"accept", "content-type", "user-agent"})
_PASSED_BACK = frozenset({"content-type", "retry-after", "warning"})


class RealCluster(Cluster):
    """What is in the real cluster, as its administrator sees and changes it."""

    def __init__(self) -> None:
        self.any_namespace = False
        self.admission = _NoAdmission()
        self._made: set[str] = set()
        self._making = threading.Lock()

    def make_sure_of(self, namespace: str) -> None:
        """Create a namespace that is not there."""
        with self._making:
            if namespace not in self._made and namespace_name(namespace):
                self.create_namespace(namespace)

    def clean(self) -> None:
        """Leave only the namespaces of a new cluster, with nothing in them."""
        for api, plural in _WITHIN:
            filled = set()
            for each in _ask("GET", f"{api}/{plural}")["items"]:
                name, namespace = each["metadata"]["name"], each["metadata"]["namespace"]
                if plural == "secrets" or namespace not in _OF_EVERY_CLUSTER:
                    filled.add(namespace)
                    if each["metadata"].get("finalizers"):
                        self.patch(namespace, name, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
            for namespace in filled:  # all of one namespace by one request
                server().call("DELETE", f"{api}/namespaces/{namespace}/{plural}")
        for each in _ask("GET", "/api/v1/namespaces")["items"]:
            name = each["metadata"]["name"]
            if name not in _OF_EVERY_CLUSTER:
                # Who empties a namespace and lets go of it in a whole cluster is not there.
                _ask("DELETE", f"/api/v1/namespaces/{name}")
                _ask("PUT", f"/api/v1/namespaces/{name}/finalize", {"metadata": {"name": name}, "spec": {}})
        self._made.clear()

    def create_namespace(self, name: str) -> Object:
        """A new namespace, or the one that is there."""
        path = "/api/v1/namespaces"
        answer = server().call("POST", path, {"metadata": {"name": name}})
        self._made.add(name)
        return _taken(answer.status, answer.json) if answer.status != 409 else self.namespace(name)

    def namespace(self, name: str) -> Object:
        """A namespace."""
        return _ask("GET", f"/api/v1/namespaces/{name}")

    def namespaces(self) -> Listed:
        """All of them."""
        found = _ask("GET", "/api/v1/namespaces")
        return Listed(found["items"], found["metadata"])

    def terminate(self, name: str) -> None:
        """Begin to delete a namespace: nobody is there to end it."""
        _ask("DELETE", f"/api/v1/namespaces/{name}")

    def set_quota(self, namespace: str, name: str, secrets: int) -> None:
        """A ResourceQuota, with what is used counted here, for want of a controller."""
        used, path = len(self.list(namespace).items), f"/api/v1/namespaces/{namespace}/resourcequotas"
        hard = {kind: str(secrets) for kind in ("secrets", "count/secrets")}
        made = _ask("POST", path, {"metadata": {"name": name}, "spec": {"hard": hard}})
        made["status"] = {"hard": hard, "used": dict.fromkeys(hard, str(used))}
        _ask("PUT", f"{path}/{name}/status", made)

    def get(self, namespace: str, name: str) -> Object:
        """One Secret."""
        return _ask("GET", _path(namespace, name))

    def list(
        self, namespace: str | None, *, labels: str = "", fields: str = "", limit: int = 0, go_on: str = ""
    ) -> Listed:
        """One page of Secrets."""
        given = {"labelSelector": labels, "fieldSelector": fields, "limit": limit, "continue": go_on}
        found = _ask("GET", f"{_path(namespace)}?{urlencode({name: value for name, value in given.items() if value})}")
        return Listed(found["items"], found["metadata"])

    def compact(self) -> None:
        """Forget where every listing was."""
        server().compact()

    def create(self, namespace: str, given: Mapping[str, Any], *, manager: str = "", strict: bool = False) -> Object:
        """A new Secret."""
        return _ask("POST", _path(namespace) + _how(manager, strict=strict), dict(given))

    def update(
        self, namespace: str, name: str, given: Mapping[str, Any], *, manager: str = "", strict: bool = False
    ) -> Object:
        """A PUT."""
        return _ask("PUT", _path(namespace, name) + _how(manager, strict=strict), dict(given))

    def patch(self, namespace: str, name: str, patch: Any, kind: str, *, manager: str = "") -> Object:
        """A PATCH of the media type ``kind``."""
        return _ask("PATCH", _path(namespace, name) + _how(manager, strict=False), patch, kind=kind)

    def delete(self, namespace: str, name: str, preconditions: Mapping[str, str]) -> Object:
        """Delete a Secret."""
        return _ask("DELETE", _path(namespace, name), {"preconditions": dict(preconditions)})


class RealKubeApi(KubeApi):
    """See the module."""

    cluster: RealCluster
    _entered: ClassVar = 0

    def __init__(self, *, certificate: tuple[Path, Path] | None = None, client_ca: Path | None = None) -> None:
        super().__init__(certificate=certificate, client_ca=client_ca)
        self.cluster = RealCluster()
        self._groups: dict[str, str] = {}
        self._bound: list[str] = []

    @property
    def partial(self) -> bool:
        """It always knows metadata without values."""
        return True

    @partial.setter
    def partial(self, known: bool) -> None:
        if not known:
            pytest.skip("a real API server is none of old")

    def __enter__(self) -> Self:
        if not RealKubeApi._entered:  # a test may have two ways in to the one cluster
            self.cluster.clean()
        RealKubeApi._entered += 1
        super().__enter__()
        return self

    def __exit__(self, *arguments: object) -> None:
        RealKubeApi._entered -= 1
        super().__exit__(*arguments)
        for path in self._bound:
            _ask("DELETE", path)

    def token(self, *rules: Rule, name: str = "system:serviceaccount:default:sync") -> str:
        """A token of a user who may do what the rules grant, and nothing else."""
        token = super().token(*rules, name=name)
        group = self._groups[token] = f"rules-{secrets.token_hex(8)}"
        for namespace in {rule.namespace for rule in rules}:
            self._bind(group, namespace, [rule for rule in rules if rule.namespace == namespace])
        for rule in rules:
            self._wait_for(group, rule)
        return token

    def respond(self, seen: Seen, common_name: str | None) -> tuple[int, dict[str, str], bytes]:
        """What the real server answers."""
        _, _, rest = seen.path.partition("/api/v1/namespaces/")
        if rest and self.cluster.any_namespace:
            self.cluster.make_sure_of(rest.partition("/")[0].partition("?")[0])
        headers = HTTPHeaderDict({name: value for name, value in seen.headers.items() if name in _PASSED_ON})
        self._sign(headers, seen.headers.get("authorization"), common_name)
        path = urlsplit(seen.path)._replace(scheme="", netloc="").geturl()  # whole addresses are for proxies
        answer = server().call(seen.method, path, seen.body, headers=headers)
        back = {name: value for name, value in answer.headers.items() if name.lower() in _PASSED_BACK}
        return answer.status, back, answer.body

    def _sign(self, headers: HTTPHeaderDict, given: str | None, common_name: str | None) -> None:
        token = (given or "").removeprefix("Bearer ")
        user = self._users.get(token)
        if given is not None and user is None:
            headers["Authorization"] = given  # which the real server does not know either
        elif user is not None or common_name:
            group = self._groups.get(token, "system:masters")
            headers["Authorization"] = f"Bearer {server().admin}"
            headers["Impersonate-User"] = user.name if user is not None else common_name or ""
            for each in (group, "system:authenticated"):
                headers.add("Impersonate-Group", each)

    def _bind(self, group: str, namespace: str | None, rules: list[Rule]) -> None:
        kind = "ClusterRole" if namespace is None else "Role"
        base = RBAC if namespace is None else f"{RBAC}/namespaces/{namespace}"
        told = [
            {
                "apiGroups": [""],
                "resources": [rule.resource],
                "verbs": sorted(rule.verbs),
                **({"resourceNames": sorted(rule.names)} if rule.names else {}),
            }
            for rule in rules
        ]
        about = {"metadata": {"name": group}}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": group}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
        for plural, body in (
            (f"{kind.lower()}s", {**about, "rules": told}),
            (f"{kind.lower()}bindings", {**about, "roleRef": reference, "subjects": [subject]}),
        ):
            _ask("POST", f"{base}/{plural}", body)
            self._bound.append(f"{base}/{plural}/{group}")

    def _wait_for(self, group: str, rule: Rule) -> None:
        """Until the server has heard of a rule, which takes it some moments."""
        what = {"verb": min(rule.verbs), "resource": rule.resource, "name": min(rule.names, default="")}
        spec = {"groups": [group], "resourceAttributes": {**what, "namespace": rule.namespace or ""}}
        end = time.monotonic() + 10
        while not _ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})["status"][
            "allowed"
        ]:
            assert time.monotonic() < end, spec
            time.sleep(0.01)


class _NoAdmission(list[Any]):
    """Nobody can be asked before a write by a real server that is not written for it."""

    def append(self, _: Any) -> NoReturn:
        pytest.skip("the admission of a real API server takes webhooks")


def _path(namespace: str | None, name: str = "") -> str:
    within = "" if namespace is None else f"/namespaces/{quote(namespace, safe='')}"
    return f"/api/v1{within}/secrets" + (f"/{quote(name, safe='')}" if name else "")


def _how(manager: str, *, strict: bool) -> str:
    return "?" + urlencode({"fieldManager": manager or "tests", "fieldValidation": "Strict" if strict else "Ignore"})


def _ask(method: str, path: str, body: Any = None, *, kind: str = JSON) -> Object:
    answer = server().call(method, path, body, kind=kind)
    return _taken(answer.status, answer.json)


def _taken(status: int, found: Object) -> Object:
    if status >= 300:
        raise Refused(status, found.get("reason", ""), found.get("message", ""), details=found.get("details"))
    return found
