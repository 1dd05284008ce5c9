"""A fake Kubernetes API server for Secrets and namespaces, because a real one takes long to build and to start.

It was written after what a real apiserver 1.36 was seen to answer: versions, conflicts, refusals with their causes,
pages and their expiry, metadata without values, tables. `make test-kube` runs the same tests against a real server
(``kube_relay.py``), also those by the real kubectl in ``test_kube_api.py``; what differs is to be mended here. It
tells users their rights too. What it lacks: watches, server-side apply, dry runs, and every other resource::

    with KubeApi() as api:
        api.cluster.create_namespace("team-a")
        token = api.token(Rule({"get", "list"}, namespace="team-a"))
        api.answer("^GET .*/secrets/a$", 429, headers={"Retry-After": "3"}, times=1)
        api.before("^PUT ", lambda: somebody_changes_it())
        ... open a store at api.address ...
        assert api.count("^GET ") == 1
"""

from __future__ import annotations

import json
import re
import secrets
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from support.kube_cluster import Cluster
from support.kube_discovery import PATHS
from support.kube_forms import chosen, shown, shown_list
from support.kube_protobuf import object_of
from support.kube_reviews import GROUP, REVIEWS, RULES, reviewed, rules_of
from support.kube_rules import check_manager
from support.kube_status import (
    Refused,
    bad_request,
    forbidden,
    no_method,
    no_path,
    too_large,
    unauthorized,
    unknown,
    unsupported,
)
from support.serving import Seen, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Self

MAX_REQUEST = 3_145_728

