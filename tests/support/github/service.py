"""A fake of GitHub's REST API: secrets and variables of repositories, environments and organisations, and Apps.

It keeps state, is strict, and is no part of the product. Every request is held to GitHub's own description of its API,
and so is every answer (:mod:`support.github.contract`): a test whose client sends something else fails at its end. What
the description does not tell names its source where it is written. Sealed boxes are really opened.

::

    with GitHub(certificate=...) as github:
        repository = github.accounts.repository("acme/app")
        token = github.people.fine_grained(secrets="write")
        github.refuse("^PUT ", secondary_limit(60), times=1)
        ... open a store at github.address ...
        assert repository.shelf().values() == {"A": "1"}
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
from urllib.parse import parse_qs, urlsplit

from support.github.accounts import Accounts, Holder
from support.github.contract import NotDescribedError, Operation, check_answer, check_request, least, operation_of
from support.github.people import People
from support.github.refusals import RefusedError, invalid, not_found
from support.serving import Seen, Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from support.github.people import App
    from support.github.shelves import Held, Shelf

VERSIONS = ("2022-11-28",)  # https://docs.github.com/rest/about-the-rest-api/api-versions; any other one gets a 400
PAGE = {"secrets": 100, "variables": 30}  # the most per page, by the description's texts of per_page


@dataclass
class _Fault:
    match: re.Pattern[str]
    times: int | None
    refused: RefusedError | None = None
    action: Callable[[], object] | None = None
    raw: tuple[int, bytes, dict[str, str]] | None = None


class _Answer(NamedTuple):
    status: int
    body: Any = None
    link: str = ""


class GitHub:
    """See the module.

    Attributes:
        accounts: what it holds, for tests to set up and look at without a request.
        people: who may ask.
        requests: every request so far.
        wrong: what clients sent that GitHub's description does not allow, and defects of the fake; fails the test.
    """

    def __init__(self, *, certificate: tuple[Path, Path] | None = None, prefix: str = "") -> None:
        """``certificate``: serve HTTPS with this chain and key. ``prefix``: ``/api/v3``, as in GitHub Enterprise."""
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
        """Fail where a request or an answer so far was wrong."""
        assert not self.wrong, self.wrong

    def forget(self) -> None:
        """Be as new."""
        self.accounts = Accounts()
        self.people = People()
        self.requests: list[Seen] = []
        self.wrong: list[str] = []
        self._faults: list[_Fault] = []

    # -- What goes wrong. Patterns are searched for in "METHOD /path?query"; the latest that matches wins. ---------

    def refuse(self, match: str, refused: RefusedError, *, times: int | None = None) -> None:
        """Refuse so, and do nothing."""
        self._faults.append(_Fault(re.compile(match), times, refused=refused))

    def before(self, match: str, action: Callable[[], object], *, times: int | None = 1) -> None:
        """Do something before a request is dealt with: somebody else changes a secret, say."""
        self._faults.append(_Fault(re.compile(match), times, action=action))

    def answer(
        self, match: str, status: int, body: bytes, *, headers: dict[str, str] | None = None, times: int | None = None
    ) -> None:
        """Answer with this, whatever GitHub would."""
        self._faults.append(_Fault(re.compile(match), times, raw=(status, body, headers or {})))

    def heal(self) -> None:
        """Forget what is to go wrong."""
        self._faults.clear()

    def count(self, match: str = "") -> int:
        """How many requests so far matched."""
        return sum(re.search(match, f"{seen.method} {seen.path}") is not None for seen in self.requests)

    # -- Requests -------------------------------------------------------------------------------------------------

    def _raw(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        method, path = seen.method, seen.path
        with self._lock:
            self.requests.append(seen)
            fault = self._fault(f"{method} {path}")
            if fault is not None and fault.raw is not None:
                status, raw, more = fault.raw
                return status, {"Content-Type": "application/json; charset=utf-8", **more}, raw
            if fault is not None and fault.action is not None:
                fault.action()
            operation: Operation | None = None
            more = {}
            try:
                operation = self._operation(seen, fault)
                answer = self._dispatch(operation, seen)
            except RefusedError as refused:
                answer, more = _Answer(refused.status, refused.body), refused.headers
            except NotDescribedError as error:
                self.wrong.append(f"{method} {path}: {error.reason}")
                answer = _Answer(422, invalid("not described").body)
            except Exception as error:  # noqa: BLE001  told when the test ends, which a thread cannot fail
                self.wrong.append(f"{method} {path}: {error!r}")
                answer = _Answer(500, {"message": "Server Error"})
            try:
                check_answer(operation, answer.status, answer.body)
            except AssertionError as error:
                self.wrong.append(f"{method} {path}: {error}")
            return answer.status, {**self._headers(answer), **more}, _encoded(answer.body)

    def _headers(self, answer: _Answer) -> dict[str, str]:
        headers = {"Date": format_datetime(self.accounts.clock.now, usegmt=True)}
        if answer.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if answer.link:
            headers["Link"] = answer.link
        return headers

    def _fault(self, line: str) -> _Fault | None:
        for fault in reversed(self._faults):
            if fault.times != 0 and fault.match.search(line):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _operation(self, seen: Seen, fault: _Fault | None) -> Operation:
        if fault is not None and fault.refused is not None:
            raise fault.refused
        # "User agent required", https://docs.github.com/rest/using-the-rest-api/getting-started-with-the-rest-api
        if not seen.headers.get("user-agent"):
            raise RefusedError(403, "Request forbidden by administrative rules.")
        if seen.headers.get("x-github-api-version", VERSIONS[0]) not in VERSIONS:
            raise RefusedError(400, "The requested API version is not supported.")
        if "application/vnd.github+json" not in seen.headers.get("accept", ""):
            raise NotDescribedError("it does not say which form of answers it takes")  # recommended by the same page
        path = urlsplit(seen.path).path
        if not path.startswith(f"{self._prefix}/"):
            raise not_found()
        path = path.removeprefix(self._prefix)
        if moved := re.fullmatch(r"/repositories/([0-9]+)", path):  # where redirects lead; the description has it not
            name = self.accounts.by_id(int(moved[1])).name
            path = f"/repos/{name}"
        return operation_of(seen.method, path)

    def _dispatch(self, operation: Operation, seen: Seen) -> _Answer:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(seen.path).query, strict_parsing=False).items()}
        given = check_request(operation, query, seen.body, seen.headers.get("content-type", ""))
        header = seen.headers.get("authorization", "")
        path, template = operation.path, operation.template
        if template.endswith("/access_tokens"):
            return self._install(self.people.app_of(header), int(path["installation_id"]), given or {})
        if template.endswith("/installation"):
            return self._installation(self.people.app_of(header), path)
        caller = self.people.caller(header)
        if template == "/installation/token":
            self.people.revoke(header.partition(" ")[2])
            return _Answer(204)
        if template == "/orgs/{org}":
            return _Answer(200, self._shown_organisation(path["org"]))
        name = f"{path.get('owner')}/{path.get('repo')}"
        if template == "/repos/{owner}/{repo}":
            found = self.accounts.find(name, self.address)
            if not caller.sees(found.name):
                raise not_found()
            return _Answer(
                200, least("full-repository", id=found.id, full_name=found.name, name=found.name.split("/")[1])
            )
        holder = self._holder(path, template)
        if "org" not in path and not caller.sees(self.accounts.find(name, self.address).name):
            raise not_found()
        use = next((each for each in ("dependabot", "codespaces") if f"/{each}/" in template), "actions")
        what = "variables" if "/variables" in template else "secrets"
        writes = operation.method != "GET"
        organisation = path.get("org") or path["owner"]
        caller.check(holder.kind, use, what, writes=writes, organisation=organisation)
        return self._on_shelf(
            holder.shelf(use, what), operation, query, given, f"{self.address}{urlsplit(seen.path).path}"
        )

    def _holder(self, path: dict[str, str], template: str) -> Holder:
        if "org" in path:
            found = self.accounts.organisations.get(path["org"].lower())
            if found is None:
                raise not_found()
            return found
        rest = template.removeprefix("/repos/{owner}/{repo}").format(**path)
        repository = self.accounts.find(f"{path['owner']}/{path['repo']}", self.address, rest)
        if "environment_name" not in path:
            return repository
        environment = repository.environments.get(path["environment_name"].lower())
        if environment is None:
            raise not_found()
        return environment

    # -- Secrets and variables ------------------------------------------------------------------------------------

    def _on_shelf(self, shelf: Shelf, operation: Operation, query: dict[str, str], given: Any, url: str) -> _Answer:
        name = operation.path.get("secret_name") or operation.path.get("name")
        if operation.template.endswith("/public-key"):
            return _Answer(200, {"key_id": shelf.key_id, "key": shelf.key})
        if operation.template.endswith("/repositories"):
            assert name
            found = [least("minimal-repository", id=each) for each in shelf.get(name).repositories]
            return _Answer(200, {"total_count": len(found), "repositories": found})
        if name is None and operation.method == "GET":
            return self._page(shelf, query, url)
        if operation.method == "GET":
            assert name
            return _Answer(200, self._shown(shelf, shelf.get(name)))
        if operation.method == "DELETE":
            assert name
            shelf.remove(name)
            return _Answer(204)
        visibility, repositories = self._seen_by(shelf, given, name)
        if operation.method == "PUT":
            if "key_id" not in given or "encrypted_value" not in given:
                raise invalid('"key_id" wasn\'t supplied.')  # github/rest-api-description issue 419
            assert name
            created = shelf.seal(name, given["encrypted_value"], given["key_id"], visibility, repositories)
            return _Answer(201, {}) if created else _Answer(204)
        if operation.method == "POST":
            shelf.create(given["name"], given["value"], visibility, repositories)
            return _Answer(201, {})
        assert name
        shelf.put(shelf.get(name).name, given["value"], visibility, repositories)
        return _Answer(204)

    def _seen_by(self, shelf: Shelf, given: Any, name: str | None) -> tuple[str, list[int]]:
        """Who sees a secret of an organisation, by a request, or else as it was."""
        there = shelf.held.get((name or "").upper())
        visibility = given.get("visibility", there.visibility if there else "")
        ids = given.get("selected_repository_ids")
        # "You can only provide a list of repository ids when the `visibility` is set to `selected`."
        if ids is not None and visibility != "selected":
            raise invalid("selected_repository_ids goes with visibility selected")
        if ids is None:
            ids = there.repositories if there and visibility == "selected" else []
        for each in ids:
            self.accounts.by_id(int(each))
        return visibility, [int(each) for each in ids]

    def _page(self, shelf: Shelf, query: dict[str, str], url: str) -> _Answer:
        """One page, with links to others: https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api."""
        size = min(int(query.get("per_page", 30 if shelf.what == "secrets" else 10)), PAGE[shelf.what])
        page = max(int(query.get("page", 1)), 1)
        names = sorted(shelf.held)
        shown = [self._shown(shelf, shelf.held[name]) for name in names[(page - 1) * size : page * size]]
        last = max((len(names) + size - 1) // size, 1)
        links = {"next": page + 1, "last": last} if page < last else {}
        if page > 1:
            links |= {"prev": page - 1, "first": 1}
        link = ", ".join(f'<{url}?per_page={size}&page={number}>; rel="{rel}"' for rel, number in links.items())
        return _Answer(200, {"total_count": len(names), shelf.what: shown}, link)

    def _shown(self, shelf: Shelf, held: Held) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": held.name, "created_at": held.created_at, "updated_at": held.updated_at}
        if shelf.what == "variables":
            shown["value"] = held.value
        if held.visibility:
            shown["visibility"] = held.visibility
            if held.visibility == "selected":
                shown["selected_repositories_url"] = f"{self.address}/selected"
        return shown

    def _shown_organisation(self, name: str) -> dict[str, Any]:
        found = self.accounts.organisations.get(name.lower())
        if found is None:
            raise not_found()
        return least("organization-full", id=found.id, login=found.name)

    # -- Apps -----------------------------------------------------------------------------------------------------

    def _installation(self, app: App, path: dict[str, str]) -> _Answer:
        self._holder(path, "/repos/{owner}/{repo}/installation")
        return _Answer(200, least("installation", id=app.installation))

    def _install(self, app: App, number: int, given: dict[str, Any]) -> _Answer:
        if app.installation != number:
            raise not_found()
        names = given.get("repositories")
        full = None if names is None else [self._named(name) for name in names]
        token, expires = self.people.install(app, full)
        moment = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return _Answer(201, {"token": token, "expires_at": moment, "repository_selection": "all"})

    def _named(self, name: str) -> str:
        found = next(
            (each.name for each in self.accounts.repositories.values() if each.name.split("/")[1] == name), None
        )
        if found is None:
            raise invalid("There is at least one repository that does not exist or is not accessible")
        return found


def _encoded(body: Any) -> bytes:
    return b"" if body is None else json.dumps(body).encode()
