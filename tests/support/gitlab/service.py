"""A fake of GitLab's REST API: the CI/CD variables of projects, groups and the instance.

It keeps state, is strict, and is no part of the product. Every request is held to what :mod:`support.gitlab.contract`
knows of the API: a test whose client sends something else fails at its end. Each fact names its source, where it is.

::

    with GitLab(certificate=...) as gitlab:
        project = gitlab.holders.project("acme/app")
        token = gitlab.token()
        gitlab.refuse("^PUT ", throttled(retry_after=60), times=1)
        ... open a store at gitlab.address ...
        assert project.values() == {"A": "1"}
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from support.gitlab.contract import FILTER, NotDescribedError, Operation, body_of, operation_of, query_of
from support.gitlab.holders import Holder, Holders
from support.gitlab.refusals import RefusedError, expired, forbidden, insufficient_scope, not_found, unauthorized
from support.serving import Seen, Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

API = "/api/v4"
DEFAULT_PAGE, LARGEST_PAGE = 20, 100  # doc/api/rest, "Offset-based pagination"
# doc/user/permissions.md: variables of a project take the Maintainer's role, those of a group the Owner's.
ROLES = ("guest", "developer", "maintainer", "owner", "admin")
NEEDED = {"project": "maintainer", "group": "owner", "instance": "admin"}


class Caller(NamedTuple):
    """Who has a token. ``sees``: projects and groups that exist for it; None: all."""

    role: str
    scopes: frozenset[str]
    sees: frozenset[str] | None = None
    expired: bool = False


@dataclass
class _Fault:
    match: re.Pattern[str]
    times: int | None
    refused: RefusedError | None = None
    action: Callable[[], object] | None = None
    raw: tuple[int, bytes, dict[str, str]] | None = None
    loses: bool = False


class GitLab:
    """See the module.

    Attributes:
        holders: what it holds, for tests to set up and look at without a request.
        requests: every request so far.
        wrong: what clients sent that is not described, and defects of the fake; fails the test.
        totals: whether pages say how many there are in all; GitLab.com leaves that out beyond 10,000
            (doc/user/gitlab_com, "Pagination response headers").
    """

    def __init__(self, *, certificate: tuple[Path, Path] | None = None, prefix: str = "") -> None:
        """``certificate``: serve HTTPS with this chain and key. ``prefix``: a relative URL root, as ``/gitlab``."""
        self._prefix = prefix
        self._lock = threading.RLock()
        self.forget()
        tls: ssl.SSLContext | None = None
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*certificate)
        self._server = Server(self._raw, tls)
        self.address = f"{self._server.address}{prefix}"

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()
        self.check()

    def check(self) -> None:
        """Fail where a request so far was wrong."""
        assert not self.wrong, self.wrong

    def forget(self) -> None:
        """Be as new."""
        self.holders = Holders()
        self.requests: list[Seen] = []
        self.wrong: list[str] = []
        self.totals = True
        self._callers: dict[str, Caller] = {}
        self._faults: list[_Fault] = []

    def token(self, role: str = "admin", *scopes: str, sees: frozenset[str] | None = None) -> str:
        """A new token of somebody with this role everywhere; of the scope ``api`` unless others are given."""
        made = f"glpat-{len(self._callers):020d}"  # doc/security/tokens, "Token prefixes"
        self._callers[made] = Caller(role, frozenset(scopes or ("api",)), sees)
        return made

    def expire(self, token: str) -> None:
        """Let a token be good no more."""
        self._callers[token] = self._callers[token]._replace(expired=True)

    # -- What goes wrong. Patterns are searched for in "METHOD /path?query"; the latest that matches wins. ---------

    def refuse(self, match: str, refused: RefusedError, *, times: int | None = None) -> None:
        """Refuse so, and do nothing."""
        self._faults.append(_Fault(re.compile(match), times, refused=refused))

    def before(self, match: str, action: Callable[[], object], *, times: int | None = 1) -> None:
        """Do something before a request is dealt with: somebody else changes a variable, say."""
        self._faults.append(_Fault(re.compile(match), times, action=action))

    def answer(self, match: str, status: int, body: bytes, *, headers: dict[str, str] | None = None) -> None:
        """Answer with this, whatever GitLab would, and do nothing."""
        self._faults.append(_Fault(re.compile(match), None, raw=(status, body, headers or {})))

    def lose(self, match: str, *, times: int | None = 1) -> None:
        """Do what is asked, and let a proxy's failure stand in place of the answer."""
        self._faults.append(_Fault(re.compile(match), times, loses=True))

    def heal(self) -> None:
        """Forget what is to go wrong."""
        self._faults.clear()

    def count(self, match: str = "") -> int:
        """How many requests so far matched."""
        return sum(re.search(match, f"{seen.method} {seen.path}") is not None for seen in self.requests)

    # -- Requests -------------------------------------------------------------------------------------------------

    def _raw(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        line = f"{seen.method} {seen.path}"
        date = {"Date": format_datetime(datetime.now(UTC), usegmt=True)}
        with self._lock:
            self.requests.append(seen)
            fault = self._fault(line)
            if fault is not None and fault.raw is not None:
                status, raw, more = fault.raw
                return status, {"Content-Type": "application/json", **more}, raw
            if fault is not None and fault.action is not None:
                fault.action()
            try:
                status, body, more = self._dispatch(seen, fault)
            except RefusedError as refused:
                return refused.status, {**date, **refused.headers}, refused.body
            except NotDescribedError as error:
                self.wrong.append(f"{line}: {error.reason}")
                return 400, date, json.dumps({"error": "not described"}).encode()
            except Exception as error:  # noqa: BLE001  told when the test ends, which a thread cannot fail
                self.wrong.append(f"{line}: {error!r}")
                return 500, date, b'{"message":"500 Internal Server Error"}'
            if fault is not None and fault.loses:
                return 502, date, b"Bad Gateway"
            if body is None:
                return status, {**date, **more}, b""
            return status, {**date, "Content-Type": "application/json", **more}, json.dumps(body).encode()

    def _fault(self, line: str) -> _Fault | None:
        for fault in reversed(self._faults):
            if fault.times != 0 and fault.match.search(line):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _dispatch(self, seen: Seen, fault: _Fault | None) -> tuple[int, Any, dict[str, str]]:
        if fault is not None and fault.refused is not None:
            raise fault.refused
        parts = urlsplit(seen.path)
        root = f"{self._prefix}{API}"
        if not parts.path.startswith(f"{root}/"):
            raise RefusedError(404, {"error": "404 Not Found"})
        operation = operation_of(seen.method, parts.path.removeprefix(root))
        query = query_of(operation, parts.query)
        given = body_of(operation, seen.body, seen.headers.get("content-type", ""))
        caller = self._caller(seen)
        if operation.method != "GET" and "api" not in caller.scopes:
            raise insufficient_scope()
        if not caller.scopes & {"api", "read_api"}:
            raise insufficient_scope()
        holder = self.holders.find(operation.kind, operation.holder, f"{self.address}{API}")
        if caller.sees is not None and holder.path not in caller.sees and operation.kind != "instance":
            raise not_found(operation.kind.capitalize())
        if operation.home:
            naming = "path_with_namespace" if operation.kind == "project" else "full_path"
            return 200, {"id": holder.id, naming: holder.path, "name": holder.path.rpartition("/")[2]}, {}
        if ROLES.index(caller.role) < ROLES.index(NEEDED[operation.kind]):
            raise forbidden()
        return self._variables(operation, holder, query, given)

    def _caller(self, seen: Seen) -> Caller:
        token = seen.headers.get("private-token", "")
        if "authorization" in seen.headers or "cookie" in seen.headers:
            raise NotDescribedError("it says by other headers who asks")
        if token not in self._callers:
            raise unauthorized()
        if self._callers[token].expired:
            raise expired()
        return self._callers[token]

    def _variables(
        self, operation: Operation, holder: Holder, query: dict[str, str], given: dict[str, Any]
    ) -> tuple[int, Any, dict[str, str]]:
        """Statuses: doc/api/rest/troubleshooting.md, "Status codes"."""
        if operation.method == "POST":
            return 201, holder.shown(holder.create(given)), {}
        if operation.key is None:
            return self._page(holder, query)
        try:
            there = holder.find(operation.key, query.get(FILTER))
        except RefusedError as refused:
            if (operation.method, operation.kind, refused.status) != ("PUT", "group", 404):
                raise
            # lib/api/group_variables.rb and app/services/ci/change_variable_service.rb: none of that scope is given to
            # the service, which then looks for one by its name alone.
            others = [each for each in holder.variables if each.key == operation.key]
            if not others:
                raise
            there = others[0]
        if operation.method == "PUT":
            return 200, holder.shown(holder.update(there, given)), {}
        if operation.method == "DELETE":
            holder.variables.remove(there)
            return 204, None, {}
        return 200, holder.shown(there), {}

    def _page(self, holder: Holder, query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        size = min(int(query.get("per_page", DEFAULT_PAGE)), LARGEST_PAGE)
        page = int(query.get("page", 1))
        rows = holder.variables
        shown = [holder.shown(each) for each in rows[(page - 1) * size : page * size]]
        last = max(-(-len(rows) // size), 1)
        headers = {"X-Page": str(page), "X-Per-Page": str(size), "X-Next-Page": str(page + 1) if page < last else ""}
        headers["X-Prev-Page"] = str(page - 1) if page > 1 else ""
        # Links of the server's own making, to another host: nobody is to follow them.
        headers["Link"] = f'<https://elsewhere.example{API}/x?page={page + 1}>; rel="next"' if page < last else ""
        if self.totals:
            headers |= {"X-Total": str(len(rows)), "X-Total-Pages": str(last)}
        return 200, shown, headers