_ROUTE = re.compile(
    r"/api/v1(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>secrets)(?:/(?P<name>[^/]+))?"
    r"|/api/v1/(?P<namespaces>namespaces)(?:/(?P<itself>[^/]+))?"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Rule:
    """What a user may do: verbs on a resource, in one namespace or (``None``) in all; of some names, or of all."""

    verbs: frozenset[str] | set[str]
    namespace: str | None = None
    resource: str = "secrets"
    names: frozenset[str] = frozenset()

    def grants(self, verb: str, resource: str, namespace: str | None, name: str = "") -> bool:
        """Whether this is enough."""
        named = not self.names or name in self.names
        return named and verb in self.verbs and resource == self.resource and self.namespace in (None, namespace)


@dataclass
class _User:
    name: str
    rules: tuple[Rule, ...] | None  # None: everything

    def may(self, verb: str, resource: str, namespace: str | None, name: str = "") -> bool:
        """Whether a rule grants it."""
        return self.rules is None or any(rule.grants(verb, resource, namespace, name) for rule in self.rules)

    def told(self, namespace: str) -> list[tuple[list[str], str, list[str]]]:
        """The rules that count in a namespace: verbs, resource and names."""
        if self.rules is None:
            return [(["*"], "*", [])]
        here = [rule for rule in self.rules if rule.namespace in (None, namespace)]
        return [(sorted(rule.verbs), rule.resource, sorted(rule.names)) for rule in here]


@dataclass
class _Fault:
    match: re.Pattern[str]
    times: int | None
    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    echo: bool = False
    action: Callable[[], object] | None = None


class KubeApi:
    """See the module.

    Attributes:
        cluster: what it holds, for tests to set up and look at without a request.
        admin: a token that may do everything.
        partial: whether it knows metadata without values; a server of old does not.
        requests: every request so far.
        crashes: its own defects, which fail the test at its end.
    """

    def __init__(self, *, certificate: tuple[Path, Path] | None = None, client_ca: Path | None = None) -> None:
        """``certificate``: serve HTTPS with this chain and key. ``client_ca``: whose client certificates to take."""
        self.cluster = Cluster()
        self.partial = True
        self.requests: list[Seen] = []
        self.crashes: list[Exception] = []
        self.admin = secrets.token_hex(16)
        self._users = {self.admin: _User("kubernetes-admin", None)}
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
            if client_ca is not None:
                self._tls.load_verify_locations(client_ca)
                self._tls.verify_mode = ssl.CERT_OPTIONAL
        self._server = Server(lambda seen: self.handle(seen, seen.common_name), self._tls)

    @property
    def address(self) -> str:
        """Its URL."""
        return self._server.address

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()
        assert not self.crashes, self.crashes

    # -- Users ----------------------------------------------------------------------------------------------------

    def token(self, *rules: Rule, name: str = "system:serviceaccount:default:sync") -> str:
        """A token of a user who may do what the rules grant, and nothing else."""
        token = secrets.token_hex(16)
        self._users[token] = _User(name, rules)
        return token

    def adopt(self, token: str, name: str = "adopted") -> None:
        """Take this token for one that may do everything."""
        self._users[token] = _User(name, None)

    def revoke(self, token: str) -> None:
        """Know a token no longer."""
        del self._users[token]

    # -- What goes wrong. Patterns are searched for in "METHOD /path?query"; the latest that matches wins. ---------

    def answer(
        self,
        match: str,
        status: int,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
        echo: bool = False,
    ) -> None:
        """Answer so, and do nothing; with ``echo``, the request's own body follows ``body``."""
        self._faults.append(_Fault(re.compile(match), times, status, body, headers or {}, echo))

    def before(self, match: str, action: Callable[[], object], *, times: int | None = 1) -> None:
        """Do something before a request is dealt with: somebody else changes a Secret, say."""
        self._faults.append(_Fault(re.compile(match), times, action=action))

    def heal(self) -> None:
        """Forget what is to go wrong."""
        self._faults.clear()

    def count(self, match: str = "") -> int:
        """How many requests so far matched."""
        return sum(re.search(match, f"{seen.method} {seen.path}") is not None for seen in self.requests)

    # -- Requests -------------------------------------------------------------------------------------------------

    def handle(self, seen: Seen, common_name: str | None) -> tuple[int, dict[str, str], bytes]:
        """The answer to one request: status, headers, body."""
        with self._lock:
            self.requests.append(seen)
            fault = self._fault(f"{seen.method} {seen.path}")
        if fault is not None and fault.action is not None:
            fault.action()
        elif fault is not None:
            return fault.status, dict(fault.headers), fault.body + (seen.body if fault.echo else b"")
        return self.respond(seen, common_name)

    def respond(self, seen: Seen, common_name: str | None) -> tuple[int, dict[str, str], bytes]:
        """The answer to a request with which nothing is to go wrong."""
        try:
            status, found = self._dispatch(seen, common_name)
            headers = {}
        except Refused as refused:
            status, found, headers = refused.code, refused.json, refused.headers
        except Exception as error:  # noqa: BLE001  told when the test ends, which a thread cannot fail
            self.crashes.append(error)
            status, found, headers = 500, {}, {}
        return status, {"Content-Type": "application/json", **headers}, json.dumps(found).encode()

    def _fault(self, line: str) -> _Fault | None:
        for fault in reversed(self._faults):
            if fault.times != 0 and fault.match.search(line):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _dispatch(self, seen: Seen, common_name: str | None) -> tuple[int, dict[str, Any]]:
        url = urlsplit(seen.path)
        query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        user = self._user(seen, common_name)
        if url.path == "/version" or (url.path in PATHS and user.rules != ()):
            return 200, PATHS[url.path]
        if url.path in (REVIEWS, RULES):
            if seen.method != "POST":
                raise no_method()
            if user.rules == ():  # system:basic-user is for who is authenticated
                raise forbidden(user.name, "create", "selfsubjectaccessreviews", None, "", GROUP)
            given = self._body(seen)
            if url.path == RULES:
                return 201, rules_of(given, user.told(given.get("spec", {}).get("namespace", "")))
            return 201, reviewed(given, user.may)
        route = _ROUTE.fullmatch(url.path)
        if route is None:
            raise no_path()
        part = {name: unquote(value) for name, value in route.groupdict().items() if value}
        listing = seen.method == "GET" and not part.get("name") and not part.get("itself")
        verb = _VERBS.get(seen.method, "list" if listing else "get")
        resource = "namespaces" if "namespaces" in part else "secrets"
        namespace = part.get("namespace", part.get("itself"))
        name = part.get("name", part.get("itself", ""))
        if not user.may(verb, resource, namespace, name):
            raise forbidden(user.name, verb, resource, namespace, name)
        form = chosen(seen.headers.get("accept", ""), listing=listing, partial=self.partial)
        given = self._body(seen)
        if resource == "namespaces":
            return self._on_namespaces(verb, name, given, form)
        return self._on_secrets(verb, seen, namespace, name, query, given, form)

    def _user(self, seen: Seen, common_name: str | None) -> _User:
        header = seen.headers.get("authorization")
        if header is None:
            return _User(common_name, None) if common_name else _User("system:anonymous", ())
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or token not in self._users:
            raise unauthorized()
        return self._users[token]

    def _body(self, seen: Seen) -> Any:
        body = seen.body
        if not body:
            return {}
        kind = seen.headers.get("content-type", "application/json").partition(";")[0].strip()
        if len(body) > MAX_REQUEST:
            raise too_large()
        if kind == "application/vnd.kubernetes.protobuf":
            return object_of(body)
        if seen.method != "PATCH" and kind != "application/json":
            raise unsupported(kind)
        try:
            return json.loads(body)
        except ValueError:
            raise bad_request("the object provided is unrecognized: invalid JSON") from None

    def _on_namespaces(self, verb: str, name: str, given: Any, form: str) -> tuple[int, dict[str, Any]]:
        if verb == "list":
            found = self.cluster.namespaces()
            return 200, shown_list("Namespace", found.items, found.about, form)
        if verb == "create":
            return 201, shown(self.cluster.create_namespace(given["metadata"]["name"]), form)
        if verb == "delete":
            self.cluster.delete_namespace(name)
            return 200, _success("namespaces", name, "")
        if verb != "get":
            raise no_method()
        return 200, shown(self.cluster.namespace(name), form)

    def _on_secrets(
        self, verb: str, seen: Seen, namespace: str | None, name: str, query: dict[str, str], given: Any, form: str
    ) -> tuple[int, dict[str, Any]]:
        cluster, manager, strict = self.cluster, query.get("fieldManager", ""), query.get("fieldValidation") == "Strict"
        if verb == "list":
            found = cluster.list(
                namespace,
                labels=query.get("labelSelector", ""),
                fields=query.get("fieldSelector", ""),
                limit=int(query.get("limit", 0)),
                go_on=query.get("continue", ""),
            )
            return 200, shown_list("Secret", found.items, found.about, form)
        if namespace is None or (verb == "create") == bool(name):
            raise no_method()
        if verb in ("create", "update", "patch"):
            check_manager(manager, f"{verb.capitalize()}Options")
        if verb == "get":
            return 200, shown(cluster.get(namespace, name), form)
        if verb == "create":
            return 201, shown(cluster.create(namespace, given, manager=manager, strict=strict), form)
        if verb == "update":
            return 200, shown(cluster.update(namespace, name, given, manager=manager, strict=strict), form)
        if verb == "patch":
            kind = seen.headers.get("content-type", "").partition(";")[0].strip()
            return 200, shown(cluster.patch(namespace, name, given, kind, manager=manager), form)
        if given.get("kind", "DeleteOptions") != "DeleteOptions":
            raise unknown("decoded object cannot be converted to DeleteOptions")
        deleted = cluster.delete(namespace, name, given.get("preconditions") or {})
        if deleted["metadata"].get("deletionTimestamp"):
            return 200, shown(deleted, form)
        return 200, _success("secrets", name, deleted["metadata"]["uid"])


def _success(kind: str, name: str, uid: str) -> dict[str, Any]:
    details = {"name": name, "kind": kind, "uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
